"""Deliver a file of the tenant's bucket to a device or group, and read how far each device came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.domain.artifacts import Artifact, is_artifact_name, permission_for
from service.domain.devices import Device
from service.domain.downloads import (
    MAX_MEMBERS,
    Closing,
    DeliveryState,
    DownloadRecord,
    DownloadRecordState,
    TargetKind,
    jobs_of,
)
from service.domain.groups import DeviceGroup
from service.domain.instants import new_ulid
from service.domain.permissions import Permission
from service.domain.rollouts import Reach
from service.domain.work import Work, WorkKind
from service.errors import (
    ConflictError,
    DownloadNotStartedError,
    InvalidRequestError,
    NotFoundError,
    UpstreamError,
)
from service.operations.devices import find_device_or_none, require_view
from service.operations.download_lists import (
    DownloadView,
    find_target,
    knowing_targets,
    view_of,
)
from service.operations.known_groups import knowing
from service.operations.member_decisions import each_allowed
from service.operations.once import Once
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.identities import Principal
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.artifacts import Artifacts
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries, DownloadRecords
    from service.ports.files import FileRecords
    from service.ports.groups import GroupRecords
    from service.ports.work import WorkQueue

_OPEN: Final = frozenset({DeliveryState.CREATED, DeliveryState.QUEUED, DeliveryState.IN_PROGRESS})
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class DownloadRequest:
    """Which file goes where.

    Attributes:
        artifact: the file's name; empty where ``file_id`` names the version.
        file_id: of one uploaded version; ``None``: the newest that is available.
    """

    target_kind: TargetKind
    target: str
    artifact: str
    file_id: str | None = None
    emergency_reason: str | None = None
    idempotency_key: str | None = None


class Downloads:
    """The downloads of the caller's tenant."""

    def __init__(
        self,
        *,
        devices: DeviceFacts,
        groups: GroupRecords,
        artifacts: Artifacts,
        files: FileRecords,
        records: DownloadRecords,
        deliveries: Deliveries,
        queue: WorkQueue,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._groups = groups
        self._artifacts = artifacts
        self._files = files
        self._records = records
        self._deliveries = deliveries
        self._queue = queue
        self._once: Once[DownloadRecord] = Once(
            noun="download", unsettled="download.settle_failed", records=records, clock=clock
        )

    async def start(self, access: Access, request: DownloadRequest) -> DownloadRecord:
        """Record the download for its devices of this moment, and hand it to the worker.

        Raises:
            NotFoundError: the tenant has no such device, group or file.
            InvalidRequestError: the file's name is not of its form.
            PermissionDeniedError: not allowed; said before whether the file exists.
            ConflictError: nobody vouches for the file's SHA-256, so no device could verify it; the
                uploaded version is not available; or the group has no device, or more than a
                download can serve.
            IdempotencyMismatchError: the idempotency key stands for another request.
            DownloadNotStartedError: recorded as failed; if even that could not be stored, the
                record stays ``created``.
        """
        tenant = access.principal.tenant
        if request.file_id is None and not is_artifact_name(request.artifact):
            raise InvalidRequestError(
                "artifact",
                "must be a relative name like `recipes/steel.json`, of A-Z, a-z, 0-9 and `_.=@+-/`",
            )
        if request.target_kind is TargetKind.GROUP:
            tenant = await knowing(self._groups, tenant, [request.target])
        target = await find_target(self._devices, tenant, request.target_kind, request.target)
        # Fail closed: what was retired is sent nothing.
        if isinstance(target, Device) and target.retired_at is not None:
            raise ConflictError(f"device `{target.id}` was retired, for good")
        artifact = await self.file(tenant, request.artifact, request.file_id)
        action = permission_for(artifact.name if artifact else request.artifact)
        download_id = new_ulid(self._once.now_ms())
        purpose = Purpose(
            artifact=artifact,
            emergency_reason=request.emergency_reason,
            about={"download": download_id},
        )
        if isinstance(target, DeviceGroup):
            # One more than a download can serve, so that too many can be told.
            members = await self._devices.members(tenant, target, limit=MAX_MEMBERS)
            if action is Permission.UPDATE_FIRMWARE:
                asked = replace(purpose, reach=Reach(targets=len(members)))
                allowed = await each_allowed(access, members, action, asked)
                purpose = replace(purpose, members_allowed=allowed)
        else:
            members = (target,)
        purpose = replace(purpose, reach=Reach(targets=len(members)))
        decision = await access.require(action, target.entities(tenant.groups), purpose)
        if artifact is None and request.file_id is not None:
            raise NotFoundError("file", request.file_id)
        if artifact is None:
            raise NotFoundError("artifact", request.artifact)
        if isinstance(target, DeviceGroup):
            check_members(target, members)
        record = self._record(access, request, artifact, devices=len(members))
        record = replace(record, download_id=download_id, decision=decision)
        jobs = tuple(jobs_of([device.id for device in members]))
        # Before the record, which says that they are all there.
        await self._deliveries.plan(tenant, record, jobs)
        stored = await self._once.create(
            access.principal,
            record,
            key=request.idempotency_key,
            request=(
                request.target_kind,
                request.target,
                request.artifact,
                request.emergency_reason,
                # Where no version is named, the key of a release that knew none is the same.
                *([] if request.file_id is None else [request.file_id]),
            ),
        )
        if stored.state is DownloadRecordState.STARTED:
            return stored
        return await self.hand_over(tenant, stored)

    async def read(
        self, access: Access, download_id: str, *, limit: int, cursor: str | None
    ) -> DownloadView:
        """How far a download came, one page of devices at a time.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        record, target, tenant = await self.find(tenant, download_id, by=access.principal)
        if isinstance(target, DeviceGroup):
            await access.require(Permission.VIEW_DOWNLOAD, target.entities(tenant.groups))
        else:
            await require_view(access, Permission.VIEW_DOWNLOAD, target)
        progress = await self._deliveries.progress(tenant, record, limit=limit, cursor=cursor)
        return DownloadView(record=record, progress=progress)

    async def cancel(self, access: Access, download_id: str) -> DownloadView:
        """Have the worker cancel what has not begun on its device; asked again it is fine.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
            PermissionDeniedError: not allowed.
            ConflictError: it has ended, or never began.
            UpstreamError: it may be closed, and the worker not told: ask again.
        """
        tenant = access.principal.tenant
        record, target, tenant = await self.find(tenant, download_id, by=access.principal)
        purpose = Purpose(artifact=delivered(record), about={"download": record.download_id})
        await access.require(Permission.CANCEL_DOWNLOAD, target.entities(tenant.groups), purpose)
        state = (await view_of(self._deliveries, tenant, record)).progress.state
        if record.closing is None and state in _OPEN:
            if await self._records.close(tenant, record, Closing.CANCELED):
                record = replace(record, closing=Closing.CANCELED)
            else:
                record = await self._find(tenant, download_id)
        if record.closing is not Closing.CANCELED:
            raise ConflictError(
                f"download `{download_id}` is `{state}`: there is nothing left to cancel"
            )
        await self._queue.send([advance(tenant, download_id)])
        log.info("download.canceled", download=record.name)
        return await view_of(self._deliveries, tenant, record)

    async def find(
        self, tenant: Tenant, download_id: str, *, by: Principal | None = None
    ) -> tuple[DownloadRecord, Device | DeviceGroup, Tenant]:
        """A download with what policies decide on it, and the tenant with the group that this is.

        Args:
            tenant: whose it is.
            download_id: which.
            by: who asks; of a selection that they began a device of it is decided on, which they
                were let deliver to; for anybody else the group that it was selected in.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
        """
        record = await self._find(tenant, download_id)
        tenant = await knowing_targets(self._groups, tenant, [record])
        is_own = by is not None and record.created_by == by.entity_id
        if is_own and record.target_kind is TargetKind.SELECTION:
            found = await self._deliveries.job(tenant, record, 0)
            for name in found[0].members if found else ():
                device = await find_device_or_none(self._devices, tenant, name)
                if device is not None and device.problem is None:
                    return record, device, tenant
        target = await find_target(self._devices, tenant, record.target_kind, record.target)
        return record, target, tenant

    async def _find(self, tenant: Tenant, download_id: str) -> DownloadRecord:
        known = wire.is_command_id(download_id)
        record = await self._records.read(tenant, download_id) if known else None
        if record is None:
            raise NotFoundError("download", download_id)
        return record

    async def file(self, tenant: Tenant, name: str, file_id: str | None) -> Artifact | None:
        """What is to be delivered; without a digest, if it must not be.

        Args:
            tenant: whose file.
            name: of the file; empty where ``file_id`` names the version.
            file_id: of one uploaded version.
        """
        if file_id is not None:
            known = wire.is_command_id(file_id)
            file = await self._files.read(tenant, file_id) if known else None
            return file.artifact() if file else None
        newest = await self._files.newest(tenant, name)
        # Fail closed: of a name with uploaded versions none but an available one is delivered.
        if newest is not None:
            return newest.artifact()
        return await self._artifacts.find(tenant, name)

    def _record(
        self, access: Access, request: DownloadRequest, artifact: Artifact, *, devices: int
    ) -> DownloadRecord:
        sha256 = deliverable(artifact)
        now = self._once.now_ms()
        return DownloadRecord(
            download_id=new_ulid(now),
            tenant=access.principal.tenant.id,
            target_kind=request.target_kind,
            target=request.target,
            artifact=artifact.name,
            size=artifact.size,
            sha256=sha256,
            etag=artifact.etag,
            version=artifact.version,
            manifest=artifact.manifest,
            file_id=artifact.file_id,
            created_by=access.principal.entity_id,
            created_at=now,
            emergency_reason=request.emergency_reason,
            devices=devices,
        )

    async def hand_over(self, tenant: Tenant, record: DownloadRecord) -> DownloadRecord:
        """Have the worker begin with a recorded download; again is safe."""
        if record.state is DownloadRecordState.FAILED:
            record = replace(record, state=DownloadRecordState.CREATED, failure=None)
            # Else the worker would leave alone what failed.
            await self._records.settle(tenant, record)
        try:
            await self._queue.send([advance(tenant, record.download_id)])
        except UpstreamError as error:
            failure = "it could not be handed to the worker"
            failed = replace(record, state=DownloadRecordState.FAILED, failure=failure)
            await self._once.settle(tenant, failed, name=record.name, state=failed.state)
            raise DownloadNotStartedError(record.download_id) from error
        log.info(
            "download.recorded",
            download=record.name,
            target=record.target,
            artifact=record.artifact,
            devices=record.devices,
        )
        return record


def advance(tenant: Tenant, download_id: str) -> Work:
    """What has the worker look at a download."""
    return Work(
        kind=WorkKind.ADVANCE_DOWNLOAD,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"download": download_id},
    )


def deliverable(artifact: Artifact) -> str:
    """The digest by which devices verify a file that may be delivered.

    Raises:
        ConflictError: nobody vouches for it.
    """
    # Fail closed: a file that nobody can verify is not delivered.
    if artifact.sha256 is None and artifact.file_id is not None:
        raise ConflictError(
            f"version `{artifact.file_id}` of file `{artifact.name}` is not available:"
            f" `/v1/files/{artifact.file_id}` says why"
        )
    if artifact.sha256 is None:
        raise ConflictError(
            f"artifact `{artifact.name}` has no SHA-256 of the whole file: upload it again with"
            " metadata `sha256`, 64 lower-case hex digits; a checksum of S3 serves only where"
            " the upload was in one part (at most 5 GB) and asked for SHA256"
        )
    return artifact.sha256


def delivered(record: DownloadRecord) -> Artifact:
    """The file of a download, for the policies."""
    return Artifact(
        tenant=record.tenant,
        name=record.artifact,
        size=record.size,
        sha256=record.sha256,
        etag=record.etag,
    )


def check_members(group: DeviceGroup, members: Sequence[Device]) -> None:
    """Refuse a group that no download can serve.

    Raises:
        ConflictError: it has no device, or too many.
    """
    if not members:
        raise ConflictError(f"group `{group.id}` has no device yet")
    if len(members) > MAX_MEMBERS:
        raise ConflictError(
            f"group `{group.id}` has more than {MAX_MEMBERS} devices, which is as many as one "
            "download can serve: deliver to smaller groups"
        )
