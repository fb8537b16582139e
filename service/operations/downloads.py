"""Deliver a file of the tenant's bucket to a device or group, and read how far each device came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.domain.artifacts import is_artifact_name, permission_for
from service.domain.downloads import (
    DeliveryState,
    DownloadProgress,
    DownloadRecord,
    DownloadRecordState,
    TargetKind,
)
from service.domain.groups import DeviceGroup, find_group
from service.domain.instants import new_ulid
from service.domain.permissions import Permission
from service.errors import (
    ConflictError,
    DownloadNotStartedError,
    InvalidRequestError,
    NotFoundError,
    UpstreamError,
)
from service.operations.authorization import Purpose
from service.operations.devices import find_device
from service.operations.once import Once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.artifacts import Artifact
    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.artifacts import Artifacts
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import DownloadJobs, DownloadRecords

_MAX_MEMBERS: Final = 100  # targets of one job (source: AWS IoT Device Management quotas)
_WITHOUT_JOB: Final = {
    DownloadRecordState.CREATED: DeliveryState.CREATED,
    DownloadRecordState.STARTED: DeliveryState.UNKNOWN,  # AWS forgets a job two years after its end
    DownloadRecordState.FAILED: DeliveryState.FAILED,
}
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class DownloadRequest:
    """Which file goes where."""

    target_kind: TargetKind
    target: str
    artifact: str
    emergency_reason: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class DownloadView:
    """A download and what IoT Jobs says of it."""

    record: DownloadRecord
    progress: DownloadProgress


class Downloads:
    """The downloads of the caller's tenant."""

    def __init__(
        self,
        *,
        devices: DeviceFacts,
        artifacts: Artifacts,
        records: DownloadRecords,
        jobs: DownloadJobs,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._artifacts = artifacts
        self._records = records
        self._jobs = jobs
        self._once: Once[DownloadRecord] = Once(
            noun="download", unsettled="download.settle_failed", records=records, clock=clock
        )

    async def start(self, access: Access, request: DownloadRequest) -> DownloadRecord:
        """Record the download, then create its job.

        Raises:
            NotFoundError: the tenant has no such device, group or file.
            InvalidRequestError: the file's name is not of its form.
            PermissionDeniedError: not allowed; said before whether the file exists.
            ConflictError: nobody vouches for the file's SHA-256, so no device could verify it; or
                the group has no device, or more than one job can serve.
            IdempotencyMismatchError: the idempotency key stands for another request.
            DownloadNotStartedError: recorded as failed; if even that could not be stored, the
                record stays ``created``.
        """
        if not is_artifact_name(request.artifact):
            raise InvalidRequestError(
                "artifact",
                "must be a relative name like `recipes/steel.json`, of A-Z, a-z, 0-9 and `_.=@+-/`",
            )
        tenant = access.principal.tenant
        target = await self._target(tenant, request.target_kind, request.target)
        artifact = await self._artifacts.find(tenant, request.artifact)
        action = permission_for(request.artifact)
        purpose = Purpose(artifact=artifact, emergency_reason=request.emergency_reason)
        members: tuple[Device, ...] = ()
        firmware = action is Permission.UPDATE_FIRMWARE
        if isinstance(target, DeviceGroup) and (firmware or not target.is_root):
            # One more than a job can serve, so that too many can be told.
            members = await self._devices.members(tenant, target, limit=_MAX_MEMBERS)
            if firmware:
                allowed = await self._each_allowed(access, members, action, purpose)
                purpose = replace(purpose, members_allowed=allowed)
        await access.require(action, target.entities(tenant.groups), purpose)
        if artifact is None:
            raise NotFoundError("artifact", request.artifact)
        targets = (
            _job_targets(target, members, each_allowed=purpose.members_allowed)
            if isinstance(target, DeviceGroup)
            else ()
        )
        record = self._record(access, request, artifact, targets)
        stored = await self._once.create(
            access.principal,
            record,
            key=request.idempotency_key,
            request=(
                request.target_kind,
                request.target,
                request.artifact,
                request.emergency_reason,
            ),
        )
        if stored.state is DownloadRecordState.STARTED:
            return stored
        return await self._start(tenant, stored)

    async def read(
        self, access: Access, download_id: str, *, limit: int, cursor: str | None
    ) -> DownloadView:
        """How far a download came, one page of devices at a time.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        record = (
            await self._records.read(tenant, download_id)
            if wire.is_command_id(download_id)
            else None
        )
        if record is None:
            raise NotFoundError("download", download_id)
        target = await self._target(tenant, record.target_kind, record.target)
        await access.require(Permission.VIEW_DOWNLOAD, target.entities(tenant.groups))
        progress = await self._jobs.progress(tenant, record, limit=limit, cursor=cursor)
        return DownloadView(
            record=record, progress=progress or DownloadProgress(state=_WITHOUT_JOB[record.state])
        )

    async def _target(self, tenant: Tenant, kind: TargetKind, target: str) -> Device | DeviceGroup:
        if kind is TargetKind.DEVICE:
            return await find_device(self._devices, tenant, target)
        group = find_group(tenant, target)
        if group is None:
            raise NotFoundError("group", target)
        return group

    async def _each_allowed(
        self,
        access: Access,
        members: Sequence[Device],
        action: Permission,
        purpose: Purpose,
    ) -> bool:
        """Whether each member may get the firmware by itself.

        A group has no window and no patch date of its own.
        """
        if len(members) > _MAX_MEMBERS:
            log.warning("download.group_too_large", limit=_MAX_MEMBERS)
            # Fail closed: the policies then decide as if a member had been refused.
            return False
        tenant = access.principal.tenant
        return await access.allows_each(
            action, [device.entities(tenant.groups) for device in members], purpose
        )

    def _record(
        self, access: Access, request: DownloadRequest, artifact: Artifact, members: tuple[str, ...]
    ) -> DownloadRecord:
        # Fail closed: a file that nobody can verify is not delivered.
        if artifact.sha256 is None:
            raise ConflictError(
                f"artifact `{artifact.name}` has no SHA-256 of the whole file: upload it again with"
                " metadata `sha256`, 64 lower-case hex digits; a checksum of S3 serves only where"
                " the upload was in one part (at most 5 GB) and asked for SHA256"
            )
        now = self._once.now_ms()
        return DownloadRecord(
            download_id=new_ulid(now),
            tenant=access.principal.tenant.id,
            target_kind=request.target_kind,
            target=request.target,
            artifact=artifact.name,
            size=artifact.size,
            sha256=artifact.sha256,
            etag=artifact.etag,
            version=artifact.version,
            created_by=access.principal.entity_id,
            created_at=now,
            emergency_reason=request.emergency_reason,
            members=members,
        )

    async def _start(self, tenant: Tenant, record: DownloadRecord) -> DownloadRecord:
        """Create the recorded download's job; again is safe: the job's id is the download's."""
        try:
            await self._jobs.start(tenant, record)
        except UpstreamError as error:
            await self._settle(
                tenant,
                replace(
                    record, state=DownloadRecordState.FAILED, failure="its job could not be created"
                ),
            )
            raise DownloadNotStartedError(record.download_id) from error
        log.info(
            "download.started", job_id=record.job_id, target=record.target, artifact=record.artifact
        )
        started = replace(record, state=DownloadRecordState.STARTED, failure=None)
        await self._settle(tenant, started)
        return started

    async def _settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        await self._once.settle(tenant, record, job_id=record.job_id, state=record.state)


def _job_targets(
    group: DeviceGroup, members: Sequence[Device], *, each_allowed: bool
) -> tuple[str, ...]:
    """The devices that the job of a group is for; none: the thing group of all devices.

    Raises:
        ConflictError: there is none, or there are more than one job can serve.
    """
    # All devices are a thing group too; but where each was decided on, the job is for these alone.
    if group.is_root and not each_allowed:
        return ()
    if not members:
        raise ConflictError(f"group `{group.id}` has no device yet")
    if len(members) > _MAX_MEMBERS:
        raise ConflictError(
            f"group `{group.id}` has more than {_MAX_MEMBERS} devices, which is as many as one "
            "download can serve: deliver to smaller groups, or to `all`"
        )
    return tuple(device.id for device in members)
