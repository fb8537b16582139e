"""The durable memory of one download: what was fetched of which object, and how far it got."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.downloads.ranges import ByteRange
from cedarfleet_device.files import DISK, Disk, write_atomically
from cedarfleet_device.wire.pythons import StrEnum

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from cedarfleet_device.wire import DownloadDocument

_VERSION: Final = 1


class Stage(StrEnum):
    """How far the download got."""

    FETCHING = "fetching"
    PLACING = "placing"  # verified; the file moves to its target and the hook runs


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One state of the journal.

    Attributes:
        name: the artifact.
        size: announced bytes.
        sha256: announced digest.
        announced_etag: the document's.
        etag: what the fetched ranges belong to; not the announced one after the object changed;
            None: not known.
        prefix: the first bytes of the temporary file that are on the disk.
        prefix_sha256: their digest; checked when the file is opened again.
        beyond: further ranges on the disk, as pairs of start and end.
        stage: how far it got.
    """

    name: str
    size: int
    sha256: str
    announced_etag: str
    etag: str | None
    prefix: int = 0
    prefix_sha256: str = hashlib.sha256().hexdigest()
    beyond: tuple[tuple[int, int], ...] = ()
    stage: Stage = Stage.FETCHING

    @classmethod
    def fresh(cls, document: DownloadDocument) -> Self:
        """The entry of a download that has fetched nothing."""
        return cls(
            name=document.name,
            size=document.size,
            sha256=document.sha256,
            announced_etag=document.etag,
            etag=document.etag or None,
        )

    def is_of(self, document: DownloadDocument) -> bool:
        """Whether it belongs to this file in this version."""
        mine = (self.name, self.size, self.sha256, self.announced_etag)
        return mine == (document.name, document.size, document.sha256, document.etag)

    @property
    def ranges(self) -> tuple[ByteRange, ...]:
        """The ranges beyond the prefix."""
        return tuple(ByteRange(start, end) for start, end in self.beyond)


class ProgressJournal:
    """One file in the state folder, replaced as a whole, so that it is never read torn."""

    def __init__(self, folder: Path, key: str, *, disk: Disk = DISK) -> None:
        """Keep the journal of download ``key`` in ``folder``, which exists."""
        self._disk = disk
        self._path = folder / f"{key}.json"
        self._folder = folder

    def read(self) -> Progress | None:
        """The last entry.

        None when there is none or it cannot be understood, which means to start over.
        """
        try:
            return _decode(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None  # fail closed: nothing fetched is trusted without its entry

    def write(self, entry: Progress) -> None:
        """Make ``entry`` durable.

        Raises:
            OSError: the state folder cannot be written.
        """
        content = json.dumps({"version": _VERSION, **asdict(entry)}).encode()
        write_atomically(self._path, content, disk=self._disk)

    def clear(self) -> None:
        """Forget the download."""
        self._path.with_name(f"{self._path.name}.new").unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
        self._disk.sync_folder(self._folder)


def _decode(data: dict[str, Any]) -> Progress:
    if data.pop("version") != _VERSION:
        raise ValueError("unknown version")
    data["stage"] = Stage(data["stage"])
    data["beyond"] = tuple((int(start), int(end)) for start, end in data["beyond"])
    entry = Progress(**data)
    ordered = all(0 <= start < end <= entry.size for start, end in entry.beyond)
    if not (0 <= entry.prefix <= entry.size and ordered):
        raise ValueError("ranges outside of the file")
    return entry
