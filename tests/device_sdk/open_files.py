"""Which files below a folder this process has open; imported by tests, not collected.

Other threads of a test process open and close what they need meanwhile: files are looked at by
their place, never counted.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


def open_below(folder: Path) -> list[Path]:
    """Folders and files there that are open; of one that is deleted with `` (deleted)``."""
    held: list[Path] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # another thread's, closed since
            held.append(descriptor.readlink())
    return [each for each in held if each.is_relative_to(folder)]
