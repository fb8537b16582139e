"""A file and its temporary and previous file at one target, step by step."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads.outcomes import DownloadRefusedError
from cedarfleet_device.downloads.target import Target

from tests.device_sdk.open_files import open_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


DIGEST = sha256(b"content").hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """Of an artifact of which there is nothing yet."""
    with Target(tmp_path, "firmware/image.bin") as opened:
        yield opened


def put(target: Target, content: bytes) -> None:
    """Move a new file of these bytes to the target, and keep what stood there."""
    with open(target.open_part(), "wb") as part:  # noqa: PTH123 - of a handle
        part.write(content)
    target.put(keep_previous=True)


def test_what_comes_back_is_what_stood_there_last(target: Target):
    """A previous file that a loss of power has left behind is not the one to go back to."""
    for content in (b"first", b"second", b"third"):
        put(target, content)
    target.roll_back()
    assert target.path.read_bytes() == b"second"


def test_nothing_comes_back_where_nothing_stood(target: Target):
    """Somebody has removed the target since: what stood there before does not return."""
    put(target, b"first")
    put(target, b"second")
    target.path.unlink()
    put(target, b"third")
    target.roll_back()
    assert not target.path.exists()


@pytest.mark.parametrize(
    ("content", "size", "digest", "held"),
    [
        (b"content", 7, DIGEST, True),
        (b"content", 8, DIGEST, False),
        (b"Content", 7, DIGEST, False),
        (None, 7, DIGEST, False),
    ],
)
def test_a_target_holds_a_file_of_size_and_digest(
    target: Target, content: bytes | None, size: int, digest: str, *, held: bool
):
    """Both must be the announced ones; a file that is not there holds nothing."""
    if content is not None:
        target.path.write_bytes(content)
    assert target.holds(size, digest) is held


@pytest.mark.parametrize("name", ["there", "Firmware/image.bin", "firmware/there/x"])
def test_a_refused_name_leaves_no_handle(tmp_path: Path, name: str):
    """Whatever stands in its way, also on the way: a device runs for years."""
    (tmp_path / "there").mkdir()
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "there").write_bytes(b"no folder")
    with pytest.raises(DownloadRefusedError):
        Target(tmp_path, name)
    assert open_below(tmp_path) == []


def test_a_temporary_file_that_is_no_file_leaves_no_handle(target: Target):
    """What bears its name is left alone."""
    (target.path.parent / "other").write_bytes(b"")
    (target.path.parent / f".{target.key}.part").hardlink_to(target.path.parent / "other")
    with pytest.raises(DownloadRefusedError, match="no file of ours"):
        target.open_part()
    assert open_below(target.path.parent) == [target.path.parent]
