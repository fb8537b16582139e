"""What the tenant used, day by day."""

from datetime import date, datetime
from typing import Annotated, Final

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from service.api.guard import needs
from service.api.parameters import Caller, Ops, utc
from service.domain.permissions import Permission
from service.domain.usage import UsageDay
from service.errors import InvalidRequestError

Day = Annotated[
    str | None, QueryParameter(max_length=10, description="a day in UTC, e.g. `2026-11-30`")
]

_EARLIEST: Final = date(1970, 1, 1)
_LATEST: Final = date(9000, 12, 31)


class DayEndOut(Struct, frozen=True):
    """How it stood as the day ended."""

    devices: int
    devices_connected: int
    """Connected as it ended, or last in it."""
    stored_bytes: int
    """Of the files that are available."""

    @classmethod
    def of(cls, day: UsageDay) -> "DayEndOut | None":
        """The end of a day for the answer."""
        return day.end and cls(
            devices=day.end.devices,
            devices_connected=day.end.devices_connected,
            stored_bytes=day.end.stored_bytes,
        )


class UsageDayOut(Struct, frozen=True):
    """What was used on one day, in UTC."""

    day: date
    counted_at: datetime | None
    decisions: int
    """As the audit trail has them: a read that was allowed is none."""
    denials: int
    commands: int
    """That were let go, those of campaigns too."""
    deliveries: int
    """Files that arrived on a device."""
    bytes_delivered: int
    bytes_uploaded: int
    end: DayEndOut | None
    """`null`: the day was counted too late to tell."""

    @classmethod
    def of(cls, day: UsageDay) -> "UsageDayOut":
        """A day for the answer."""
        return cls(
            day=day.day,
            counted_at=utc(day.counted_at),
            decisions=day.decisions,
            denials=day.denials,
            commands=day.commands,
            deliveries=day.deliveries,
            bytes_delivered=day.bytes_delivered,
            bytes_uploaded=day.bytes_uploaded,
            end=DayEndOut.of(day),
        )


class UsageOut(Struct, frozen=True):
    """Days that were counted, in their order; one that nobody counted is not there."""

    days: list[UsageDayOut]


@get("/usage", opt=needs(Permission.VIEW_USAGE))
async def read_usage(
    access: Caller, operations: Ops, *, since: Day = None, until: Day = None
) -> UsageOut:
    """What the tenant used, day by day, of days that are over.

    Of the last 30 if nothing is given, of 366 at most.
    """
    found = await operations.usage.days(
        access, since=_day("since", since), until=_day("until", until)
    )
    return UsageOut(days=[UsageDayOut.of(day) for day in found])


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    # Other forms of ISO 8601, as 2026-W01-1, are none of ours; the span is counted from both ends.
    if found is None or found.isoformat() != text or not _EARLIEST <= found <= _LATEST:
        raise InvalidRequestError(name, "must be a day like `2026-11-30`")
    return found
