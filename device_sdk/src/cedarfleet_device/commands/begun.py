"""Which commands have begun, as a process that is killed can still tell: a file beside the store.

A command is durably ``running`` before its handler begins, since what may have begun must not begin
twice. A process that is killed in between has begun nothing, which the store cannot tell. A mark
that is written and never synced outlives the process, but not a loss of power: so the file names
the boot in which it was written (Linux: proc(5), ``/proc/sys/kernel/random/boot_id``), and says
nothing after another one.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_MOST_MARKS: Final = 2_000


def boot_id() -> str:
    """Which start of the machine this is; empty: it cannot be told."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class BegunMarks:
    """The marks of one device's commands; from any thread.

    Args:
        file: in the state folder.
        boot: this start of the machine; empty: nothing is believed.
    """

    def __init__(self, file: Path, *, boot: str | None = None) -> None:
        self._file = file
        self._boot = boot_id() if boot is None else boot
        self._lock = threading.Lock()
        self._open: set[str] = set()  # begun and not ended
        self._marks = 0
        self._handle = -1
        self._before = self._read()

    def never_began(self, command_id: str) -> bool:
        """Whether it is certain that the process before had not begun this command."""
        return self._before is not None and command_id not in self._before

    def start(self) -> None:
        """Forget the process before, once what it left has been dealt with."""
        with self._lock:
            self._write_anew()

    def mark(self, command_id: str) -> None:
        """The command begins now."""
        with self._lock:
            self._open.add(command_id)
            if self._handle < 0:
                return
            if self._marks >= _MOST_MARKS:
                self._write_anew()
                return
            line = f"{command_id}\n".encode()
            try:
                kept = os.write(self._handle, line) == len(line)
            except OSError:
                kept = False
            self._marks += 1
            if not kept:  # fail closed: without this mark the file would lie
                self._give_up()

    def ended(self, command_id: str) -> None:
        """The command's end is kept: no start asks for it again."""
        with self._lock:
            self._open.discard(command_id)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1

    def _read(self) -> frozenset[str] | None:
        """What the process before has begun; None: it cannot be told."""
        try:
            boot, *marks = self._file.read_text(encoding="ascii").split("\n")
        except (OSError, ValueError):
            return None
        # Fail closed: of another start of the machine some marks may be missing.
        return frozenset(marks) if boot and boot == self._boot else None

    def _write_anew(self) -> None:
        """A file with the marks that are still asked for; the former one stands until then."""
        fresh = self._file.with_name(f"{self._file.name}.new")
        content = "".join(f"{each}\n" for each in (self._boot, *sorted(self._open))).encode()
        try:
            fresh.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            handle = os.open(fresh, flags, 0o600)
            if self._handle >= 0:
                os.close(self._handle)
            self._handle, self._marks = handle, len(self._open)
            whole = os.write(handle, content) == len(content)
            if whole:
                fresh.replace(self._file)
        except OSError:
            whole = False
        if not whole:
            self._give_up()

    def _give_up(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
