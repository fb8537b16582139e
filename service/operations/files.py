"""Upload a version of a file in parts, list and read versions, and retire one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.artifacts import Artifact
from service.domain.files import (
    NO_PACKAGE,
    OWN_FILES,
    FileState,
    FileVersion,
    Package,
    check_file,
    check_manifest,
    check_parts,
    missing_parts,
    part_size_for,
)
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.domain.work import Work, WorkKind
from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.operations.once import Once
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cedarfleet_device.wire import Signed

    from service.domain.files import FilePage, SignedPart, UploadPart
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.files import FileObjects, FileRecords
    from service.ports.work import WorkQueue

# At most: a URL ends with its credentials (source: S3 user guide, "Download and upload
# objects with presigned URLs"), which are renewed a quarter of an hour before their end.
URL_SECONDS: Final = 600
_NAMED: Final = 20  # missing parts that a refusal names
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """What is to be uploaded, as its uploader says."""

    name: str
    size: int
    sha256: str
    package: Package = NO_PACKAGE
    manifest: Signed | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignedParts:
    """URLs of parts, and when they end."""

    parts: tuple[SignedPart, ...]
    expires_at: datetime


class Files:
    """The uploaded files of the caller's tenant."""

    def __init__(
        self, *, records: FileRecords, objects: FileObjects, queue: WorkQueue, clock: Clock
    ) -> None:
        self._records = records
        self._objects = objects
        self._queue = queue
        self._clock = clock
        self._once: Once[FileVersion] = Once(
            noun="file", unsettled="file.settle_failed", records=records, clock=clock
        )

    async def begin(self, access: Access, new: NewFile) -> FileVersion:
        """Record a version that is to come, and begin its upload.

        Raises:
            InvalidRequestError: a member is not of its form.
            PermissionDeniedError: not allowed.
            IdempotencyMismatchError: the idempotency key stands for another request.
        """
        check_file(new.name, new.size, new.sha256, new.package)
        if new.manifest is not None:
            check_manifest(new.manifest, name=new.name, size=new.size, sha256=new.sha256)
        tenant, now = access.principal.tenant, self._once.now_ms()
        artifact = Artifact(
            tenant=tenant.id, name=new.name, size=new.size, sha256=new.sha256, etag=""
        )
        await _require(access, Permission.UPLOAD_FILE, artifact)
        await self._check_sbom(tenant, new.package)
        file_id = new_ulid(now)
        file = FileVersion(
            file_id=file_id,
            tenant=tenant.id,
            name=new.name,
            size=new.size,
            sha256=new.sha256,
            part_size=part_size_for(new.size),
            upload=await self._objects.begin(tenant, file_id),
            created_by=access.principal.entity_id,
            created_at=now,
            changed_at=now,
            package=new.package,
            manifest=new.manifest,
            revision=1,
        )
        package = new.package
        signed = new.manifest and asdict(new.manifest)
        asked = (new.name, new.size, new.sha256, package.name, package.version)
        stored = await self._once.create(
            access.principal,
            file,
            key=new.idempotency_key,
            request=(*asked, package.sbom_sha256, package.sbom_url, signed),
        )
        if stored.file_id != file.file_id:
            await self._objects.discard(tenant, file)
        return stored

    async def sign_parts(
        self, access: Access, file_id: str, parts: Sequence[UploadPart]
    ) -> SignedParts:
        """URLs by which these parts of an upload can be sent.

        Raises:
            NotFoundError: the tenant has no such version.
            PermissionDeniedError: not allowed.
            ConflictError: it is uploaded already.
            InvalidRequestError: the file has no such part, or a digest is not of its form.
        """
        tenant = access.principal.tenant
        file = await self._find(tenant, file_id)
        await _require(access, Permission.UPLOAD_FILE, file.artifact())
        _check_uploading(file)
        check_parts(file, parts)
        signed = await self._objects.sign(tenant, file, parts, seconds=URL_SECONDS)
        until = min(part.until for part in signed)
        return SignedParts(parts=signed, expires_at=datetime.fromtimestamp(until, UTC))

    async def complete(self, access: Access, file_id: str) -> FileVersion:
        """Say that all parts were sent: the worker puts them together and verifies the whole.

        Asked again it hands over again, and is fine once that was done.

        Raises:
            NotFoundError: the tenant has no such version.
            PermissionDeniedError: not allowed.
            ConflictError: a part has not come; which ones is told.
            UpstreamError: it could not be handed to the worker: ask again.
        """
        tenant = access.principal.tenant
        file = await self._find(tenant, file_id)
        await _require(access, Permission.UPLOAD_FILE, file.artifact())
        if file.state is FileState.UPLOADING:
            missing = missing_parts(file, await self._objects.sizes(tenant, file))
            if missing:
                named = ", ".join(str(number) for number in missing[:_NAMED])
                more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
                raise ConflictError(f"these parts have not come whole: {named}{more}")
            file = await self._settle(tenant, replace(file, state=FileState.VERIFYING))
        if file.state is FileState.VERIFYING:
            await self._queue.send([verify(tenant, file_id)])
        return file

    async def page(
        self, access: Access, *, prefix: str, limit: int, cursor: str | None
    ) -> FilePage:
        """One page of versions whose names begin so, without those that the caller may not view.

        A page may have less than ``limit``, or none, and a cursor all the same.

        Raises:
            PermissionDeniedError: a policy forbids the list as a whole.
            InvalidRequestError: the cursor is not one of ours.
        """
        tenant = access.principal.tenant
        entities = (tenant_entity(tenant.id),)
        await access.permitted(Permission.VIEW_FILE, entities)
        page = await self._records.page(tenant, prefix=prefix, limit=limit, cursor=cursor)
        purposes = [Purpose(artifact=file.artifact()) for file in page.files]
        shown = await access.shown(
            Permission.VIEW_FILE, [entities] * len(page.files), purposes=purposes
        )
        viewed = (file for file, is_shown in zip(page.files, shown, strict=True) if is_shown)
        return replace(page, files=tuple(viewed))

    async def read(self, access: Access, file_id: str) -> FileVersion:
        """One version.

        Raises:
            NotFoundError: the tenant has no such version.
            PermissionDeniedError: not allowed.
        """
        file = await self._find(access.principal.tenant, file_id)
        await _require(access, Permission.VIEW_FILE, file.artifact())
        return file

    async def retire(self, access: Access, file_id: str) -> FileVersion:
        """Deliver a version no more; downloads that wait for devices go on, and its row stays.

        Raises:
            NotFoundError: the tenant has no such version.
            PermissionDeniedError: not allowed.
            ConflictError: somebody else changed it meanwhile.
        """
        tenant = access.principal.tenant
        file = await self._find(tenant, file_id)
        await _require(access, Permission.RETIRE_FILE, file.artifact())
        # Fail closed: a later release may be doing something with it.
        if file.state is FileState.UNKNOWN:
            raise ConflictError(f"file `{file_id}` is in a state of a later release: ask again")
        if file.state is not FileState.RETIRED:
            # Before its object goes: what nobody can read must not be deliverable.
            file = await self._settle(tenant, replace(file, state=FileState.RETIRED))
            log.info("file.retired", file=file_id)
        await self._objects.discard(tenant, file)
        return file

    async def _check_sbom(self, tenant: Tenant, package: Package) -> None:
        """Refuse a bill of materials of ours whose digest is another than the one that is told.

        One that stands elsewhere is fetched by nobody here: whoever reads it has its digest.
        """
        if not package.sbom_url.startswith(OWN_FILES):
            return
        file_id = package.sbom_url.removeprefix(OWN_FILES)
        known = await self._records.read(tenant, file_id) if wire.is_command_id(file_id) else None
        # Fail closed: the digest of any other version is the word of its uploader alone.
        if known is None or known.state is not FileState.AVAILABLE:
            raise InvalidRequestError("sbom.url", f"is no `available` version: `{file_id[:64]}`")
        if known.sha256 != package.sbom_sha256:
            raise InvalidRequestError("sbom.sha256", f"is not the digest of `{OWN_FILES}{file_id}`")

    async def _find(self, tenant: Tenant, file_id: str) -> FileVersion:
        file = await self._records.read(tenant, file_id) if wire.is_command_id(file_id) else None
        if file is None:
            raise NotFoundError("file", file_id)
        return file

    async def _settle(self, tenant: Tenant, file: FileVersion) -> FileVersion:
        changed = replace(file, changed_at=milliseconds(self._clock()))
        await self._records.settle(tenant, changed)
        return replace(changed, revision=changed.revision + 1)


def verify(tenant: Tenant, file_id: str) -> Work:
    """What has the worker put a version together and verify it."""
    return Work(
        kind=WorkKind.VERIFY_FILE,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"file": file_id},
    )


async def _require(access: Access, action: Permission, artifact: Artifact) -> None:
    tenant = access.principal.tenant
    await access.require(action, (tenant_entity(tenant.id),), Purpose(artifact=artifact))


def _check_uploading(file: FileVersion) -> None:
    if file.state is not FileState.UPLOADING:
        raise ConflictError(f"file `{file.file_id}` is {file.state}: it takes no more parts")
