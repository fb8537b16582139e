"""The file that a tenant is handed: parts with their digests, in a tar without compression.

While it is made its parts stand in a folder beside it, each written as a whole and noted with its
digest, so that an export that was killed goes on with the part in which it was. Layout::

    manifest.json         format, tenant, when and by whom, of each part its size and SHA-256
    <part>.jsonl          a line of JSON each
    files/<sha256>        content of files, once each

People's addresses and the tenant's trail stand in it, so it is its maker's alone (0600, folders
0700) from the first byte on, whatever the umask; whom it is handed to is for them to say.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20  # bytes


class ArchiveError(Exception):
    """The file is no archive of this kind, or a part of it is not what its manifest says."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The folder in which an archive is made.

    Attributes:
        folder: of its parts.
        head: what the manifest says beside the parts.
    """

    folder: Path
    head: dict[str, Any]

    @classmethod
    def begun(cls, folder: Path, head: dict[str, Any]) -> Workshop:
        """Begin in a folder, or go on there: then with the head of then.

        Raises:
            ArchiveError: the folder holds the parts of something else.
        """
        file = folder / MANIFEST
        if file.exists():
            known = _read(file.read_bytes(), str(file))
            if known["tenant"] != head["tenant"]:
                raise ArchiveError(f"{folder}: holds an export of `{known['tenant']}`")
            return cls(folder=folder, head=known)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(folder=folder, head={"format": FORMAT, **head, "parts": {}})
        made.write_manifest()
        return made

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """Name of a part that is whole -> `bytes`, `sha256` and what else is noted of it."""
        return self.head["parts"]

    def put(self, name: str, lines: Iterable[str], **noted: Any) -> None:
        """Write a part, unless it is whole already.

        Args:
            name: of its file.
            lines: without their ends.
            noted: what the manifest says of it beside size and digest.
        """
        if name in self.parts:
            return
        hashed, size = hashlib.sha256(), 0
        new = self.folder / f".{name}"
        with private(new) as file:
            for line in lines:
                content = f"{line}\n".encode()
                hashed.update(content)
                size += len(content)
                file.write(content)
            _flush(file)
        new.replace(self.folder / name)
        self.note(name, {"bytes": size, "sha256": hashed.hexdigest(), **noted})

    def note(self, name: str, said: dict[str, Any]) -> None:
        """Say in the manifest that a part is whole."""
        self.parts[name] = said
        self.write_manifest()

    def keep(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Keep a file's content under its digest; SHA-256 and size."""
        hashed, size = hashlib.sha256(), 0
        files = self.folder / "files"
        files.mkdir(mode=0o700, exist_ok=True)
        new = files / ".new"
        with private(new) as file:
            for chunk in chunks:
                hashed.update(chunk)
                size += len(chunk)
                file.write(chunk)
            _flush(file)
        new.replace(files / hashed.hexdigest())
        return hashed.hexdigest(), size

    def write_manifest(self) -> None:
        """Replace the manifest as a whole."""
        new = self.folder / f".{MANIFEST}"
        with private(new) as file:
            file.write(json.dumps(self.head, indent=1, sort_keys=True).encode() + b"\n")
            _flush(file)
        new.replace(self.folder / MANIFEST)

    def packed(self, file: Path) -> str:
        """Make the one file of the parts; its SHA-256. The same parts make the same bytes."""
        names = [MANIFEST, *sorted(self.parts)]
        names += sorted(f"files/{one.name}" for one in (self.folder / "files").glob("[0-9a-f]*"))
        new = file.with_name(f".{file.name}")
        with (
            private(new) as opened,
            tarfile.open(fileobj=opened, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in names:
                tar.add(self.folder / name, arcname=name, filter=_plain)
        new.replace(file)
        return sha256_of(file)


def private(file: Path) -> IO[bytes]:
    """A file to be written that nobody else may read; what a killed run left of it goes first."""
    # Not opened again: it would keep the mode that it has.
    file.unlink(missing_ok=True)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime, member.mode = 0, 0o600
    return member


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive that was unpacked and found to be what its manifest says.

    Attributes:
        folder: of its parts.
        manifest: as it stands there.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def opened(cls, file: Path, folder: Path) -> Archive:
        """Unpack an archive, and compare each part and each file with its digest.

        Args:
            file: that `export` made.
            folder: an empty one.

        Raises:
            ArchiveError: it is none, it is of a later format, or something of it was changed.
        """
        try:
            with tarfile.open(file) as tar:
                tar.extractall(folder, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise ArchiveError(f"{file}: is no archive: {error}") from error
        if not (folder / MANIFEST).is_file():
            raise ArchiveError(f"{file}: has no {MANIFEST}")
        manifest = _read((folder / MANIFEST).read_bytes(), str(file))
        made = cls(folder=folder, manifest=manifest)
        for name, said in manifest["parts"].items():
            part = folder / name
            if not part.is_file() or sha256_of(part) != said["sha256"]:
                raise ArchiveError(f"{file}: {name} is missing, or not what the manifest says")
        for line in made.lines("files.jsonl"):
            content = folder / "files" / line["sha256"]
            if not content.is_file() or sha256_of(content) != line["sha256"]:
                raise ArchiveError(f"{file}: content of `{line['key']}` is missing or was changed")
        return made

    def lines(self, part: str) -> Iterator[dict[str, Any]]:
        """The documents of a part."""
        with (self.folder / part).open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def chunks_of(body: Any) -> Iterator[bytes]:
    """A streaming body of botocore, piece by piece."""
    while chunk := body.read(_CHUNK):
        yield chunk


def _read(content: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
        known = found["format"] == FORMAT and isinstance(found["parts"], dict)
        tenant = str(found["tenant"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{where}: its {MANIFEST} is none: {error!r}") from error
    if not known:
        raise ArchiveError(f"{where}: is of format {found['format']}, not {FORMAT}: `{tenant}`")
    return found
