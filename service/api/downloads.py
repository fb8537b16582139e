"""Downloads: deliver a file to a device or group, and read how far each device came."""

from datetime import datetime
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import (
    Accepted,
    Caller,
    Cursor,
    Emergency,
    IdempotencyKey,
    Label,
    Limit,
    Ops,
    emergency_reason,
    utc,
)
from service.domain.downloads import Delivery, DownloadFilter, DownloadRecord, TargetKind
from service.domain.permissions import DELIVERING, Permission
from service.errors import InvalidRequestError
from service.operations.download_lists import DownloadView
from service.operations.downloads import DownloadRequest


class DownloadBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A plan that you made, and nothing else; or a file for one device or one group.

    Without a plan: exactly one of ``artifact`` and ``file``, and of ``device`` and ``group``.
    """

    artifact: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=512,
                description="a file's name: its newest version that is `available`, or, if none was"
                " uploaded by the API, the file of the tenant's bucket",
            ),
        ]
        | None
    ) = None
    file: Annotated[Label, Meta(description="the id of one uploaded version")] | None = None
    device: Label | None = None
    group: Label | None = None
    emergency: Emergency | None = None
    plan: (
        Annotated[Label, Meta(description="exactly this is started, once, or refused as stale")]
        | None
    ) = None


class DeliveryOut(Struct, frozen=True):
    """One device's part of a download."""

    device: str
    state: str
    detail: dict[str, str]
    queued_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryOut":
        """A delivery for the answer."""
        times = (utc(delivery.queued_at), utc(delivery.updated_at))
        return cls(delivery.device, delivery.state, dict(delivery.detail), *times)


class WaveOut(Struct, frozen=True):
    """A wave of a planned download."""

    devices: int
    began_at: datetime | None


class RolloutOut(Struct, frozen=True):
    """How a planned download goes."""

    waves: list[WaveOut]
    retries: int
    needs_approval: bool
    approved_by: str | None
    paused_at: datetime | None

    @classmethod
    def of(cls, record: DownloadRecord) -> "RolloutOut | None":
        """For the answer; nothing of what was not planned."""
        if record.rollout is None:
            return None
        return cls(
            waves=[
                WaveOut(size, utc(record.waves_at.get(number)))
                for number, size in enumerate(record.waves)
            ],
            retries=record.rollout.shape.retries,
            needs_approval=record.rollout.needs_approval,
            approved_by=record.approved_by,
            paused_at=utc(record.paused_at),
        )


class DownloadOut(Struct, frozen=True):
    """How far a download came.

    It is `canceling` until nothing of it can begin any more: a device that has begun may end it,
    and is `in_progress` until then; one that had not is `canceled`.
    """

    id: str
    device: str | None
    group: str | None
    selected_in: str | None
    """Of a plan for a filter, or for devices by name: the group that decides of the whole."""
    artifact: str
    file: str | None
    size: int
    sha256: str
    state: str
    failure: str | None
    why: str | None
    created_by: str
    created_at: datetime | None
    counts: dict[str, int]
    rollout: RolloutOut | None
    deliveries: list[DeliveryOut]
    cursor: str | None

    @classmethod
    def of(cls, view: DownloadView) -> "DownloadOut":
        """A download for the answer."""
        record, progress = view.record, view.progress
        return cls(
            id=record.download_id,
            device=record.target if record.target_kind == "device" else None,
            group=record.target if record.target_kind == "group" else None,
            selected_in=record.target if record.target_kind == "selection" else None,
            artifact=record.artifact,
            file=record.file_id,
            size=record.size,
            sha256=record.sha256,
            state=progress.state,
            failure=record.failure if progress.state == "failed" else None,
            why=record.why,
            created_by=record.created_by,
            created_at=utc(record.created_at),
            rollout=RolloutOut.of(record),
            counts={str(state): count for state, count in progress.counts.items()},
            deliveries=[DeliveryOut.of(delivery) for delivery in progress.deliveries],
            cursor=progress.cursor,
        )


class DownloadSummary(Struct, frozen=True):
    """A download in a list; of one with several jobs as the worker found it when it last looked."""

    id: str
    device: str | None
    group: str | None
    selected_in: str | None
    artifact: str
    file: str | None
    state: str
    failure: str | None
    counts: dict[str, int]
    created_by: str
    created_at: datetime | None

    @classmethod
    def of(cls, view: DownloadView) -> "DownloadSummary":
        """A row for the answer."""
        whole = DownloadOut.of(view)
        return cls(**{name: getattr(whole, name) for name in cls.__struct_fields__})


class DownloadPageOut(Struct, frozen=True):
    """One page of downloads, the newest first; ``cursor`` asks for the next."""

    downloads: list[DownloadSummary]
    cursor: str | None


Target = Annotated[str | None, QueryParameter(max_length=64, description="to this and no other")]
File = Annotated[str | None, QueryParameter(max_length=512, description="of the file of this name")]
# `state` is a name of Litestar's own.
InState = Annotated[
    str | None,
    QueryParameter(name="state", max_length=64, description="whose whole is in it now"),
]


