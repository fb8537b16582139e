"""What waits for a device that is retired: ended, whoever dies, and nothing is made for it anew."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.budgets import MemoryBuckets
from service.domain.downloads import DeliveryState
from service.domain.instants import milliseconds
from service.operations.budgets import Pace
from service.operations.retired_devices import AGAIN_SECONDS, RetiredDevices, settling_retired
from tests.seed import new_seed
from tests.service.operations.fleet import DiedError, Fleet, begin, mortal

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
CANCELED = DeliveryState.CANCELED


async def retire(fleet: Fleet, device_id: str) -> None:
    """What the API does: the row, and the worker's message."""
    device = fleet.ports.devices.known("acme", device_id)
    assert device is not None
    await fleet.ports.enrolments.retire(
        fleet.tenant, device, by="somebody", now_ms=milliseconds(fleet.now)
    )
    await fleet.ports.work_queue.send([settling_retired(fleet.tenant, device_id)])


async def states(fleet: Fleet) -> dict[str, DeliveryState]:
    """Each device's state, by its id."""
    seen = await fleet.ports.deliveries.progress(
        fleet.tenant, fleet.stored, limit=10_000, cursor=None
    )
    return {delivery.device: delivery.state for delivery in seen.deliveries}


def test_a_device_whose_turn_comes_later_is_passed_by(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Retired while its job waits for its time: no job is made for it, and the rest go on."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2_500, devices_per_minute=100)
        await fleet.work()
        late, early = fleet.members[2_450], fleet.members[50]
        await retire(fleet, late)
        await retire(fleet, early)
        await fleet.work()
        assert (await states(fleet))[early] is CANCELED
        while len(fleet.made()) < 25:
            await fleet.pass_time(timedelta(minutes=1))
        job = fleet.ports.download_jobs.made[f"{fleet.record.name}-24"]
        assert (late in job.members, len(job.members)) == (False, 99)
        seen = await states(fleet)
        assert {name for name, state in seen.items() if state is CANCELED} == {late, early}
        fleet.end(DeliveryState.SUCCEEDED, tuple(set(fleet.members) - {late, early}))
        await fleet.pass_time(timedelta(hours=6))
        assert fleet.stored.counts == {DeliveryState.SUCCEEDED: 2_498, CANCELED: 2}
        assert fleet.ports.timers.set_for == {}, "nobody waits for who was retired"

    asyncio.run(scenario())


def test_a_job_made_at_that_very_moment_is_ended_later(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Whoever makes the job has read the device before: the worker's second look finds it."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=3)
        queue = fleet.ports.work_queue
        download, queue.waiting = queue.waiting, []
        await retire(fleet, fleet.members[1])
        await fleet.work()
        queue.waiting = download
        await fleet.work()
        assert set((await states(fleet)).values()) == {DeliveryState.QUEUED}
        [(seconds, again)] = queue.delayed
        assert seconds == AGAIN_SECONDS
        await queue.send([again])
        await fleet.work()
        assert (await states(fleet))[fleet.members[1]] is CANCELED
        assert list((await states(fleet)).values()).count(CANCELED) == 1
        assert len(queue.delayed) == 1, "it ends with that"

    asyncio.run(scenario())


def test_each_call_of_iot_jobs_takes_its_turn(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """One to find what waits, and one for each job of it, in the pace of all tasks."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)
        await fleet.work()
        buckets = MemoryBuckets()
        retired = RetiredDevices(
            devices=fleet.ports.devices,
            records=fleet.ports.download_records,
            deliveries=fleet.ports.deliveries,
            jobs=fleet.ports.download_jobs,
            pace=Pace(buckets, fleet.ports.clock),
            queue=fleet.ports.work_queue,
            clock=fleet.ports.clock,
            settings=fleet.settings,
        )
        await retire(fleet, fleet.members[0])
        for look, turns in ((1, 2), (2, 3)):
            work = settling_retired(fleet.tenant, fleet.members[0], look=look)
            await retired.handle(fleet.tenant, work)
            assert buckets.writes == turns
        assert (await states(fleet))[fleet.members[0]] is CANCELED

    asyncio.run(scenario())


def test_nothing_is_ended_of_a_device_that_was_not_retired(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """A message is no word on how a device stands: only its rows are."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)
        await fleet.work()
        asked = [
            settling_retired(fleet.tenant, device) for device in (*fleet.members, "no-such-one")
        ]
        await fleet.ports.work_queue.send(asked)
        await fleet.work()
        assert set((await states(fleet)).values()) == {DeliveryState.QUEUED}

    asyncio.run(scenario())


@pytest.mark.parametrize("deaths", [40])
def test_the_end_outlives_a_worker_that_dies_anywhere(
    pools: Pools, authorizer: CedarAuthorizer, deaths: int
) -> None:
    """At any call: each retired device ends, with the reason, and nobody else does."""
    random = Random(new_seed())  # noqa: S311 - of where it dies

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=150)
        await fleet.work()
        retired = set(random.sample(fleet.members, 10))
        for device in sorted(retired):
            await retire(fleet, device)
        left = deaths

        def dies() -> None:
            nonlocal left
            if left and random.random() < 0.2:
                left -= 1
                raise DiedError

        dying = mortal(fleet.ports, dies, "devices", "download_jobs", "deliveries", "work_queue")
        queue = fleet.ports.work_queue
        while queue.waiting or queue.given_out:
            try:
                await fleet.work(dying)
            except DiedError:
                queue.abandon()
        seen = await states(fleet)
        assert {name for name, state in seen.items() if state is CANCELED} == retired
        assert left < deaths, "nobody died: the test tested nothing"

    asyncio.run(scenario())
