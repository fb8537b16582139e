"""A file that a tenant uploads: its versions, their parts, and from when on one is delivered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cedarfleet_device.wire import Manifest, WireError

from service.domain.artifacts import OWN_PREFIX, Artifact, is_artifact_name
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cedarfleet_device.wire import Signed

_MIB: Final = 1024 * 1024
MAX_SIZE: Final = 1024 * 1024 * _MIB
"""Bytes, 1 TiB: at 25 MB/s the worker has read them within the 12 hours for which it can hold a
message of SQS (source: SQS developer guide, "Amazon SQS visibility timeout"). S3 takes 48.8 TiB
(source: S3 user guide, "Amazon S3 multipart upload limits")."""
MAX_PARTS: Final = 10_000
"""Of one upload (source: S3 user guide, "Amazon S3 multipart upload limits")."""
LEAST_PART: Final = 8 * _MIB
"""Bytes of each part but the last; S3 wants 5 MiB at least (source: the same page)."""
UPLOAD_DAYS: Final = 7
"""For which an upload may be unfinished: then the bucket's lifecycle drops its parts."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class FileState(StrEnum):
    """How far a version of a file is; only an ``available`` one is delivered."""

    UPLOADING = "uploading"
    VERIFYING = "verifying"
    AVAILABLE = "available"
    REFUSED = "refused"
    RETIRED = "retired"
    UNKNOWN = "unknown"
    """What a later release wrote; never written by this one."""

    @classmethod
    def of_row(cls, text: str) -> FileState:
        """The state that a row has, whichever release wrote it: two run side by side for a while.

        Args:
            text: as it stands there.
        """
        return cls(text) if text in set(cls) else cls.UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Package:
    """What a version is to those who build and watch it; all of it may be left out.

    Attributes:
        name: of the package, e.g. `press-controller`.
        version: of the package, in the tenant's own way of counting.
        sbom_sha256: of its software bill of materials, 64 lower-case hex digits.
        sbom_url: where that stands.
    """

    name: str = ""
    version: str = ""
    sbom_sha256: str = ""
    sbom_url: str = ""


