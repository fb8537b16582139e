"""One command for many devices: begin a campaign, wait for it, have no more of it sent.

Steps, as in ``cedarfleet.steps``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from cedarfleet.errors import NotEndedError
from cedarfleet.generated.api.default import cancel_campaign, read_campaign, start_campaign
from cedarfleet.generated.models import (
    Accepted,
    CampaignBody,
    CampaignOut,
    CancelBody,
    Emergency,
)
from cedarfleet.generated.types import UNSET
from cedarfleet.steps import FIRST_LOOK, LATER_LOOKS, Pause, ask, key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cedarfleet.steps import Steps

    Looks = Callable[[CampaignOut], None]
    """Is told how a campaign stands, each time that it was looked at."""

_OVER: Final = frozenset({"ended", "stopped", "canceled"})


def begin(body: Mapping[str, Any], *, idempotency_key: str | None) -> Steps[Accepted]:
    """Begin a campaign; ``body`` has the members of ``CampaignBody``."""
    given = CampaignBody.from_dict({name: one for name, one in body.items() if one is not None})
    return ask(Accepted, start_campaign, body=given, idempotency_key=idempotency_key or key())


def campaign(campaign_id: str) -> Steps[CampaignOut]:
    """How far a campaign came."""
    return ask(CampaignOut, read_campaign, campaign_id=campaign_id)


def cancel(campaign_id: str, *, emergency: str | None) -> Steps[Accepted]:
    """Have nothing more of it sent; asked again it is the same."""
    declared = UNSET if emergency is None else Emergency(reason=emergency)
    body = CancelBody(emergency=declared)
    return ask(Accepted, cancel_campaign, campaign_id=campaign_id, body=body)


def campaign_ended(campaign_id: str, *, seconds: float, looks: Looks) -> Steps[CampaignOut]:
    """Wait until no device of a campaign is waited for any more.

    Raises:
        NotEndedError: it has not ended, after so many seconds.
    """
    ends, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        found = yield from campaign(campaign_id)
        looks(found)
        if found.state in _OVER:
            return found
        if time.monotonic() + pause > ends:
            raise NotEndedError(f"campaign `{campaign_id}`", found)
        yield Pause(seconds=pause)
        pause = min(pause * 1.5, LATER_LOOKS)


def has_succeeded(found: CampaignOut) -> bool:
    """Whether each device of it did it, and there is one."""
    counts = found.counts.to_dict()
    done = {state for state, count in counts.items() if count}
    return found.state == "ended" and done == {"succeeded"}
