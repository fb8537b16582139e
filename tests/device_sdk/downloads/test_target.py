"""A file and its temporary and previous file at one target, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
