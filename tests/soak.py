"""What a long run of faults has done so far, on the disk: one that is cut off says it too."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SoFar:
    """A file that takes a line as soon as it is told; without a folder, nothing does.

    Args:
        folder: made if it is not there.
        test: after whom the file is named; that of a former run goes.
    """

    def __init__(self, folder: Path | None, test: str) -> None:
        self._file = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^a-zA-Z0-9_]+", "-", test).strip("-")
            self._file = (folder / f"{name}.txt").open("w", buffering=1, encoding="utf-8")

    def __call__(self, words: str) -> None:
        """Tell it, with the time."""
        if self._file is not None:
            self._file.write(f"{datetime.now(UTC):%H:%M:%S} {words}\n")

    def close(self) -> None:
        """No more is told."""
        if self._file is not None:
            self._file.close()
