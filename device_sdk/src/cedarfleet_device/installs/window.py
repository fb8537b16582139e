"""When installs may begin: a time of day, which may pass midnight, in the device's own time zone.

The policies of the tenant ask for the window when a file is sent; a device that gets it later, or
had to wait, asks once more here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from cedarfleet_device.wire.pythons import UTC
from cedarfleet_device.wire.windows import Hours

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Window:
    """The hours of a time zone.

    Attributes:
        hours: of the day.
        zone: in which the day is counted.
        text: as it was written.
    """

    hours: Hours
    zone: tzinfo
    text: str

    @classmethod
    def read(cls, text: str, zone: str) -> Self:
        """Read ``HH:MM-HH:MM`` and the name of a time zone; empty: UTC.

        Raises:
            ValueError: it is not of the form, or this machine does not know the zone.
        """
        try:
            hours = Hours.read(text)
        except ValueError as error:
            raise ValueError(f"`{text}` {error}") from error
        return cls(hours=hours, zone=_zone(zone), text=text)

    def is_open(self, at_ms: int) -> bool:
        """Whether it is open at this instant (milliseconds since the epoch)."""
        local = datetime.fromtimestamp(at_ms / 1000, self.zone)
        return self.hours.is_open(60 * local.hour + local.minute)


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - few devices need it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"this machine does not know the time zone `{name}`") from error
