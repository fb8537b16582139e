"""Downloads: deliver a file to a device or group, and read how far each device came."""

from datetime import datetime
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
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
from service.domain.downloads import Delivery, TargetKind
from service.domain.permissions import DELIVERING, Permission
from service.errors import InvalidRequestError
from service.operations.downloads import DownloadRequest, DownloadView


class DownloadBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A file for one device or one group: exactly one of ``artifact`` and ``file``, of each two."""

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


class DownloadOut(Struct, frozen=True):
    """How far a download came."""

    id: str
    device: str | None
    group: str | None
    artifact: str
    file: str | None
    size: int
    sha256: str
    state: str
    failure: str | None
    created_by: str
    created_at: datetime | None
    counts: dict[str, int]
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
            artifact=record.artifact,
            file=record.file_id,
            size=record.size,
            sha256=record.sha256,
            state=progress.state,
            failure=record.failure if progress.state == "failed" else None,
            created_by=record.created_by,
            created_at=utc(record.created_at),
            counts={str(state): count for state, count in progress.counts.items()},
            deliveries=[DeliveryOut.of(delivery) for delivery in progress.deliveries],
            cursor=progress.cursor,
        )


@post("/downloads", opt=needs(*DELIVERING), status_code=202)
async def start_download(
    access: Caller,
    operations: Ops,
    data: JSONBody[DownloadBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Deliver a file to a device or to each device of a group."""
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


@get("/downloads/{download_id:str}", opt=needs(Permission.VIEW_DOWNLOAD))
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
