"""The temporary file of a download and its journal: how far they agree, and what is believed."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.downloads.outcomes import (
    DownloadCancelledError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.partial_file import PartialFile, disk_trouble
from cedarfleet_device.downloads.progress_journal import Progress, ProgressJournal
from cedarfleet_device.downloads.ranges import ByteRange, checkpoint_step
from cedarfleet_device.files import DISK
from cedarfleet_device.wire import DownloadDocument

from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MIB = 1024 * 1024
SIZE = 8 * MIB
NOTHING = sha256(b"").hexdigest()
LIMITS = DownloadLimits(disk_reserve_bytes=0)
FRESH = Progress.fresh(
    DownloadDocument(
        name="image.bin", size=SIZE, sha256="ab" * 32, etag='"e"', url="https://localhost/x"
    )
)


@contextmanager
def opened(
    folder: Path, entry: Progress = FRESH, *, reserve: int = 0, free: int = 1 << 40
) -> Generator[PartialFile]:
    """The temporary file in ``folder``, with what the journal is to have said."""
    partial = PartialFile(
        os.open(folder / "temporary", os.O_RDWR | os.O_CREAT),
        ProgressJournal(folder, "key"),
        entry,
        limits=replace(LIMITS, disk_reserve_bytes=reserve),
        free_bytes=lambda: free,
        disk=DISK,
    )
    try:
        yield partial
    finally:
        partial.close()


def test_a_kill_loses_less_than_a_step_of_what_was_accepted(tmp_path: Path):
    """After each piece, of any size and of several connections, the rest is in the journal."""
    chance = random.Random(new_seed())  # noqa: S311 - an order of pieces
    journal = ProgressJournal(tmp_path, "key")
    step = checkpoint_step(SIZE, most=LIMITS.checkpoint_bytes)
    data = memoryview(bytes(step))
    ends = [(start, start + 2 * MIB) for start in range(0, SIZE, 2 * MIB)]  # four connections
    accepted = 0
    with opened(tmp_path) as partial:
        while ends:
            at, end = ends.pop(chance.randrange(len(ends)))
            piece = data[: min(chance.randint(1, step), end - at)]
            partial.write(at, piece)
            partial.accept(at, piece)
            accepted += len(piece)
            if at + len(piece) < end:
                ends.append((at + len(piece), end))
            entry = journal.read()
            kept = 0 if entry is None else entry.prefix + sum(map(len, entry.ranges))
            assert accepted - step < kept <= accepted == partial.received
        assert partial.done == SIZE
        assert partial.missing == ()


@pytest.mark.parametrize(
    ("length", "prefix"),
    [(MIB - 1, b"x" * MIB), (2 * MIB, b"y" * MIB)],
    ids=["too short", "other bytes"],
)
def test_a_file_unlike_its_journal_is_emptied(tmp_path: Path, length: int, prefix: bytes):
    """Its room is free again, and nothing of it gets into what is fetched."""
    (tmp_path / "temporary").write_bytes(b"x" * length)
    entry = replace(FRESH, prefix=len(prefix), prefix_sha256=sha256(prefix).hexdigest())
    with opened(tmp_path, entry) as partial:
        partial.recover(lambda: False)
        assert partial.missing == (ByteRange(0, SIZE),)
    assert (tmp_path / "temporary").stat().st_size == 0
    # Else the next process would look for bytes that were given up.
    assert ProgressJournal(tmp_path, "key").read() == replace(FRESH, prefix_sha256=NOTHING)


def test_a_file_that_bears_its_journal_out_is_gone_on_with(tmp_path: Path):
    """What lies behind the last checkpoint is fetched again, what lies before it is not."""
    (tmp_path / "temporary").write_bytes(b"x" * SIZE)
    prefix = sha256(b"x" * MIB).hexdigest()
    entry = replace(FRESH, prefix=MIB, prefix_sha256=prefix, beyond=((2 * MIB, SIZE),))
    with opened(tmp_path, entry) as partial:
        partial.recover(lambda: False)
        assert partial.missing == (ByteRange(MIB, 2 * MIB),)


@pytest.mark.parametrize("length", [SIZE - 1, SIZE, SIZE + 1])
def test_a_file_of_another_length_has_no_digest(tmp_path: Path, length: int):
    """A tail that somebody has left behind the announced bytes does not reach the target."""
    (tmp_path / "temporary").write_bytes(b"x" * length)
    with opened(tmp_path) as partial:
        for at, piece in ((0, SIZE - 1000), (SIZE - 1000, 1000)):  # less than a step at the end
            partial.accept(at, memoryview(b"x" * piece))
        assert partial.digest() == (sha256(b"x" * SIZE).hexdigest() if length == SIZE else "")
    entry = ProgressJournal(tmp_path, "key").read()
    assert entry is not None
    assert entry.prefix == SIZE


def test_bytes_belong_to_the_object_that_they_came_from(tmp_path: Path):
    """The announced one; once that is gone, the one of the first answer since."""
    with opened(tmp_path) as partial:
        partial.pin('"other"')
        assert partial.entry.etag == FRESH.etag
        partial.start_over(None)
        for answered in ('"second"', '"third"'):
            partial.pin(answered)
            assert partial.entry.etag == '"second"'


def test_a_file_is_read_no_further_once_it_is_cancelled(tmp_path: Path):
    """File and journal stay as they are, for the next time."""
    (tmp_path / "temporary").write_bytes(b"x" * MIB)
    entry = replace(FRESH, prefix=MIB, prefix_sha256=sha256(b"x" * MIB).hexdigest())
    with opened(tmp_path, entry) as partial, pytest.raises(DownloadCancelledError):
        partial.recover(lambda: True)
    assert [each.name for each in tmp_path.iterdir()] == ["temporary"]
    assert (tmp_path / "temporary").stat().st_size == MIB


@pytest.mark.parametrize(("free", "fits"), [(SIZE + 100, True), (SIZE + 99, False)])
def test_what_is_missing_must_fit_beside_the_reserve(tmp_path: Path, free: int, *, fits: bool):
    """To the byte; the refusal has all three numbers."""
    with opened(tmp_path, reserve=100, free=free) as partial:
        if fits:
            partial.check_room()
            return
        words = f"`image.bin` needs {SIZE} bytes and 100 in reserve, {free} are free"
        with pytest.raises(DownloadRefusedError, match=words) as caught:
            partial.check_room()
    assert caught.value.reason is Reason.DISK


def test_a_disks_error_is_told_in_its_own_words():
    """Without number and path where there are words."""
    for error, words in (
        (OSError(28, "No space left on device", "/secret"), "No space left on device"),
        (OSError("odd"), "odd"),
    ):
        with pytest.raises(DownloadRefusedError) as caught, disk_trouble("write it"):
            raise error
        assert str(caught.value) == f"cannot write it: {words}"


def test_what_the_prefix_has_reached_is_no_range_any_more(tmp_path: Path):
    """An empty one would be no journal: all that it says would be fetched again."""
    piece = memoryview(bytes(MIB))
    with opened(tmp_path) as partial:
        for at in (MIB, 0):
            partial.write(at, piece)
            partial.accept(at, piece)
        while partial.catch_up():
            pass
        partial.checkpoint()
    kept = ProgressJournal(tmp_path, "key").read()
    assert kept is not None
    assert (kept.prefix, kept.beyond) == (2 * MIB, ())


def test_a_whole_step_is_kept_as_it_comes(tmp_path: Path):
    """Not one piece later."""
    step = checkpoint_step(SIZE, most=LIMITS.checkpoint_bytes)
    with opened(tmp_path) as partial:
        partial.write(0, memoryview(bytes(step)))
        partial.accept(0, memoryview(bytes(step)))
        kept = ProgressJournal(tmp_path, "key").read()
    assert kept is not None
    assert kept.prefix == step
