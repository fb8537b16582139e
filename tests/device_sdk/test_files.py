"""Files that are replaced whole."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_private(tmp_path: Path, *, durable: bool):
    """The new content stands alone in the folder, with mode 0600, whatever was half written."""
    file = tmp_path / "status.json"
    file.write_text("old")
    (tmp_path / "status.json.new").write_text("half of")
    write_atomically(file, b"new", durable=durable)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_planted_symlink_is_not_written_through(tmp_path: Path):
    """What stands under the temporary name is replaced, and what it points to stays."""
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "journal.new").symlink_to(tmp_path / "other")
    write_atomically(tmp_path / "journal", b"ours")
    assert (tmp_path / "other").read_text() == "theirs"
    assert (tmp_path / "journal").read_bytes() == b"ours"


def test_a_write_that_fails_leaves_the_former_file(tmp_path: Path):
    """Where the temporary file cannot be made, the file of before still stands."""
    file = tmp_path / "device.key"
    file.write_text("old")
    (tmp_path / "device.key.new").mkdir()
    with pytest.raises(OSError, match=r"device\.key\.new") as caught:
        write_atomically(file, b"new")
    assert caught.value.errno in (errno.EISDIR, errno.EPERM)
    assert file.read_text() == "old"
