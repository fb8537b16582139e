"""The last of the agent's log on the disk, for ``upload-logs``: two files of bounded size."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Final

from cedarfleet_device.log import JsonFormatter

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_FREE_BYTES: Final = 4 * 1024 * 1024
_LOOK_SECONDS: Final = 10.0


class KeptLog(logging.Handler):
    """Appends each event; a full file becomes the former one, which goes.

    Nothing is synced, so the loss of power may cost the last lines. On a disk that is nearly full
    nothing is written: the agent's own reserve is not for its log.

    Args:
        folder: of the two files; made where it is missing.
        most_bytes: of both together.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._folder, self._half = folder, most_bytes // 2
        self._file: int | None = None
        self._size = 0
        self._look_at = 0.0
        self._has_room = False

    def files(self) -> list[Path]:
        """Those that are there, the older first."""
        both = (self._folder / "agent.jsonl.1", self._folder / "agent.jsonl")
        return [file for file in both if file.exists()]

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, if the disk takes it: whatever is wrong, the agent works on."""
        try:
            line = f"{self.format(record)}\n".encode(errors="replace")
            if not self._room(time.monotonic()):
                return
            if self._file is None or self._size + len(line) > self._half:
                self._turn(len(line))
            if self._file is not None:
                self._size += os.write(self._file, line)
        except BaseException:  # noqa: BLE001 - raised in whatever thread has something to tell
            self._shut()

    def close(self) -> None:
        """Release the file; again is harmless."""
        self._shut()
        super().close()

    def _room(self, now: float) -> bool:
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._folder.mkdir(mode=0o700, exist_ok=True)
            found = os.statvfs(self._folder)
            self._has_room = found.f_bavail * found.f_frsize >= _LEAST_FREE_BYTES
        return self._has_room

    def _turn(self, coming: int) -> None:
        """Open the file, or a new one in place of what is full."""
        file = self._folder / "agent.jsonl"
        self._shut()
        if file.exists() and file.stat().st_size + coming > self._half:
            file.replace(self._folder / "agent.jsonl.1")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(file, flags, 0o600)
        self._size = os.fstat(self._file).st_size

    def _shut(self) -> None:
        opened, self._file = self._file, None
        if opened is not None:
            with contextlib.suppress(OSError):
                os.close(opened)
