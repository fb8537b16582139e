"""The journal of a download lags behind what arrived by less than a step, in whatever order."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.downloads.partial_file import PartialFile
from cedarfleet_device.downloads.progress_journal import Progress, ProgressJournal
from cedarfleet_device.downloads.ranges import checkpoint_step
from cedarfleet_device.files import DISK
from cedarfleet_device.wire import DownloadDocument

from tests.seed import new_seed

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
SIZE = 8 * MIB


def test_a_kill_loses_less_than_a_step_of_what_was_accepted(tmp_path: Path):
    """After each piece, of any size and of several connections, the rest is in the journal."""
    chance = random.Random(new_seed())  # noqa: S311 - an order of pieces
    document = DownloadDocument(
        name="image.bin", size=SIZE, sha256="ab" * 32, etag='"e"', url="https://localhost/x"
    )
    journal = ProgressJournal(tmp_path, "key")
    limits = DownloadLimits(disk_reserve_bytes=0)
    step = checkpoint_step(SIZE, most=limits.checkpoint_bytes)
    handle = os.open(tmp_path / "temporary", os.O_RDWR | os.O_CREAT)
    partial = PartialFile(
        handle,
        journal,
        Progress.fresh(document),
        limits=limits,
        free_bytes=lambda: 1 << 40,
        disk=DISK,
    )
    data = memoryview(bytes(step))
    ends = [(start, start + 2 * MIB) for start in range(0, SIZE, 2 * MIB)]  # four connections
    accepted = 0
    try:
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
    finally:
        partial.close()
