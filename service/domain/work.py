"""What the background worker is asked to do: one message of the work queue, and its form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION: Final = 1
_OF_EVERY_MESSAGE: Final = frozenset({"version", "kind", "issuer", "tenant"})


class WorkKind(StrEnum):
    """What is to be done; the worker has one operation for each (``operations.operations``)."""

    ADVANCE_DOWNLOAD = "advance-download"
    MAKE_JOB = "make-job"
    RETRY_JOB = "retry-job"
    CANCEL_JOB = "cancel-job"
    SETTLE_JOB = "settle-job"
    REDELIVER_COMMANDS = "redeliver-commands"
    VERIFY_FILE = "verify-file"
    CHAIN_AUDIT = "chain-audit"
    VERIFY_AUDIT = "verify-audit"
    TELL_OUTCOMES = "tell-outcomes"
    TELL_DELIVERED = "tell-delivered"
    TELL_DECISIONS = "tell-decisions"
    TELL_EVENT = "tell-event"
    SEND_EVENTS = "send-events"
    SEND_EVENT_AGAIN = "send-event-again"
    SETTLE_MACHINE = "settle-machine"
    LOOK_AT_GRANT = "look-at-grant"
    ADVANCE_CAMPAIGN = "advance-campaign"
    SETTLE_RETIRED = "settle-retired"
    BRING_VERSION = "bring-version"
    BRING_DEVICE = "bring-device"
    COUNT_USAGE = "count-usage"


LAST_ATTEMPT: Final = 10
"""After which a message that is not done lies among the dead letters, as the queue is made."""


class UnreadableWorkError(ValueError):
    """The text is no message of ours, or one of a later release."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One message.

    It may come late, twice, or out of order, so it names what is to be looked at and never says how
    that stands: whoever handles it reads the rows first. Of an event it says what happened, which
    stays true.

    Attributes:
        issuer: of the tenant, the registry's key; empty in what an IoT rule sends, which knows
            none.
        tenant: its id, the message group: AWS holds back whoever fills the queue (source: SQS
            developer guide, "Amazon SQS fair queues").
        about: ids of what it is about, e.g. ``{"download": "01J..."}``; never a secret.
    """

    kind: WorkKind
    issuer: str
    tenant: str
    about: Mapping[str, str] = field(default_factory=dict[str, str])

    def encode(self) -> str:
        """The message's text."""
        return json.dumps(
            {
                "version": _VERSION,
                "kind": self.kind,
                "issuer": self.issuer,
                "tenant": self.tenant,
                "about": dict(self.about),
            }
        )

    @classmethod
    def decode(cls, text: str) -> Self:
        """Work of a message's text.

        Raises:
            UnreadableWorkError: it is not of this form, or of another version.
        """
        try:
            found = cast("dict[str, Any]", json.loads(text))
            about = found["about"] if "about" in found else _of_rule(found)
            version = found["version"]
            work = cls(
                kind=WorkKind(found["kind"]),
                issuer=found.get("issuer", ""),
                tenant=found["tenant"],
                about=about,
            )
            texts = (work.issuer, work.tenant, *about.keys(), *about.values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableWorkError(f"no work: {type(error).__name__}") from error
        if version != _VERSION or not all(isinstance(one, str) for one in texts):
            raise UnreadableWorkError(f"work of version {version!r}, not {_VERSION}"[:100])
        return work


def _of_rule(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule says: it writes one level, names one thing, and knows numbers."""
    said = {name: one for name, one in found.items() if name not in _OF_EVERY_MESSAGE}
    return {
        "thing": found["thing"],
        **{name: str(one) if type(one) in {int, float} else one for name, one in said.items()},
    }


@dataclass(frozen=True, kw_only=True)
class ReceivedWork:
    """A message as the queue gave it out.

    Attributes:
        receipt: by which the queue knows this giving out of it.
        text: as it was sent, by whomever.
        attempt: how often it was given out, from 1.
        sent_at: when it was sent, in milliseconds since the epoch; 0: nobody says.
    """

    receipt: str = field(repr=False)
    text: str
    attempt: int = 1
    sent_at: int = 0
