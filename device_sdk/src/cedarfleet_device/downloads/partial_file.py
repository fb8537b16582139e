"""The temporary file: bytes written at their offset, hashed in order, made durable by steps."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.outcomes import (
    DiskFullError,
    DownloadCancelledError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.ranges import ByteRange, checkpoint_step, merged, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.downloads.progress_journal import Progress, ProgressJournal
    from cedarfleet_device.files import Disk

_READ_BYTES: Final = 256 * 1024  # still in the core's cache when it is hashed
_CHECKPOINT_SECONDS: Final = 5.0  # on a slow link a step takes minutes


@contextmanager
def disk_trouble(what: str) -> Generator[None]:
    """Turn the errors of a full, read-only or broken disk into a refusal.

    The network's errors never come here.
    """
    try:
        yield
    except OSError as error:
        words = f"cannot {what}: {error.strerror or error}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(words) from error
        raise DownloadRefusedError(Reason.DISK, words) from error


class PartialFile:
    """The temporary file of one download with its hash and its journal.

    Used by one thread, save ``write``.

    Attributes:
        entry: what the journal says, as of the last checkpoint.
        received: body bytes accepted by this object.
    """

    def __init__(
        self,
        handle: int,
        journal: ProgressJournal,
        entry: Progress,
        *,
        limits: DownloadLimits,
        free_bytes: Callable[[], int],
        disk: Disk,
    ) -> None:
        """Take the open temporary file; ``recover`` comes next.

        Args:
            handle: descriptor of the file, released by ``close``.
            journal: keeps ``entry``.
            entry: what the journal said.
            limits: of disk and checkpoints.
            free_bytes: what the file system has for us.
            disk: makes the file durable.
        """
        self._handle, self._journal, self._limits = handle, journal, limits
        self._free_bytes, self._disk = free_bytes, disk
        self.entry = entry
        self._kept: Progress | None = None  # as the journal has it
        self.received = 0
        self._step = checkpoint_step(entry.size, most=limits.checkpoint_bytes)
        self._view = memoryview(bytearray(_READ_BYTES))
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._ranges: tuple[ByteRange, ...] = ()
        self._unsaved = 0
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """Release the temporary file; nothing is saved by this."""
        os.close(self._handle)

    @property
    def done(self) -> int:
        """Bytes of the file that are there."""
        return sum(len(span) for span in self._covered())

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        """The ranges that are not."""
        return missing(self._covered(), self.entry.size)

    def recover(self, cancelled: Callable[[], bool]) -> None:
        """Believe the journal when the temporary file bears it out.

        Else empty the file and begin at zero.

        Raises:
            DownloadCancelledError: ``cancelled()``; the journal stays as it is.
        """
        with disk_trouble("read the temporary file"):
            length = os.fstat(self._handle).st_size
            reaches = max([self.entry.prefix, *(span.end for span in self.entry.ranges)])
            while length >= reaches and self._hashed < self.entry.prefix:
                if cancelled():
                    raise DownloadCancelledError("cancelled")
                if not self._hash_from_file(self.entry.prefix):
                    break  # the file shrank meanwhile
            if length >= reaches and self._hash.hexdigest() == self.entry.prefix_sha256:
                self._ranges = self.entry.ranges
                # A state folder that cannot be written is noticed before the first byte.
                self.checkpoint()
                return
        self.start_over(self.entry.etag)

    def check_room(self) -> None:
        """Refuse what would not fit beside the file system's reserve.

        Raises:
            DiskFullError: it does not.
        """
        needed = sum(len(gap) for gap in self.missing)
        with disk_trouble("ask for the free space"):
            free = self._free_bytes()
        if needed and free - needed < self._limits.disk_reserve_bytes:
            raise DiskFullError(
                f"`{self.entry.name}` needs {needed} bytes"
                f" and {self._limits.disk_reserve_bytes} in reserve, {free} are free"
            )

    def start_over(self, etag: str | None) -> None:
        """Forget every byte.

        What comes now belongs to the object of ``etag`` (None: the next answer says which).
        """
        self._hash, self._hashed, self._ranges = hashlib.sha256(), 0, ()
        self.entry = replace(self.entry, etag=etag)
        with disk_trouble("empty the temporary file"):
            os.ftruncate(self._handle, 0)
        self.checkpoint()

    def pin(self, etag: str | None) -> None:
        """Remember which object the bytes belong to, when that was not known."""
        if self.entry.etag is None:
            self.entry = replace(self.entry, etag=etag)

    def write(self, offset: int, data: memoryview) -> None:
        """Put ``data`` into the temporary file.

        The one method that any thread may call, until ``close``.

        Raises:
            DownloadRefusedError: ``Reason.DISK``.
        """
        with disk_trouble("write the temporary file"):
            while data:
                written = os.pwrite(self._handle, data, offset)
                data, offset = data[written:], offset + written

    def accept(self, offset: int, data: memoryview) -> None:
        """Account for ``data``, which was written at ``offset``.

        Saves a checkpoint when one is due.

        Raises:
            DownloadRefusedError: ``Reason.DISK``, also when somebody else took of the file system's
                reserve.
        """
        at = offset + len(data)
        # In the file's order it is hashed while it is in the cache; else it is read back later.
        if offset == self._hashed:
            self._hash.update(data)
            self._hashed = at
        else:
            self._ranges = merged([*self._ranges, ByteRange(offset, at)])
        self.received += len(data)
        self._unsaved += len(data)
        if self._unsaved >= self._step or time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS:
            self.checkpoint()
            if self._free_bytes() < self._limits.disk_reserve_bytes:
                raise DiskFullError(
                    f"less than the reserve of {self._limits.disk_reserve_bytes} bytes is free"
                    " on the disk"
                )

    def catch_up(self) -> bool:
        """Hash a piece of what lies behind the prefix without a gap; whether there was any."""
        reachable = next(
            (span.end for span in self._ranges if span.start <= self._hashed < span.end), None
        )
        if reachable is None:
            return False
        with disk_trouble("read the temporary file"):
            return self._hash_from_file(reachable)

    def checkpoint(self) -> None:
        """Make data, then journal durable: the journal never promises what a power cut took away.

        Raises:
            DownloadRefusedError: ``Reason.DISK``.
        """
        beyond = tuple(
            (max(span.start, self._hashed), span.end)
            for span in self._ranges
            if span.end > self._hashed
        )
        self.entry = replace(
            self.entry, prefix=self._hashed, prefix_sha256=self._hash.hexdigest(), beyond=beyond
        )
        # A download that waits for days tries thousands of times: nothing new wears out no flash.
        if self.entry != self._kept:
            with disk_trouble("save the download's progress"):
                self._disk.sync_data(self._handle)
                self._journal.write(self.entry)
            self._kept = self.entry
        self._unsaved, self._saved_at = 0, time.monotonic()

    def digest(self) -> str:
        """SHA-256 of the whole file, fsynced; to be called when nothing is missing."""
        while self.catch_up():
            pass
        self.checkpoint()
        with disk_trouble("save the file"):
            os.fchmod(self._handle, self._limits.file_mode)
            self._disk.sync(self._handle)
            length = os.fstat(self._handle).st_size
        # Fail closed: "" equals no digest, also where somebody has written behind the end.
        return self._hash.hexdigest() if self._hashed == self.entry.size == length else ""

    def _covered(self) -> tuple[ByteRange, ...]:
        return (
            merged([ByteRange(0, self._hashed), *self._ranges])
            if self._hashed
            else merged(self._ranges)
        )

    def _hash_from_file(self, end: int) -> bool:
        count = os.preadv(self._handle, [self._view[: end - self._hashed]], self._hashed)
        self._hash.update(self._view[:count])
        self._hashed += count
        return count > 0
