"""What a disk keeps over a loss of power, and files that are replaced whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


class Disk:
    """Makes what was written outlive the loss of power: whoever promises that asks it first."""

    def sync(self, handle: int) -> None:
        """Make a file durable with its length and mode, or the names in a folder.

        A file's own sync does not keep its name (Linux: fsync(2)).

        Raises:
            OSError: it cannot be synced.
        """
        os.fsync(handle)

    def sync_data(self, handle: int) -> None:
        """Make the bytes of a file durable, and its length.

        Raises:
            OSError: it cannot be synced.
        """
        os.fdatasync(handle)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in ``folder`` durable: files made, moved or removed in it stay so.

        Raises:
            OSError: it cannot be opened or synced.
        """
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(handle)
        finally:
            os.close(handle)

    def make_folder(self, folder: Path, *, mode: int) -> None:
        """Make ``folder``, and what is missing above it, where it is not there; with durable names.

        Args:
            folder: what stands there already is left as it is.
            mode: of the folder itself; those above it have the usual one.

        Raises:
            OSError: it cannot be made.
        """
        if folder.is_dir():
            return
        if not folder.parent.is_dir():
            self.make_folder(folder.parent, mode=0o777)
        folder.mkdir(mode=mode, exist_ok=True)
        self.sync_folder(folder.parent)


DISK: Final = Disk()


def write_atomically(
    file: Path,
    content: bytes,
    *,
    durable: bool = True,
    for_folder_owner: bool = False,
    disk: Disk = DISK,
) -> None:
    """Write a file of mode 0600 whole or not at all, by way of ``<file>.new`` beside it.

    Args:
        file: its folder exists.
        content: what it holds from now on.
        durable: whether it must stay so over a loss of power.
        for_folder_owner: whether root writes it for the owner of the folder.
        disk: makes it durable.

    Raises:
        OSError: it cannot be written; then the former file is still in place.
    """
    fresh = file.with_name(f"{file.name}.new")
    # What a power cut left half written goes; O_EXCL then never follows what stands there instead.
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(fresh, flags, 0o600), "wb") as writer:
        if for_folder_owner and os.geteuid() == 0:
            folder = file.parent.stat()
            os.fchown(writer.fileno(), folder.st_uid, folder.st_gid)
        writer.write(content)
        writer.flush()
        if durable:
            disk.sync(writer.fileno())
    fresh.replace(file)  # rename(2): at every instant a whole file stands there
    if durable:
        disk.sync_folder(file.parent)
