"""Files: upload a version in parts, list and read versions, and retire one."""

from datetime import datetime
from typing import Annotated

from cedarfleet_device.wire import Signed, WireError
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import asdict

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, IdempotencyKey, Label, Limit, Ops, utc
from service.domain.files import FileVersion, Package, UploadPart
from service.domain.permissions import Permission
from service.errors import InvalidRequestError
from service.operations.files import NewFile, SignedParts

Digest = Annotated[
    str,
    Meta(min_length=64, max_length=64, description="SHA-256, 64 lower-case hex digits"),
]
Name = Annotated[
    str, Meta(min_length=1, max_length=512, description="as devices get it: `recipes/steel.json`")
]
Prefix = Annotated[
    str, QueryParameter(max_length=512, description="of names that begin so: `recipes/`")
]


class Sbom(Struct, forbid_unknown_fields=True, frozen=True):
    """The software bill of materials of a version: its digest, and where it stands."""

    sha256: Digest
    url: Annotated[str, Meta(min_length=1, max_length=2048)]


class PackageName(Struct, forbid_unknown_fields=True, frozen=True):
    """What the version is to those who build it."""

    name: Label
    version: Label


class SignedManifest(Struct, forbid_unknown_fields=True, frozen=True):
    """What the maker of a file says of it, exactly as it was signed, and the signatures by key id.

    `cedarfleet-sign` makes it; devices that pin keys take no file without one.
    """

    text: str
    signatures: dict[str, str]


class FileBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A version that is to be uploaded: its size in bytes, and the digest of the whole."""

    name: Name
    size: int
    sha256: Digest
    package: PackageName | None = None
    sbom: Sbom | None = None
    manifest: SignedManifest | None = None


class FileOut(Struct, frozen=True):
    """A version of a file; it is delivered only while it is `available`.

    ``sha256`` is what the uploader says until it is `available`: then the worker has found it.
    """

    id: str
    name: str
    state: str
    size: int
    sha256: str
    package: PackageName | None
    sbom: Sbom | None
    parts: int
    part_size: int
    problem: str | None
    created_by: str
    created_at: datetime | None
    changed_at: datetime | None

    @classmethod
    def of(cls, file: FileVersion) -> "FileOut":
        """A version for the answer."""
        package = file.package
        return cls(
            id=file.file_id,
            name=file.name,
            state=file.state,
            size=file.size,
            sha256=file.sha256,
            package=PackageName(package.name, package.version) if package.name else None,
            sbom=Sbom(package.sbom_sha256, package.sbom_url) if package.sbom_sha256 else None,
            parts=file.parts,
            part_size=file.part_size,
            problem=file.problem or None,
            created_by=file.created_by,
            created_at=utc(file.created_at),
            changed_at=utc(file.changed_at),
        )


class FilePageOut(Struct, frozen=True):
    """One page of versions, in the order of names and of their age; ``cursor`` asks for more."""

    files: list[FileOut]
    cursor: str | None


class PartBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A part that is to be sent: its number from 1, and the digest of its bytes."""

    number: int
    sha256: Digest


class PartsBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Parts that are to be sent now."""

    parts: Annotated[list[PartBody], Meta(max_length=100)]


class PartOut(Struct, frozen=True):
    """Where a part is sent: `PUT` its bytes to ``url`` with these headers."""

    number: int
    url: str
    headers: dict[str, str]


class PartsOut(Struct, frozen=True):
    """URLs of parts, for bytes of just these digests; ask again for those that ended."""

    parts: list[PartOut]
    expires_at: datetime

    @classmethod
    def of(cls, signed: SignedParts) -> "PartsOut":
        """Signed parts for the answer."""
        return cls(
            parts=[PartOut(one.number, one.url, dict(one.headers)) for one in signed.parts],
            expires_at=signed.expires_at,
        )


@post("/files", opt=needs(Permission.UPLOAD_FILE))
async def begin_file(
    access: Caller,
    operations: Ops,
    data: JSONBody[FileBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[FileOut]:
    """Begin to upload a version of a file; what was uploaded before under its name stays.

    It comes in `parts` of `part_size` bytes, the last has the rest: ask for their URLs, send them,
    then complete the file. An upload that is not completed within 7 days is dropped.
    """
    package, sbom = data.package, data.sbom
    new = NewFile(
        name=data.name,
        size=data.size,
        sha256=data.sha256,
        package=Package(
            name=package.name if package else "",
            version=package.version if package else "",
            sbom_sha256=sbom.sha256 if sbom else "",
            sbom_url=sbom.url if sbom else "",
        ),
        manifest=_signed(data.manifest),
        idempotency_key=idempotency_key,
    )
    file = await operations.files.begin(access, new)
    return Response(
        FileOut.of(file), status_code=201, headers={"Location": f"/v1/files/{file.file_id}"}
    )


def _signed(manifest: SignedManifest | None) -> Signed | None:
    """A manifest as the device's own reader takes it.

    Raises:
        InvalidRequestError: it is not of the form.
    """
    try:
        return None if manifest is None else Signed.of(asdict(manifest))
    except WireError as error:
        raise InvalidRequestError("manifest", str(error)) from error


@post("/files/{file_id:str}/parts", opt=needs(Permission.UPLOAD_FILE), status_code=200)
async def sign_parts(
    access: Caller, operations: Ops, file_id: FromPath[str], data: JSONBody[PartsBody]
) -> PartsOut:
    """URLs to send parts to, from a browser too; each takes the bytes of its digest alone."""
    parts = [UploadPart(number=part.number, sha256=part.sha256) for part in data.parts]
    return PartsOut.of(await operations.files.sign_parts(access, file_id, parts))


@post("/files/{file_id:str}/complete", opt=needs(Permission.UPLOAD_FILE), status_code=202)
async def complete_file(
    access: Caller, operations: Ops, file_id: FromPath[str]
) -> Response[FileOut]:
    """Say that all parts were sent; the whole is verified, and `available` if its digest is right.

    It may be asked again. A part that has not come is 409, and named.
    """
    file = await operations.files.complete(access, file_id)
    return Response(FileOut.of(file), status_code=202, headers={"Location": f"/v1/files/{file_id}"})


@get("/files", opt=needs(Permission.VIEW_FILE))
async def list_files(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None, prefix: Prefix = ""
) -> FilePageOut:
    """Versions of the tenant's uploaded files that the caller may view, each decided by itself.

    A page may be shorter than asked for. Files that were put into the bucket are not here.
    """
    page = await operations.files.page(access, prefix=prefix, limit=limit, cursor=cursor)
    return FilePageOut(files=[FileOut.of(file) for file in page.files], cursor=page.cursor)


@get("/files/{file_id:str}", opt=needs(Permission.VIEW_FILE))
async def read_file(access: Caller, operations: Ops, file_id: FromPath[str]) -> FileOut:
    """One version of a file."""
    return FileOut.of(await operations.files.read(access, file_id))


@delete("/files/{file_id:str}", opt=needs(Permission.RETIRE_FILE), status_code=200)
async def retire_file(access: Caller, operations: Ops, file_id: FromPath[str]) -> FileOut:
    """Deliver a version no more; downloads that wait for devices go on, and its row stays."""
    return FileOut.of(await operations.files.retire(access, file_id))
