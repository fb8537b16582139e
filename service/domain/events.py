"""What happened in a tenant, told live: events, and the numbered pages that its log is made of.

An event says what happened and names what to look at; how that stands, the API says. Each has an id
that is made of what happened, so whoever is told twice can see it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self, cast

from service.domain.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION: Final = 1
MOST_EVENTS: Final = 100
"""Of one page: with data of a kilobyte each a quarter of the 400 KB that a row may have (source:
DynamoDB developer guide, "Service, account, and table quotas in Amazon DynamoDB", item size)."""
_ID_HEX: Final = 26
_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,4})")


class UnreadablePageError(ValueError):
    """The text is no page of ours, or one of a later release."""


class EventType(StrEnum):
    """What can happen: the noun that it happens to, and the verb."""

    COMMAND_REQUESTED = "command.requested"
    COMMAND_CANCELED = "command.cancel-requested"
    COMMAND_STATE = "command.state"
    DELIVERY_STATE = "delivery.state"
    DOWNLOAD_CHANGED = "download.changed"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_APPROVED = "rollout.approved"
    ROLLOUT_WAVE = "rollout.wave-begun"
    ROLLOUT_PAUSED = "rollout.paused"
    ROLLOUT_RESUMED = "rollout.resumed"
    ROLLOUT_CANCELED = "rollout.canceled"
    ROLLOUT_STOPPED = "rollout.stopped"
    ROLLOUT_EXPIRED = "rollout.expired"
    ROLLOUT_ENDED = "rollout.ended"
    CAMPAIGN_STARTED = "campaign.started"
    CAMPAIGN_SENT = "campaign.sent"
    CAMPAIGN_CANCELED = "campaign.canceled"
    CAMPAIGN_STOPPED = "campaign.stopped"
    CAMPAIGN_EXPIRED = "campaign.expired"
    CAMPAIGN_ENDED = "campaign.ended"
    DEVICE_REGISTERED = "device.registered"
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_RETIRED = "device.retired"
    DEVICE_CONNECTED = "device.connected"
    DEVICE_DISCONNECTED = "device.disconnected"
    GRANT_GIVEN = "grant.given"
    GRANT_REVOKED = "grant.revoked"
    DECISION_DENIED = "decision.denied"
    UNKNOWN = "unknown"
    """What a later release wrote; shown to nobody by this one."""

    @property
    def noun(self) -> str:
        """What it happens to; the kinds that a reader asks for."""
        return self.partition(".")[0]


NOUNS: Final = tuple(sorted({one.noun for one in EventType if one is not EventType.UNKNOWN}))
OF_DEVICES: Final[Mapping[str, Permission]] = {
    "command": Permission.VIEW_COMMAND,
    "delivery": Permission.VIEW_DOWNLOAD,
    "device": Permission.VIEW_DEVICE,
}
"""Nouns whose events are of one device, with what its policies are asked for each reader."""
OF_TARGETS: Final[Mapping[str, Permission]] = {"rollout": Permission.VIEW_DOWNLOAD}
"""Nouns whose events are of one device or group, which ``data`` names as ``target``."""
OF_TENANT: Final[Mapping[str, Permission]] = {
    "campaign": Permission.LIST_DEVICES,
    "decision": Permission.VIEW_AUDIT,
    "download": Permission.VIEW_AUDIT,
    "grant": Permission.VIEW_GRANTS,
}
"""Nouns whose events are of the tenant as a whole: shown only to who asks for them by name."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        event_id: the same for each telling of it.
        type: a word of ``EventType``, or of a later release.
        at: milliseconds since the epoch.
        device: that it is of, or ``None``.
        data: what more there is to say, in JSON; at most a kilobyte or so, no secret.
    """

    event_id: str
    type: str
    at: int
    device: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, "Any"])

    @property
    def noun(self) -> str:
        """What it happened to."""
        return self.type.partition(".")[0]

    def payload(self) -> bytes:
        """The event as webhooks send it, and streams tell it."""
        said = {
            "id": self.event_id,
            "type": self.type,
            "timestamp": datetime.fromtimestamp(self.at / 1000, UTC).isoformat(),
            "device": self.device,
            "data": dict(self.data),
        }
        return json.dumps(said, separators=(",", ":")).encode()

    def document(self) -> dict[str, Any]:
        """The event as its page keeps it."""
        return {
            "id": self.event_id,
            "type": self.type,
            "at": self.at,
            "device": self.device,
            "data": dict(self.data),
        }


def event_id(*what: str) -> str:
    """The id of an event, of all that tells it from others; no point stands in it."""
    # Standard Webhooks signs `id.timestamp.payload`, so an id holds no point.
    return f"evt_{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:_ID_HEX]}"


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events that were told together.

    Attributes:
        number: one higher than that of the page before. The first of all has the time at which it
            was made, so that numbers never come twice, also when all pages have left.
        made_at: milliseconds since the epoch.
        is_first: no page came before it; pages may have left that did.
    """

    number: int
    made_at: int
    events: tuple[Event, ...]
    is_first: bool = False

    @property
    def text(self) -> str:
        """JSON of the page."""
        return json.dumps(
            {
                "version": _VERSION,
                "number": self.number,
                "made_at": self.made_at,
                "is_first": self.is_first,
                "events": [event.document() for event in self.events],
            },
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """A page of its text.

        Raises:
            UnreadablePageError: it is none.
        """
        try:
            found = cast("dict[str, Any]", json.loads(text))
            if found["version"] != _VERSION:
                raise UnreadablePageError("a page of a later release")
            return cls(
                number=int(found["number"]),
                made_at=int(found["made_at"]),
                is_first=bool(found["is_first"]),
                events=tuple(
                    Event(
                        event_id=one["id"],
                        type=one["type"],
                        at=int(one["at"]),
                        device=one["device"],
                        data=one["data"],
                    )
                    for one in found["events"]
                ),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadablePageError(f"no page: {type(error).__name__}") from error


@dataclass(frozen=True, kw_only=True, order=True)
class EventCursor:
    """Up to where somebody has read: so many events of a page, and all pages before it.

    Attributes:
        page: its number; 0: before the first page that there ever was.
        seen: how many events of that page.
    """

    page: int
    seen: int = MOST_EVENTS

    @classmethod
    def read(cls, text: str) -> Self | None:
        """A cursor of its text, or ``None``."""
        found = _CURSOR.fullmatch(text)
        return cls(page=int(found[1]), seen=int(found[2])) if found else None

    def __str__(self) -> str:
        """What ``Last-Event-ID`` says."""
        return f"{self.page}-{self.seen}"