NO_PACKAGE: Final = Package()


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """One version of a file, in an object of its own that nothing is ever written over.

    Attributes:
        file_id: ULID; names the version, and its object.
        name: as devices get it, e.g. ``recipes/steel.json``; its versions share it.
        size: bytes, as the uploader says and S3 counts them.
        sha256: of the whole file as the uploader says it, until the worker has found the same.
        part_size: bytes of each part but the last.
        upload: S3's id of the multipart upload.
        manifest: what the file's maker says and signs of it, for the device to judge.
        problem: why it was refused.
        created_at: milliseconds since the epoch.
        changed_at: the same, of the last change of its state.
        etag: S3's, with its quotes; empty until the parts are put together.
        version: S3's id of the object's version.
        revision: counted up with each change; 0: not stored yet.
    """

    file_id: str
    tenant: str
    name: str
    size: int
    sha256: str
    part_size: int
    upload: str
    created_by: str
    created_at: int
    changed_at: int
    package: Package = NO_PACKAGE
    manifest: Signed | None = None
    state: FileState = FileState.UPLOADING
    problem: str = ""
    etag: str = ""
    version: str = ""
    revision: int = 0

    @property
    def key(self) -> str:
        """Of its object in the tenant's bucket."""
        return file_key(self.file_id)

    @property
    def parts(self) -> int:
        """How many parts it comes in."""
        return -(-self.size // self.part_size)

    def size_of(self, part: int) -> int:
        """Bytes of a part, from 1."""
        return min(self.part_size, self.size - (part - 1) * self.part_size)

    def artifact(self) -> Artifact:
        """What is delivered of it, or decided on."""
        return Artifact(
            tenant=self.tenant,
            name=self.name,
            size=self.size,
            sha256=self.sha256 if self.state is FileState.AVAILABLE else None,
            etag=self.etag,
            version=self.version or None,
            manifest=self.manifest,
            file_id=self.file_id,
        )


@dataclass(frozen=True, kw_only=True)
class FilePage:
    """Versions in the order of names and, of one name, of their age; ``cursor`` asks for more."""

    files: tuple[FileVersion, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class UploadPart:
    """A part that is to come: its number from 1, and 64 hex digits of its SHA-256."""

    number: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SignedPart:
    """Where a part is sent, by ``PUT`` with these headers, and by nobody without them.

    Attributes:
        until: when the URL ends, in seconds since the epoch.
    """

    number: int
    url: str
    headers: tuple[tuple[str, str], ...]
    until: float

    def __repr__(self) -> str:
        """Without the URL, which lets anybody write the part."""
        return f"SignedPart(number={self.number})"


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """The object that an upload became: S3's version of it and its ETag with quotes."""

    version: str
    etag: str
    size: int


def file_key(file_id: str) -> str:
    """The object of a version; no artifact's name begins so."""
    return f"{OWN_PREFIX}{file_id}"


def part_size_for(size: int) -> int:
    """Bytes of each part: 8 MiB, or as many whole MiB as keep an upload within its 10,000 parts."""
    return max(LEAST_PART, -(-size // (MAX_PARTS * _MIB)) * _MIB)


def check_file(name: str, size: int, sha256: str, package: Package) -> None:
    """Refuse what cannot be uploaded.

    Raises:
        InvalidRequestError: a member is not of its form.
    """
    if not is_artifact_name(name):
        raise InvalidRequestError(
            "name",
            "must be a relative name like `recipes/steel.json`, of A-Z, a-z, 0-9 and `_.=@+-/`",
        )
    if not 1 <= size <= MAX_SIZE:
        raise InvalidRequestError("size", f"must be 1 to {MAX_SIZE} bytes")
    check_sha256("sha256", sha256)
    if package.sbom_sha256:
        check_sha256("sbom.sha256", package.sbom_sha256)
    is_ours = package.sbom_url.startswith(OWN_FILES)
    if package.sbom_url and not is_ours and not package.sbom_url.startswith("https://"):
        words = f"must be an `https://` URL, or `{OWN_FILES}` and the id of a version"
        raise InvalidRequestError("sbom.url", words)


OWN_FILES: Final = "/v1/files/"
"""How the link to a bill of materials begins that was itself uploaded here."""


def check_manifest(manifest: Signed, *, name: str, size: int, sha256: str) -> None:
    """Refuse a manifest of another file: no device would take this one with it.

    Raises:
        InvalidRequestError: it is not of its form, or of another name, size or digest.
    """
    try:
        told = Manifest.decode(manifest.text.encode())
    except WireError as error:
        raise InvalidRequestError("manifest.text", str(error)) from error
    if (told.name, told.size, told.sha256) != (name, size, sha256):
        raise InvalidRequestError(
            "manifest.text", f"is of `{told.name}` with {told.size} bytes, not of this file"
        )


def check_sha256(field: str, text: str) -> None:
    """Refuse what is no SHA-256.

    Raises:
        InvalidRequestError: of ``field``.
    """
    if _SHA256.fullmatch(text) is None:
        raise InvalidRequestError(field, "must be a SHA-256, 64 lower-case hex digits")


def check_parts(file: FileVersion, parts: Sequence[UploadPart]) -> None:
    """Refuse parts that the file does not have.

    Raises:
        InvalidRequestError: none, one that is out of the file or stands twice, or no digest.
    """
    if not parts:
        raise InvalidRequestError("parts", "name at least one")
    for index, part in enumerate(parts):
        if not 1 <= part.number <= file.parts:
            raise InvalidRequestError(
                f"parts[{index}].number", f"the file comes in parts 1 to {file.parts}"
            )
        check_sha256(f"parts[{index}].sha256", part.sha256)
    if len({part.number for part in parts}) < len(parts):
        raise InvalidRequestError("parts", "a part stands twice")


def missing_parts(file: FileVersion, sizes: dict[int, int]) -> tuple[int, ...]:
    """Numbers of the parts that have not come, or not as long as they are to be.

    Args:
        file: which parts it has.
        sizes: bytes of those that have come, by their numbers.
    """
    return tuple(
        number
        for number in range(1, file.parts + 1)
        if sizes.get(number, -1) != file.size_of(number)
    )
