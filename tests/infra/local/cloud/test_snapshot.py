"""The snapshot file is loaded whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.cloud import StateDamagedError
from infra.local.cloud.snapshot import compose, read

if TYPE_CHECKING:
    from pathlib import Path

BODY = json.dumps({"iot": {"things": {"acme--press-07": {}}}}).encode()


def test_whole_file_is_read(tmp_path: Path) -> None:
    """What was composed is read back, and no file means no state."""
    file = tmp_path / "snapshot.json"
    assert read(file) is None
    file.write_bytes(compose(BODY))
    assert read(file) == BODY


def test_no_part_of_a_file_is_read(tmp_path: Path) -> None:
    """A file cut at any byte is damaged, and the error names the remedy."""
    file, whole = tmp_path / "snapshot.json", compose(BODY)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(StateDamagedError, match="is damaged: delete"):
            read(file)


def test_altered_file_is_not_read(tmp_path: Path) -> None:
    """A changed bit anywhere is noticed."""
    file, whole = tmp_path / "snapshot.json", compose(BODY)
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(StateDamagedError):
            read(file)


def test_file_of_another_emulator_is_not_read(tmp_path: Path) -> None:
    """The state of another version of the emulator is refused, since nobody knows what it means."""
    file = tmp_path / "snapshot.json"
    file.write_bytes(compose(BODY).replace(b'"emulator": "1.', b'"emulator": "2.'))
    with pytest.raises(StateDamagedError, match="was written by another version"):
        read(file)
