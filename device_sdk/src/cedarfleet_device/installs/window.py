"""When installs may begin: a time of day, which may pass midnight, in the device's own time zone.

The policies of the tenant ask for the window when a file is sent; a device that gets it later, or
had to wait, asks once more here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Final

from cedarfleet_device.wire.pythons import UTC

if TYPE_CHECKING:
    from typing import Self

_FORM: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, kw_only=True)
class Window:
    """From ``start`` to before ``end``, minutes of the day; equal ones are never.

    Attributes:
        start: first minute.
        end: first minute after it.
        zone: in which the day is counted.
        text: as it was written.
    """

    start: int
    end: int
    zone: tzinfo
    text: str

    @classmethod
    def read(cls, text: str, zone: str) -> Self:
        """Read ``HH:MM-HH:MM`` and the name of a time zone; empty: UTC.

        Raises:
            ValueError: it is not of the form, or this machine does not know the zone.
        """
        if (match := _FORM.fullmatch(text)) is None:
            raise ValueError(f"`{text}` must be like `22:00-04:00`")
        begins, began, ends, ended = map(int, match.groups())
        return cls(start=60 * begins + began, end=60 * ends + ended, zone=_zone(zone), text=text)

    def is_open(self, at_ms: int) -> bool:
        """Whether it is open at this instant (milliseconds since the epoch)."""
        local = datetime.fromtimestamp(at_ms / 1000, self.zone)
        minute = 60 * local.hour + local.minute
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - few devices need it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"this machine does not know the time zone `{name}`") from error
