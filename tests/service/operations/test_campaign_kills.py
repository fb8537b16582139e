"""A campaign outlives its workers: no device gets its command twice, or is forgotten."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.wire import CommandState

from service.domain.campaigns import (
    CampaignClosing,
    CampaignState,
    Part,
    state_of,
)
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.permissions import Permission
from service.domain.selections import Selection
from service.errors import UnavailableError, UpstreamError
from service.operations.authorization import RequestFacts
from service.operations.campaigns import CampaignRequest, advance_campaign
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.seed import new_seed
from tests.service.operations.campaigns import BOSS, Campaign, begin_campaign, boss
from tests.service.operations.fleet import DiedError, mortal

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.memory_ports import MemoryPorts
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
PORTS = (
    "campaign_records",
    "campaign_batches",
    "command_records",
    "broker",
    "people",
    "devices",
    "audit",
    "work_queue",
)


async def to_the_end(campaign: Campaign) -> None:
    """Let devices answer and time pass until nobody looks any more."""
    for _ in range(40):
        campaign.do(*campaign.members)
        await campaign.pass_time(seconds=60)
        if not campaign.delayed and not campaign.ports.work_queue.waiting:
            return
    raise AssertionError("it does not end")


async def die_once(campaign: Campaign, at_call: int) -> bool:
    """Have a worker die before or behind one call of a port; whether it lived to make it."""
    calls = 0

    def dies() -> None:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise DiedError

    try:
        await campaign.work(mortal(campaign.ports, dies, *PORTS))
    except DiedError:
        campaign.ports.work_queue.abandon()
        return False
    return True


@pytest.mark.parametrize("first", range(1, 9))
def test_a_worker_that_dies_at_any_call_changes_nothing(
    pools: Pools, authorizer: CedarAuthorizer, first: int
) -> None:
    """One death before or behind each call in turn: each device has one command, and ends."""

    async def scenario() -> None:
        at_call = first
        while True:
            campaign = await begin_campaign(pools, authorizer, devices=3, seconds=600)
            lived = await die_once(campaign, at_call)
            campaign.due()
            campaign.later(seconds=61)  # as long as the queue gives the message to nobody else
            await campaign.work()
            await to_the_end(campaign)
            assert campaign.sent_to() == list(campaign.members), f"died at call {at_call}"
            assert await campaign.counts() == {"succeeded": 3}, f"died at call {at_call}"
            assert campaign.stored.closing is CampaignClosing.ENDED
            if lived:
                return
            at_call += 8  # all calls, over the cases of this test

    asyncio.run(scenario())


async def live_through(campaign: Campaign, random: Random, *, canceled: bool) -> None:
    """Workers that die and answers that are lost anywhere, messages that come twice, and time."""
    left = 120

    def dies() -> None:
        nonlocal left
        if left and random.random() < 0.05:
            left -= 1
            raise random.choice(
                [DiedError(), UpstreamError("lost", is_lost=True), UnavailableError("a part")]
            )

    dying = mortal(campaign.ports, dies, *PORTS)
    for step in range(400):
        if canceled and step == 12:
            closing = CampaignClosing.CANCELED
            await campaign.ports.campaign_records.close(campaign.tenant, campaign.stored, closing)
        if step % 7 == 0:
            again = advance_campaign(campaign.tenant, campaign.stored)
            await campaign.ports.work_queue.send([again])
        try:
            await campaign.work(dying)
        except (DiedError, UpstreamError):
            campaign.ports.work_queue.abandon()
        campaign.due()
        if step > 60:
            campaign.do(*campaign.members)
        try:
            await campaign.pass_time(dying, seconds=random.choice([1, 20, 61]))
        except (DiedError, UpstreamError):
            campaign.ports.work_queue.abandon()
        if step > 80 and not campaign.delayed and not campaign.ports.work_queue.waiting:
            return
    raise AssertionError("it does not end")


@pytest.mark.parametrize("canceled", [False, True])
def test_a_campaign_outlives_who_dies_anywhere(
    pools: Pools, authorizer: CedarAuthorizer, canceled: bool
) -> None:
    """120 deaths and lost answers: none twice, none forgotten without a word; a cancel is final."""
    random = Random(new_seed())  # noqa: S311 - of where it dies, and of how time passes

    async def scenario() -> None:
        campaign = await begin_campaign(
            pools, authorizer, devices=70, seconds=3600, send_before=2**42
        )
        await live_through(campaign, random, canceled=canceled)
        sent = campaign.sent_to()
        assert len(sent) == len(set(sent)), "none has two commands"
        told = {
            one.id: one.word
            for batch in campaign.ports.campaign_batches.kept.values()
            for one in batch.devices
        }
        # One for which an answer was lost for two minutes is given up, and the others go on.
        given_up = {"skipped", "canceled", "unconfirmed", "expired"}
        forgotten = {
            one for one in campaign.members if one not in sent and told[one] not in given_up
        }
        assert canceled or not forgotten
        state, _ = state_of(campaign.stored, now_ms=campaign.now)
        assert state is (CampaignState.CANCELED if canceled else CampaignState.ENDED)
        counts = await campaign.counts()
        assert sum(counts.values()) == 70
        assert {Part.WAITING, Part.ALLOWED}.isdisjoint(counts)
        if canceled:
            taken = {one.device for one in campaign.ports.broker.canceled}
            assert set(sent) == taken, "each that was sent is taken back"
            again = advance_campaign(campaign.tenant, campaign.stored)
            await campaign.ports.work_queue.send([again])
            await campaign.work()
            assert campaign.sent_to() == sent, "nothing more is sent"

    asyncio.run(scenario())


@pytest.mark.parametrize("at_call", range(1, 120, 4))
def test_who_was_disabled_while_a_worker_was_dead(
    pools: Pools, authorizer: CedarAuthorizer, at_call: int
) -> None:
    """Whatever had not left by then never does, and the campaign says why it stopped."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30)
        lived = await die_once(campaign, at_call)
        if lived:
            return
        records = campaign.ports.command_records.once.records
        # What was recorded may have left, and was allowed then: it is sent again.
        begun = {one.device for one in records.values()} | set(campaign.sent_to())
        campaign.ports.people.add("acme", boss(enabled=False))
        campaign.due()
        campaign.later(seconds=61)
        await campaign.work()
        for _ in range(8):
            await campaign.pass_time(seconds=61)
        assert set(campaign.sent_to()) <= begun
        assert {one.device for one in records.values()} == begun
        if len(begun) < 30:
            assert campaign.stored.closing is CampaignClosing.STOPPED
            assert campaign.stored.why == "who asked for it is disabled"
        assert sum((await campaign.counts()).values()) == 30

    asyncio.run(scenario())


