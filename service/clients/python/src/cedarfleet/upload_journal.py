"""What is known of an upload that was cut off: its id, and which parts have arrived.

A file beside the program's own settings, as the AWS SDKs keep the token of an upload that is to be
resumed. It holds no URL and no token, and what stands in it is only a saving: the service counts
the parts itself, and verifies the whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def journal_folder(environment: Mapping[str, str]) -> Path:
    """Where journals of uploads are kept.

    Source: XDG Base Directory Specification, ``XDG_STATE_HOME``.
    """
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "cedarfleet" / "uploads"


@dataclass(kw_only=True)
class UploadJournal:
    """One upload's.

    Attributes:
        file: where it is kept; ``None``: nowhere.
        key: of idempotency, by which the upload was begun.
        file_id: of the version; empty until it was begun.
        sent: numbers of parts that have arrived.
    """

    file: Path | None
    key: str
    file_id: str = ""
    sent: set[int] = field(default_factory=set[int])

    def write(self) -> None:
        """Write it down, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        if self.file is None:
            return
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.file.with_name(f"{self.file.name}.{os.getpid()}.new")
        known = {"key": self.key, "file_id": self.file_id, "sent": sorted(self.sent)}
        fresh.write_text(json.dumps(known), encoding="utf-8")
        fresh.replace(self.file)

    def note(self, part: int) -> None:
        """Note that a part has arrived."""
        self.sent.add(part)
        self.write()

    def forget(self) -> None:
        """There is nothing to resume any more."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def read_journal(folder: Path | None, upload: Mapping[str, Any], *, key: str) -> UploadJournal:
    """What is known of an upload, or that nothing is.

    Args:
        folder: of journals; ``None``: none are kept.
        upload: the API, and all that it was told of the version: with another digest it is another.
        key: of idempotency, of an upload that nothing is known of.
    """
    if folder is None:
        return UploadJournal(file=None, key=key)
    text = json.dumps(upload, sort_keys=True)
    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        sent = {int(number) for number in found["sent"]}
        return UploadJournal(
            file=file, key=str(found["key"]), file_id=str(found["file_id"]), sent=sent
        )
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        # One that cannot be read saves nothing, and costs nothing.
        return UploadJournal(file=file, key=key)
