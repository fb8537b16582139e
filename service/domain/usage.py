"""What a tenant used on one day (UTC), counted from what is recorded anyway."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, cast

from service.domain.instants import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE_TOLD: Final = "tenant.usage"
"""The event's `detail-type`."""
_VERSION: Final = 1
_FORMAT: Final = 1
_IDS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "usage.cedarfleet")
_DAY: Final = timedelta(days=1)


class UnreadableUsageError(ValueError):
    """The text is no day of ours, or one of a later release."""


@dataclass(frozen=True, kw_only=True)
class DayEnd:
    """How it stood as the day ended; nobody can tell it later.

    Attributes:
        devices: that the tenant had, without those that were retired.
        devices_connected: of them, those that were connected as it ended or whose last connection
            ended in it. One that went and came back in the minutes between the day's end and the
            count is not among them.
        stored_bytes: of the files of ``/v1/files`` that are available; nothing else in the bucket.
    """

    devices: int
    devices_connected: int
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class UsageDay:
    """One day of one tenant.

    Attributes:
        day: in UTC, by the ids of what was recorded.
        counted_at: milliseconds since the epoch.
        decisions: in the audit trail: of all that changes something, and denials. A read that was
            allowed is not recorded, and not counted.
        denials: of these.
        commands: that a decision let go, those of campaigns too. A request that was repeated with
            its idempotency key was decided again, and counts again.
        deliveries: devices that told of a download that it succeeded.
        bytes_delivered: of these, by the size of their file, whatever went over the line.
        bytes_uploaded: of files whose content was found whole that day.
        end: how it stood as the day ended; ``None``: it was counted too late to tell.
    """

    day: date
    counted_at: int
    decisions: int
    denials: int
    commands: int
    deliveries: int
    bytes_delivered: int
    bytes_uploaded: int
    end: DayEnd | None

    @property
    def document(self) -> dict[str, Any]:
        """The day in JSON's terms, as it is kept and shown."""
        end = self.end
        return {
            "day": self.day.isoformat(),
            "counted_at": self.counted_at,
            "decisions": self.decisions,
            "denials": self.denials,
            "commands": self.commands,
            "deliveries": self.deliveries,
            "bytes_delivered": self.bytes_delivered,
            "bytes_uploaded": self.bytes_uploaded,
            "end": end
            and {
                "devices": end.devices,
                "devices_connected": end.devices_connected,
                "stored_bytes": end.stored_bytes,
            },
        }

    @property
    def text(self) -> str:
        """The text of its row."""
        return json.dumps({"version": _VERSION, **self.document})

    def told_of(self, tenant: str) -> dict[str, Any]:
        """The event's own JSON (docs/usage-event.schema.json), the same whenever it is told.

        Args:
            tenant: its id.
        """
        day = self.document
        at = datetime.fromtimestamp(day.pop("counted_at") // 1000, UTC)
        return {
            "format": _FORMAT,
            "id": str(uuid.uuid5(_IDS, f"{tenant} {self.day.isoformat()}")),
            "tenant": tenant,
            "at": at.isoformat(timespec="seconds"),
            **day,
        }

    @classmethod
    def read(cls, text: str) -> Self:
        """A day of its row's text.

        Raises:
            UnreadableUsageError: it is none, or of another version.
        """
        try:
            found = cast("dict[str, Any]", json.loads(text))
            if found.pop("version") != _VERSION:
                raise UnreadableUsageError("a day of another version")
            end: Mapping[str, int] | None = found["end"]
            found |= {
                "day": date.fromisoformat(found["day"]),
                "end": None if end is None else DayEnd(**end),
            }
            return cls(**found)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableUsageError(f"no day: {type(error).__name__}") from error


def beginning(day: date) -> int:
    """The day's first instant, in milliseconds since the epoch; that of the next is its end."""
    return milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def day_of(at_ms: int) -> date:
    """The day of an instant, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def following(day: date, days: int = 1) -> date:
    """The day so many after, or, below 0, before."""
    return day + days * _DAY