@get("/downloads", opt=needs(Permission.VIEW_DOWNLOAD))
async def list_downloads(
    access: Caller,
    operations: Ops,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: Target = None,
    group: Target = None,
    artifact: File = None,
    in_state: InState = None,
) -> DownloadPageOut:
    """Downloads of the last 90 days that the caller may view, the newest first.

    A page may have less than `limit` downloads, or none, and a `cursor` all the same. `device` and
    `group` mean what was asked for: a download to a group is not one to its devices, whose own are
    at `/v1/devices/{device}/downloads`. Those of releases that kept no list can be read by their
    ids.
    """
    wanted = DownloadFilter(device=device, group=group, artifact=artifact)
    views, behind = await operations.download_lists.page(
        access, wanted=wanted, state=in_state, limit=limit, cursor=cursor
    )
    return DownloadPageOut(downloads=[DownloadSummary.of(view) for view in views], cursor=behind)


class DeviceDownloadOut(Struct, frozen=True):
    """A download as it went on one device; ``group``: it was one of a group's."""

    id: str
    group: str | None
    artifact: str
    file: str | None
    state: str
    detail: dict[str, str]
    queued_at: datetime | None
    updated_at: datetime | None
    created_by: str
    created_at: datetime | None

    @classmethod
    def of(cls, record: DownloadRecord, delivery: Delivery) -> "DeviceDownloadOut":
        """A row for the answer."""
        return cls(
            id=record.download_id,
            group=record.target if record.target_kind == "group" else None,
            artifact=record.artifact,
            file=record.file_id,
            state=delivery.state,
            detail=dict(delivery.detail),
            queued_at=utc(delivery.queued_at),
            updated_at=utc(delivery.updated_at),
            created_by=record.created_by,
            created_at=utc(record.created_at),
        )


class DeviceDownloadPageOut(Struct, frozen=True):
    """One page of a device's downloads, the newest first; ``cursor`` asks for the next."""

    downloads: list[DeviceDownloadOut]
    cursor: str | None


@get("/devices/{device:str}/downloads", opt=needs(Permission.VIEW_DOWNLOAD))
async def list_device_downloads(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeviceDownloadPageOut:
    """Files of the last 90 days for one device, also those that went to a group that it was in.

    The newest first. A page may have less than `limit` downloads, or none, and a `cursor` all the
    same: a request looks into `limit` downloads.
    """
    found, behind = await operations.download_lists.of_device(
        access, device, limit=limit, cursor=cursor
    )
    return DeviceDownloadPageOut(
        downloads=[DeviceDownloadOut.of(*one) for one in found], cursor=behind
    )


@post("/downloads/{download_id:str}/cancel", opt=needs(Permission.CANCEL_DOWNLOAD), status_code=202)
async def cancel_download(
    access: Caller, operations: Ops, download_id: FromPath[str]
) -> Response[Accepted]:
    """Cancel what has not begun on its device; the worker does so, at the account's rate of calls.

    A device that is at it may end it. Asked again it is the same; what has ended is 409.
    """
    view = await operations.downloads.cancel(access, download_id)
    return Accepted(
        id=download_id, url=f"/v1/downloads/{download_id}", state=view.progress.state
    ).answer()


@post(
    "/downloads",
    # A plan's filter is looked at again as the caller's own list.
    opt=needs(*DELIVERING, Permission.LIST_DEVICES, Permission.VIEW_DEVICE),
    status_code=202,
)
async def start_download(
    access: Caller,
    operations: Ops,
    data: JSONBody[DownloadBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Deliver a file to a device or to each device of a group, or start exactly a plan."""
    if data.plan is not None:
        if data != DownloadBody(plan=data.plan):
            raise InvalidRequestError("plan", "a plan says it all: give nothing beside it")
        started = await operations.planned_downloads.start(access, data.plan)
        return Accepted(
            id=started.download_id, url=f"/v1/downloads/{started.download_id}", state=started.state
        ).answer()
    if (data.device is None) == (data.group is None):
        raise InvalidRequestError("device", "give exactly one of `device` and `group`")
    if (data.artifact is None) == (data.file is None):
        raise InvalidRequestError("artifact", "give exactly one of `artifact` and `file`")
    request = DownloadRequest(
        target_kind=TargetKind.GROUP if data.device is None else TargetKind.DEVICE,
        target=data.device or data.group or "",
        artifact=data.artifact or "",
        file_id=data.file,
        emergency_reason=emergency_reason(data.emergency),
        idempotency_key=idempotency_key,
    )
    record = await operations.downloads.start(access, request)
    return Accepted(
        id=record.download_id, url=f"/v1/downloads/{record.download_id}", state=record.state
    ).answer()


@get("/downloads/{download_id:str}", opt=needs(Permission.VIEW_DOWNLOAD, Permission.LIST_DEVICES))
async def read_download(
    access: Caller,
    operations: Ops,
    download_id: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DownloadOut:
    """How far each device of a download came."""
    return DownloadOut.of(
        await operations.downloads.read(access, download_id, limit=limit, cursor=cursor)
    )
