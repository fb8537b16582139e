"""Telemetry: the last value of each topic of a device."""

from datetime import datetime
from typing import Any

from litestar import get
from litestar.params import FromPath
from msgspec import Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Limit, Ops, utc
from service.domain.permissions import Permission
from service.domain.telemetry import LastValue, LastValues


class LastValueOut(Struct, frozen=True):
    """The last that came of one topic."""

    topic: str
    value: Any
    """`null` where `unreadable` says why."""
    at: datetime | None
    """When it was measured, by the device's clock; a value that waited may be old."""
    received_at: datetime | None
    sequence: int | None
    """The device's number of the message: a copy carries the same."""
    unreadable: str | None

    @classmethod
    def of(cls, last: LastValue) -> "LastValueOut":
        """A value for the answer."""
        value, unreadable = last.value()
        return cls(
            topic=last.topic,
            value=value,
            at=utc(last.at),
            received_at=utc(last.received_at),
            sequence=last.sequence,
            unreadable=unreadable,
        )


class LastValuesOut(Struct, frozen=True):
    """One page of last values, by topic; ``cursor`` asks for the next."""

    values: list[LastValueOut]
    cursor: str | None

    @classmethod
    def of(cls, page: LastValues) -> "LastValuesOut":
        """A page for the answer."""
        return cls(values=[LastValueOut.of(value) for value in page.values], cursor=page.cursor)


@get("/devices/{device:str}/telemetry", opt=needs(Permission.VIEW_DEVICE))
async def read_telemetry(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LastValuesOut:
    """What a device measured last, topic by topic.

    All that it measured stands in the tenant's bucket, under `.telemetry/`.
    """
    page = await operations.telemetry.last_values(access, device, limit=limit, cursor=cursor)
    return LastValuesOut.of(page)
