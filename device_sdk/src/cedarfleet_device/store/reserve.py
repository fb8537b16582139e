"""Room that is kept for the agent itself, so that a device with a full disk can still be helped.

A file of no meaning is written while there is room, and given up when there is none: then the store
opens, commands are taken, and one of them can make room. Somebody whose log fills the disk without
end takes that room too; the agent is then as one without a reserve.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from typing import TYPE_CHECKING, Final

from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RESERVE_BYTES: Final = 1024 * 1024  # some hundred commands with their states
FULL_BYTES: Final = 256 * 1024
"""Fewer free bytes are none: SQLite's index alone takes 32 KiB when the store is opened."""
_ROOMY_BYTES: Final = 2 * _RESERVE_BYTES  # as much again stays free


class Reserve:
    """The reserve of one device.

    Args:
        folder: where the store is; it exists.
        free_bytes: of the folder's file system.
    """

    def __init__(
        self,
        folder: Path,
        *,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._folder = folder
        self._file = folder / "reserve"
        self._free_bytes = free_bytes
        self.disk_full = False
        """Whether there was no room when ``keep`` looked last."""

    def keep(self) -> None:
        """Give the reserve up where the disk is full; make it where it is missing and fits.

        Raises nothing: a device without a reserve works as well.
        """
        try:
            free = self._free_bytes(self._folder)
            full = free < FULL_BYTES
            if full and not self.disk_full:
                event("disk.full", level=logging.ERROR, folder=str(self._folder), free_bytes=free)
            self.disk_full = full
            if full:
                self._file.unlink(missing_ok=True)
            elif free >= _ROOMY_BYTES and not self._file.exists():
                self._make()
        except OSError as error:
            event("disk.no_reserve", level=logging.WARNING, error=error)

    def _make(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._file, flags, 0o600)
        try:
            os.posix_fallocate(handle, 0, _RESERVE_BYTES)
        except OSError:  # a part of it would stand for the whole ever after
            with contextlib.suppress(OSError):
                self._file.unlink()
            raise
        finally:
            os.close(handle)