def test_a_request_that_died_is_repeated(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Before or behind each call in turn; repeated under its key it is one campaign, sent once."""

    async def scenario() -> None:
        for at_call in range(1, 100):
            campaign = await begin_campaign(pools, authorizer, devices=3)
            campaign.ports.campaign_records.once.records.clear()
            campaign.ports.campaign_batches.kept.clear()
            campaign.ports.work_queue.waiting.clear()
            calls = 0

            def dies(at_call: int = at_call) -> None:
                nonlocal calls
                calls += 1
                if calls == at_call:
                    raise DiedError

            lived = True
            try:
                await ask(campaign, mortal(campaign.ports, dies, *PORTS))
            except DiedError:
                lived = False
            await ask(campaign, campaign.ports)
            await campaign.work()
            assert campaign.sent_to() == list(campaign.members), f"died at call {at_call}"
            assert len(campaign.ports.campaign_records.once.records) == 1
            if lived:
                return
        raise AssertionError("it makes too many calls")

    asyncio.run(scenario())


async def ask(campaign: Campaign, ports: MemoryPorts) -> None:
    """The same request of the same person under one key."""
    operations = Operations(ports, TokenSettings())
    claims = VerifiedClaims({"cognito:groups": ["managers"], "cognito:username": BOSS})
    principal = Principal(
        tenant=campaign.tenant,
        subject=BOSS,
        token_use=TokenUse.ID,
        groups=("managers",),
        email=None,
        client_id="acmeclient",
        expires_at=2**40,
        claims=claims,
        token="header.claims.signature",
    )
    access = operations.access(
        principal,
        facts=RequestFacts(request_id="request-1", source_ip=None),
        declared=frozenset({Permission.OPERATE_DEVICE}),
    )
    request = CampaignRequest(
        target=Selection(group="all"),
        name="reboot",
        arguments={},
        window_seconds=3600,
        idempotency_key="k",
    )
    await operations.campaigns.start(access, request)


def test_a_cancel_waits_for_who_is_at_a_batch(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Canceled while a batch is under way: it is not marked before its worker is surely gone."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30)
        records, batches = campaign.ports.campaign_records, campaign.ports.campaign_batches
        assert await records.begin_batch(campaign.tenant, campaign.stored, 0, at_ms=campaign.now)
        assert await records.close(campaign.tenant, campaign.stored, CampaignClosing.CANCELED)
        await campaign.work()
        batch = await batches.read(campaign.tenant, campaign.stored, 0)
        assert batch is not None
        assert batch.sent_at is None
        await campaign.pass_time(seconds=61)
        assert await campaign.counts() == {"canceled": 30}
        assert campaign.sent_to() == []

    asyncio.run(scenario())


def test_of_cancel_and_batch_one_is_first(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """No batch begins behind a cancel, and a cancel behind the last one takes it back."""

    async def scenario() -> None:
        for canceled_first in (True, False):
            campaign = await begin_campaign(pools, authorizer, devices=3, seconds=600)
            records = campaign.ports.campaign_records
            if not canceled_first:
                await campaign.work()
            await records.close(campaign.tenant, campaign.stored, CampaignClosing.CANCELED)
            await campaign.ports.work_queue.send(
                [advance_campaign(campaign.tenant, campaign.stored)]
            )
            await campaign.work()
            assert campaign.sent_to() == ([] if canceled_first else list(campaign.members))
            assert len(campaign.ports.broker.canceled) == (0 if canceled_first else 3)
            state, _ = state_of(campaign.stored, now_ms=campaign.now)
            assert state is CampaignState.CANCELED
            campaign.do(*campaign.members, state=CommandState.CANCELED)
            for _ in range(5):
                await campaign.pass_time(seconds=60)
            assert await campaign.counts() == {"canceled": 3}

    asyncio.run(scenario())
