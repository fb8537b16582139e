"""The worker's part of a campaign: each device once, decided as it is then, whoever dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cedarfleet_device.wire import CommandState

from service.domain.campaigns import CampaignState, state_of
from service.operations.campaigns import advance_campaign
from tests.service.operations.campaigns import Campaign, begin_campaign
from tests.service.operations.fleet import ULID

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]


def whole(campaign: Campaign) -> tuple[CampaignState, str | None]:
    """Where it stands, and why."""
    return state_of(campaign.stored, now_ms=campaign.now)


def test_each_device_is_sent_its_command_once(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Three batches; a message that comes again does nothing; each end is counted, then it ends."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=60)
        assert whole(campaign) == (CampaignState.CREATED, None)
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members)
        assert len(campaign.ports.broker.published) == 60
        assert whole(campaign) == (CampaignState.SENT, None)
        assert await campaign.counts() == {"published": 60}
        again = advance_campaign(campaign.tenant, campaign.stored, step=0)
        await campaign.ports.work_queue.send([again] * 2)
        await campaign.work()
        assert len(campaign.ports.broker.published) == 60
        campaign.do(*campaign.members[:50])
        campaign.do(*campaign.members[50:], state=CommandState.FAILED)
        for _ in range(4):
            await campaign.pass_time(seconds=60)
        assert await campaign.counts() == {"succeeded": 50, "failed": 10}
        assert whole(campaign) == (CampaignState.ENDED, None)
        assert campaign.delayed == [], "nobody looks any more"
        commands = campaign.ports.command_records.once.records.values()
        assert {one.campaign for one in commands} == {ULID}

    asyncio.run(scenario())
