"""The folder where a device keeps its state: private, and held by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Final

from cedarfleet_device.errors import ConfigError, StateInUseError
from cedarfleet_device.files import DISK

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


_PID_DIGITS: Final = 20
_FLOCK: Final = "hhqqi0q"
"""``struct flock`` with 64-bit offsets: type, whence, start, length, process (fcntl(2))."""
_held_here: set[Path] = set()  # the kernel's record locks do not hold a process against itself


class StateFolder:
    """Makes the folder (mode 0700) and holds its lock until closed.

    The lock is a POSIX record lock: the kernel drops it with the process, also after ``kill -9``,
    and a child that a handler forks does not inherit it.

    Args:
        folder: ``state_dir`` of the configuration.

    Raises:
        StateInUseError: another process holds it.
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._name = folder.absolute()
        if self._name in _held_here:
            raise StateInUseError(
                f"`state_dir` `{folder}` is in use by process {os.getpid()}: one identity runs once"
            )
        try:
            DISK.make_folder(folder, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"`state_dir` `{folder}` cannot be used: {error.strerror}") from error
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # What fcntl(2) says of a lock of another's; on some network's disk there are no locks.
            held = error.errno in (errno.EACCES, errno.EAGAIN)
            holder = os.pread(self._lock, _PID_DIGITS, 0).decode(errors="replace") if held else ""
            os.close(self._lock)
            if not held:
                raise ConfigError(
                    f"`state_dir` `{folder}` cannot be locked: {error.strerror}"
                ) from error
            raise StateInUseError(
                f"`state_dir` `{folder}` is in use by process {holder.strip() or 'unknown'}: one"
                " identity runs once"
            ) from error
        except BaseException:
            os.close(self._lock)
            raise
        _held_here.add(self._name)
        # The block of an earlier start is used again, also on a full disk; and a lock that names
        # nobody is still a lock.
        with contextlib.suppress(OSError):
            os.pwrite(self._lock, str(os.getpid()).ljust(_PID_DIGITS).encode(), 0)

    @property
    def database(self) -> Path:
        """Inbox and outbox."""
        return self.folder / "agent.db"

    def close(self) -> None:
        """Release the lock; again is harmless."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            _held_here.discard(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def in_use(folder: Path) -> bool:
    """Whether an agent holds the folder; asking disturbs none that starts at this moment.

    Raises:
        ConfigError: it cannot be told, since the lock cannot be read.
    """
    if folder.absolute() in _held_here:  # closing another descriptor would drop the lock
        return True
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"`state_dir` `{folder}` cannot be used: {error.strerror}") from error
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(lock, fcntl.F_GETLK, asked)
    finally:
        os.close(lock)
    return struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK
