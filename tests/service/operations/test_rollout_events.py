"""Events of rollouts and campaigns as a whole: each once, in order, whoever dies in telling."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from service.domain.campaigns import CampaignClosing
from service.domain.downloads import Closing, DeliveryState
from service.domain.events import Event, EventPage
from service.domain.instants import milliseconds
from service.domain.rollouts import Shape, WaveSize
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.operations.campaigns import begin_campaign
from tests.service.operations.fleet import ULID, DiedError, Fleet, mortal
from tests.service.operations.rollouts import begin_planned, boss

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.memory_ports import MemoryPorts
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
TWO_WAVES = Shape(waves=(WaveSize(devices=2),), pause_minutes=30)
MINUTE = timedelta(minutes=1)
PORTS = ("download_records", "event_log", "timers", "work_queue", "deliveries")


def told(ports: MemoryPorts) -> list[Event]:
    """The log of acme, each event as often as it stands there."""
    pages = ports.event_log.texts.get("acme", {})
    return [event for number in sorted(pages) for event in EventPage.read(pages[number]).events]


def types(ports: MemoryPorts) -> list[str]:
    """What happened, by its verb."""
    return [event.type.partition(".")[2] for event in told(ports)]


async def look(fleet: Fleet) -> None:
    """Have the worker look, as each act of the API does."""
    await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
    await fleet.work()


def test_a_rollout_tells_where_it_stands(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Started, approved, paused, resumed, wave after wave, ended: each once, and what it names."""

    async def scenario() -> None:
        fleet = await begin_planned(
            pools, authorizer, devices=5, shape=TWO_WAVES, needs_approval=True
        )
        records = fleet.ports.download_records
        await fleet.work()
        assert types(fleet.ports) == ["started"]
        assert await records.approve(fleet.tenant, fleet.stored, by="another", groups=())
        await look(fleet)
        await look(fleet)
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=milliseconds(fleet.now))
        await look(fleet)
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=None)
        await look(fleet)
        await fleet.pass_time(31 * MINUTE)
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        await fleet.pass_time(31 * MINUTE)
        assert fleet.stored.closing is Closing.ENDED
        assert types(fleet.ports) == [
            "started",
            "approved",
            "wave-begun",
            "paused",
            "resumed",
            "wave-begun",
            "ended",
        ]
        about = {"download": ULID, "target_kind": "group", "target": "all"}
        waves = [one.data for one in told(fleet.ports) if one.type == "rollout.wave-begun"]
        assert waves == [
            {**about, "wave": 1, "waves": 2, "devices": 2},
            {**about, "wave": 2, "waves": 2, "devices": 3},
        ]

    asyncio.run(scenario())


def test_a_rollout_that_is_stopped_says_why(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Its requester is disabled between two waves: the event has the words of the record."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        await fleet.work()
        fleet.ports.people.add("acme", boss(enabled=False))
        await fleet.pass_time(31 * MINUTE)
        assert types(fleet.ports) == ["started", "wave-begun", "wave-begun", "stopped"]
        assert told(fleet.ports)[-1].data["why"] == "who asked for it is disabled"

    asyncio.run(scenario())


def test_no_event_of_a_rollout_is_lost_by_a_death(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Workers die at any call: each thing is told, under one id, and the log has no gap."""
    random = Random(new_seed())  # noqa: S311 - of where it dies

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        deaths = 0

        def dies() -> None:
            nonlocal deaths
            if deaths < 60 and random.random() < 0.1:
                deaths += 1
                raise DiedError

        async def until_done() -> None:
            # Whoever dies has their message given out again.
            while True:
                await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
                try:
                    await fleet.work(mortal(fleet.ports, dies, *PORTS))
                except DiedError:
                    fleet.ports.work_queue.abandon()
                    continue
                return

        await until_done()
        fleet.ports.clock.now = fleet.now + 31 * MINUTE
        await until_done()
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        fleet.ports.clock.now = fleet.now + 31 * MINUTE
        await until_done()
        assert deaths
        by_id: dict[str, Any] = {one.event_id: (one.type, one.data) for one in told(fleet.ports)}
        found = [one.event_id for one in told(fleet.ports)]
        firsts = [by_id[one][0] for one in dict.fromkeys(found)]
        assert firsts == [
            "rollout.started",
            "rollout.wave-begun",
            "rollout.wave-begun",
            "rollout.ended",
        ]

    for _ in range(5):
        asyncio.run(scenario())


def test_a_campaign_tells_where_it_stands(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Started, sent, and how it ended."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30)
        await campaign.work()
        for _ in range(10):
            campaign.do(*campaign.members)
            await campaign.pass_time(seconds=60)
        assert types(campaign.ports) == ["started", "sent", "ended"]
        assert {one.data["campaign"] for one in told(campaign.ports)} == {ULID}

    asyncio.run(scenario())


def test_a_campaign_that_is_closed_says_so(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Canceled by somebody, or stopped since its requester is disabled: with the reason."""

    async def scenario() -> None:
        canceled = await begin_campaign(pools, authorizer, devices=30)
        records = canceled.ports.campaign_records
        await records.close(
            canceled.tenant, canceled.stored, CampaignClosing.CANCELED, by="somebody"
        )
        await canceled.work()
        assert types(canceled.ports) == ["started", "canceled"]
        stopped = await begin_campaign(pools, authorizer, devices=30)
        stopped.ports.people.add("acme", boss(enabled=False))
        await stopped.work()
        assert types(stopped.ports) == ["started", "stopped"]
        assert told(stopped.ports)[-1].data["why"] == stopped.stored.why

    asyncio.run(scenario())
