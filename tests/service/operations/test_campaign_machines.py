"""A machine's campaign: each batch is decided by its row of then and the scopes of its token."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.cedar.decision import Allowed
from service.domain.campaigns import CampaignState
from service.domain.machines import Machine, MachineState
from tests.service.operations.campaigns import Campaign, begin_campaign
from tests.service.operations.test_campaign_sending import Pools, between, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.memory.authorizer import CedarAuthorizer

CLIENT = "client-of-mes"
BOTH = ("fleet/view", "fleet/operate")


async def begin(
    pools: Pools, authorizer: CedarAuthorizer, *, devices: int = 60, **more: Any
) -> Campaign:
    """A campaign of the machine `mes`, begun with a token that may view and operate."""
    usual: dict[str, Any] = {
        "created_by": f"{pools[0].tenant.pool_id}|{CLIENT}",
        "requester": CLIENT,
        "machine": "mes",
        "scopes": BOTH,
    }
    campaign = await begin_campaign(pools, authorizer, devices=devices, **(usual | more))
    campaign.ports.people.known.clear()
    set_row(campaign)
    return campaign


def set_row(campaign: Campaign, **changes: Any) -> None:
    """Have the machine be as it was made, but for these changes."""
    usual: dict[str, Any] = {
        "tenant": "acme",
        "id": "mes",
        "scopes": ("view", "operate"),
        "created_by": "somebody",
        "created_at": 1,
        "changed_at": 1,
        "client_id": CLIENT,
        "state": MachineState.ACTIVE,
        "version": 1,
    }
    campaign.ports.machine_records.rows["acme", "mes"] = Machine(**(usual | changes))


def test_a_machine_sends_by_its_scopes(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """All of it, as no person of the pool; the trail says what a token of it would have said."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer)
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members)
        assert whole(campaign) == (CampaignState.SENT, None)
        trail = campaign.ports.audit.trail
        assert {one.decision.policies for one in trail} == {("machines-operate",)}
        assert {one.person for one in trail} == {CLIENT}
        asked = [one.question for one in trail if one.question is not None]
        assert len(asked) == 60
        claims = {
            "sub": CLIENT,
            "client_id": CLIENT,
            "scope": "fleet/view fleet/operate",
            "token_use": "access",
        }
        assert all(one.claims == claims for one in asked)
        assert all("token" not in one.context for one in asked), "it is made of the claims"

    asyncio.run(scenario())


def test_scopes_are_no_more_than_the_tokens(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Begun with a token that may view alone: each is denied, whatever the machine may else."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer, scopes=("fleet/view",))
        await campaign.work()
        assert campaign.sent_to() == []
        assert await campaign.counts() == {"denied": 60}
        trail = campaign.ports.audit.trail
        assert len(trail) == 60
        assert not any(isinstance(one.decision, Allowed) for one in trail)

    asyncio.run(scenario())


def test_a_scope_that_it_lost_decides_no_more(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Behind the first batch the machine may view alone, though its token said more."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer)
        between(campaign, authorizer, lambda _: set_row(campaign, scopes=("view", "update")))
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members[:25])
        assert await campaign.counts() == {"published": 25, "denied": 35}
        said = [one.question.claims["scope"] for one in campaign.ports.audit.trail if one.question]
        assert said == ["fleet/view fleet/operate"] * 25 + ["fleet/view"] * 35

    asyncio.run(scenario())


def gone(campaign: Campaign) -> None:
    """Have its row's time be over."""
    campaign.ports.machine_records.rows.clear()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: set_row(one, state=MachineState.REVOKED), "is revoked"),
        (lambda one: set_row(one, state=MachineState.REVOKING), "is revoking"),
        (lambda one: set_row(one, state=MachineState.UNKNOWN), "is unknown"),
        (lambda one: set_row(one, client_id="made-anew"), "is no more"),
        (lambda one: set_row(one, client_id=None, state=MachineState.MAKING), "is no more"),
        (gone, "is no more"),
        (lambda one: set_row(one, scopes=("update",)), "has none of its token's scopes now"),
    ],
    ids=["revoked", "revoking", "of-later", "replaced", "being-replaced", "gone", "no-scope"],
)
def test_a_machine_that_is_gone_stops_it(
    pools: Pools, authorizer: CedarAuthorizer, change: Callable[[Campaign], None], why: str
) -> None:
    """Behind the first batch: nothing more is sent or asked, and it says why."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer)
        between(campaign, authorizer, lambda _: change(campaign))
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members[:25])
        assert whole(campaign) == (
            CampaignState.STOPPED,
            f"the machine that asked for it {why}",
        )
        assert len(campaign.ports.audit.trail) == 25

    asyncio.run(scenario())


def test_a_machine_begins_nothing_without_a_row(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """While the machines cannot be read nothing is sent; then it goes on."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer, devices=3)
        records = campaign.ports.machine_records
        records.available = False
        [received] = await campaign.ports.work_queue.receive()
        await campaign.worker().handle(received)
        assert (campaign.sent_to(), campaign.ports.audit.trail) == ([], [])
        assert whole(campaign)[0] is CampaignState.SENDING
        records.available = True
        campaign.due()
        campaign.later(seconds=61)
        await campaign.work()
        await campaign.pass_time(seconds=61)
        assert campaign.sent_to() == list(campaign.members)

    asyncio.run(scenario())


def test_a_person_is_no_machine_by_their_row(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A row without a machine is a person's: the pool is asked, and a machine's id helps nobody."""

    async def scenario() -> None:
        campaign = await begin(pools, authorizer, machine=None)
        await campaign.work()
        assert campaign.sent_to() == []
        assert whole(campaign) == (
            CampaignState.STOPPED,
            "who asked for it is not in the user pool any more",
        )
        # Nor has another's row its scopes.
        other = await begin(pools, authorizer)
        rows = other.ports.machine_records.rows
        rows["globex", "mes"] = replace(rows.pop(("acme", "mes")), tenant="globex")
        await other.work()
        assert other.sent_to() == []

    asyncio.run(scenario())
