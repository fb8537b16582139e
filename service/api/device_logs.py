"""Logs that a device sent, by links that hold for some minutes."""

from datetime import UTC, datetime

from litestar import get
from litestar.params import FromPath
from msgspec import Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Limit, Ops
from service.domain.device_logs import DeviceLog, LogPage
from service.domain.permissions import Permission


class DeviceLogOut(Struct, frozen=True):
    """One log: lines of JSON, compressed (gzip)."""

    command: str
    """The `upload-logs` that asked for it; its detail has the SHA-256."""
    size: int
    """Bytes, compressed."""
    received_at: datetime
    url: str
    """Reads it, for whoever has this link, until `url_expires_at`."""
    url_expires_at: datetime

    @classmethod
    def of(cls, log: DeviceLog) -> "DeviceLogOut":
        """A log for the answer."""
        return cls(
            command=log.command_id,
            size=log.size,
            received_at=datetime.fromtimestamp(log.received_at, UTC),
            url=log.url,
            url_expires_at=datetime.fromtimestamp(log.until, UTC),
        )


class DeviceLogsOut(Struct, frozen=True):
    """One page of logs, the newest first; ``cursor`` asks for the next."""

    logs: list[DeviceLogOut]
    cursor: str | None

    @classmethod
    def of(cls, page: LogPage) -> "DeviceLogsOut":
        """A page for the answer."""
        return cls(logs=[DeviceLogOut.of(log) for log in page.logs], cursor=page.cursor)


@get("/devices/{device:str}/logs", opt=needs(Permission.COLLECT_LOGS))
async def list_device_logs(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeviceLogsOut:
    """What a device sent when it was told to: `POST /v1/devices/{device}/commands`, `upload-logs`.

    A page may have less than `limit` logs and a `cursor` all the same.
    """
    page = await operations.logs.page(access, device, limit=limit, cursor=cursor)
    return DeviceLogsOut.of(page)
