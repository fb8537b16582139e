"""Tells the account's event bus of a tenant's life, from its onboarding to its offboarding.

The command that did it tells it, once it is done, and fails if the bus does not take it: it is
repeated then, and tells the same again. So whoever listens hears of each at least once, and knows a
repetition by its `id`. The form is `docs/tenant-events.schema.json`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.commands.account import Account

SOURCE: Final = "cedarfleet.tenants"
BUS: Final = "default"
FORMAT: Final = 1
_IDS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "tenants.cedarfleet")


class Happened(StrEnum):
    """What became of a tenant; the event's `detail-type`."""

    ONBOARDED = "tenant.onboarded"
    TIER_CHANGED = "tenant.tier-changed"
    SUSPENDED = "tenant.suspended"
    RESUMED = "tenant.resumed"
    OFFBOARDED = "tenant.offboarded"


class NotToldError(Exception):
    """The bus did not take the event; says why, and what was done all the same."""


@dataclass(frozen=True, kw_only=True)
class LifeEvent:
    """One thing that happened to one tenant.

    An operator's reason is not in it: whoever may listen to the bus need not know why.

    Attributes:
        happened: what.
        tenant: to whom.
        at: when, RFC 3339; a repetition may say a later time.
        by: the operator's ARN.
        since: tells this from the next of its kind, and is the same in a repetition.
        more: members of this kind alone.
    """

    happened: Happened
    tenant: str
    at: str
    by: str
    since: str
    more: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def id(self) -> str:
        """The same whenever the same is told."""
        return str(uuid.uuid5(_IDS, f"{self.happened} {self.tenant} {self.since}"))

    def detail(self) -> str:
        """The event's own JSON."""
        said = {"format": FORMAT, "id": self.id, "tenant": self.tenant, "at": self.at}
        return json.dumps({**said, "by": self.by, **self.more})


def tell(account: Account, event: LifeEvent) -> None:
    """Put an event on the bus.

    An answer of PutEvents is 200 where the bus took nothing, so its entries are looked at (source:
    EventBridge user guide, "Sending events with PutEvents", "Handling failures").

    Raises:
        botocore.exceptions.ClientError: AWS refused the call.
        NotToldError: the bus did not take it.
    """
    answer = account.client("events").put_events(
        Entries=[
            {
                "Source": SOURCE,
                "DetailType": str(event.happened),
                "Detail": event.detail(),
                "EventBusName": BUS,
            }
        ]
    )
    for entry in answer["Entries"]:
        if "EventId" not in entry:
            raise NotToldError(
                f"`{event.happened}` is done, but event bus `{BUS}` does not take it: "
                f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
            )


def now() -> str:
    """RFC 3339, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
