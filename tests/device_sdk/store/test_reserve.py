"""The room that the agent keeps for itself on the disk of its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cedarfleet_device.store.reserve import FULL_BYTES, Reserve

from tests.device_sdk.devices import fill
from tests.device_sdk.open_files import open_below

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MIB = 1024 * 1024


class Volume:
    """How much is free, as the test says."""

    def __init__(self) -> None:
        self.free = 100 * MIB

    def __call__(self, _folder: Path) -> int:
        """Bytes."""
        return self.free


def test_the_reserve_is_given_up_and_made_again(tmp_path: Path):
    """It takes a mebibyte while twice that is free, and leaves when there is none."""
    volume = Volume()
    reserve = Reserve(tmp_path, free_bytes=volume)
    file = tmp_path / "reserve"
    for free, stands, full in (
        (2 * MIB - 1, False, False),
        (2 * MIB, True, False),
        (FULL_BYTES, True, False),
        (FULL_BYTES - 1, False, True),
        (0, False, True),
        (FULL_BYTES, False, False),
        (2 * MIB, True, False),
    ):
        volume.free = free
        reserve.keep()
        assert (file.exists(), reserve.disk_full) == (stands, full), free
    assert file.stat().st_blocks * 512 >= MIB, "the room is taken, not promised"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_disk_that_cannot_be_asked_ends_nothing(tmp_path: Path):
    """Without a folder there is no reserve, and the agent goes on."""
    reserve = Reserve(tmp_path / "gone")
    reserve.keep()
    assert not reserve.disk_full


def test_a_part_of_the_reserve_is_none(tight_disk: Path, caplog: pytest.LogCaptureFixture):
    """Where it does not fit after all nothing of it stays, and no descriptor; it is told."""
    fill(tight_disk / "somebody's")
    with caplog.at_level("WARNING", "cedarfleet_device"):
        Reserve(tight_disk, free_bytes=Volume()).keep()
    assert [each.name for each in tight_disk.iterdir()] == ["somebody's"]
    assert open_below(tight_disk) == []
    assert [each.getMessage() for each in caplog.records] == ["disk.no_reserve"]


def test_who_stands_in_the_way_is_not_followed(tmp_path: Path):
    """A link under the reserve's name makes no file elsewhere."""
    (tmp_path / "reserve").symlink_to(tmp_path / "elsewhere")
    Reserve(tmp_path, free_bytes=Volume()).keep()
    assert not (tmp_path / "elsewhere").exists()
