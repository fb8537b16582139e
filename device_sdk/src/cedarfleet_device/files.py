"""Files that are replaced whole, and names that stay in their folder over a loss of power."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(
    file: Path, content: bytes, *, durable: bool = True, for_folder_owner: bool = False
) -> None:
    """Write a file of mode 0600 whole or not at all, by way of ``<file>.new`` beside it.

    Args:
        file: its folder exists.
        content: what it holds from now on.
        durable: whether it must stay so over a loss of power.
        for_folder_owner: whether root writes it for the owner of the folder.

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
            os.fsync(writer.fileno())
    fresh.replace(file)  # rename(2): at every instant a whole file stands there
    if durable:
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Sync the entries of ``folder``, which a file's own sync does not (Linux: fsync(2)).

    Files made, moved or removed in it stay so over a loss of power.

    Raises:
        OSError: it cannot be opened or synced.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
