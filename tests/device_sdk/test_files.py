"""Files that are replaced whole."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.files import DISK, write_atomically

from tests.device_sdk.open_files import open_below
from tests.device_sdk.volatile_disk import Kept, VolatileDisk

if TYPE_CHECKING:
    from collections.abc import Mapping
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


@pytest.mark.parametrize("had", [True, False], ids=["replaced", "first"])
def test_a_file_outlives_the_loss_of_power_whole(tmp_path: Path, *, had: bool):
    """At every moment the old or the new content stands there, and the new one in the end."""
    file = tmp_path / "journal"
    allowed: set[bytes | None] = {b"old" if had else None, b"new"}
    if had:
        file.write_bytes(b"old")

    def holds(state: Mapping[str, Kept]) -> None:
        kept = state.get("journal")
        assert (None if kept is None else kept.content) in allowed
        assert kept is None or kept.content == b"old" or kept.mode == 0o600

    with VolatileDisk(tmp_path, holds) as disk:
        write_atomically(file, b"new", disk=disk)
        allowed = {b"new"}
        disk.lose_power()
        assert disk.syncs == 3


def test_a_folder_and_those_above_it_outlive_the_loss_of_power(tmp_path: Path):
    """Once made, a folder is there, whatever name is lost; one that is there is left as it is."""
    folder = tmp_path / "a" / "b" / "c"
    kept: list[bool] = []
    with VolatileDisk(tmp_path, lambda state: kept.append("a/b/c/file" in state)) as disk:
        disk.make_folder(folder, mode=0o700)
        (folder / "file").write_text("in it")
        disk.sync_folder(folder)
        kept.clear()
        disk.lose_power()
        assert set(kept) == {True}
        disk.make_folder(folder, mode=0o750)
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        disk.make_folder(folder / "file", mode=0o700)


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


def test_what_cannot_be_made_durable_is_told(tmp_path: Path):
    """A pipe is on no disk; and a folder that was synced is not held open."""
    reader, writer = os.pipe()
    try:
        for sync in (DISK.sync, DISK.sync_data):
            with pytest.raises(OSError, match="Invalid argument"):
                sync(writer)
    finally:
        os.close(reader)
        os.close(writer)
    DISK.sync_folder(tmp_path)
    assert open_below(tmp_path) == []


@pytest.mark.parametrize("for_folder_owner", [True, False])
def test_root_writes_for_the_owner_of_the_folder(tmp_path: Path, *, for_folder_owner: bool):
    """Where it is asked to: whoever runs as the folder's owner can read it then; else it is own."""
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(tmp_path, 12345, 54321)
    write_atomically(tmp_path / "device.key", b"key", for_folder_owner=for_folder_owner)
    found = (tmp_path / "device.key").stat()
    theirs = is_root and for_folder_owner
    assert (found.st_uid, found.st_gid) == (
        (12345, 54321) if theirs else (os.geteuid(), found.st_gid)
    )
    assert (found.st_gid == 54321) == theirs
