"""A planned rollout: wave after wave, held by who may hold it, asked again for who began it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.domain.devices import Device
from service.domain.downloads import Closing, DeliveryState, counted, whole_state
from service.domain.instants import milliseconds
from service.domain.rollouts import Shape, WaveSize, Window
from service.domain.work import Work, WorkKind
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.operations.fleet import ULID, DiedError, Fleet, mortal
from tests.service.operations.rollouts import begin_planned, boss, reached

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
TWO_WAVES = Shape(waves=(WaveSize(devices=2),), pause_minutes=30)
MINUTE = timedelta(minutes=1)


def whole(fleet: Fleet) -> DeliveryState:
    """The state of the whole."""
    return whole_state(fleet.stored, counted(fleet.stored, fleet.stored.counts))


def test_a_wave_waits_for_the_pause(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """The first wave at once, the second half an hour later; each device in one job."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        await fleet.work()
        assert reached(fleet) == ["d0000", "d0001"]
        await fleet.pass_time(29 * MINUTE)
        assert len(reached(fleet)) == 2
        await fleet.pass_time(2 * MINUTE)
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


def test_a_disabled_requester_stops_the_next_wave(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Nobody else gets it, what had not begun is canceled, and the record says why."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        await fleet.work()
        fleet.ports.people.add("acme", boss(enabled=False))
        await fleet.pass_time(31 * MINUTE)
        await fleet.pass_time(31 * MINUTE)
        assert reached(fleet) == ["d0000", "d0001"]
        assert fleet.stored.closing is Closing.STOPPED
        assert fleet.stored.why == "who asked for it is disabled"
        assert whole(fleet) is DeliveryState.CANCELED

    asyncio.run(scenario())


def test_another_person_of_the_name_is_somebody_else(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Deleted and made anew under the same name: the rollout stops before its first job."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=2, shape=Shape())
        del fleet.ports.people.known["acme", boss().id]
        await fleet.work()
        assert (reached(fleet), fleet.stored.closing) == ([], Closing.STOPPED)

    asyncio.run(scenario())


def test_groups_of_now_decide_the_next_wave(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Taken out of `managers` between two waves: the second is refused and audited, and stops."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        await fleet.work()
        fleet.ports.people.add("acme", boss(groups=("operators",)))
        await fleet.pass_time(31 * MINUTE)
        assert reached(fleet) == ["d0000", "d0001"]
        assert fleet.stored.closing is Closing.STOPPED
        assert "operators-view-only" in (fleet.stored.why or "")
        [audited] = fleet.ports.audit.trail
        assert audited.decision.policies == ("operators-view-only",)

    asyncio.run(scenario())


def test_a_pool_that_does_not_answer_makes_nothing(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """The message comes again; once the pool answers, the job is made."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=2, shape=Shape())
        fleet.ports.people.fails = {"find"}
        about = {"download": ULID, "job": "00"}
        make = Work(kind=WorkKind.MAKE_JOB, issuer=fleet.tenant.issuer, tenant="acme", about=about)
        rollout = fleet.worker()
        for received in await fleet.ports.work_queue.receive():
            await rollout.handle(received)
        [received] = await fleet.ports.work_queue.receive()
        await rollout.handle(received)
        assert reached(fleet) == []
        fleet.ports.people.fails = set()
        await fleet.ports.work_queue.send([make])
        await fleet.work()
        assert reached(fleet) == ["d0000", "d0001"]

    asyncio.run(scenario())


def test_who_left_or_was_retired_gets_nothing(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A device that is no more when its job is made is `removed`, and the others get theirs."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=3, shape=Shape())
        fleet.ports.devices.death("acme", "d0001", "thing-of-acme--d0001")
        odd = Device(tenant="acme", id="d0002", attributes={"window": "?"})
        fleet.ports.devices.add(odd)
        await fleet.work()
        assert reached(fleet) == ["d0000"]
        survey = await fleet.ports.deliveries.survey(fleet.tenant, fleet.record)
        assert survey.counts == {DeliveryState.REMOVED: 1, DeliveryState.CANCELED: 1}

    asyncio.run(scenario())


def test_a_group_that_is_no_more_stops_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Nobody can decide on it: nothing more begins, and the record says why."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=2, shape=Shape())
        records = fleet.ports.download_records.once.records
        records["acme", ULID] = replace(fleet.stored, target="hall-9")
        await fleet.work()
        assert (reached(fleet), fleet.stored.closing) == ([], Closing.STOPPED)
        assert fleet.stored.why == "its group is no more"

    asyncio.run(scenario())


def test_a_paused_rollout_makes_nothing_until_resumed(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Its time passes all the same: resumed, the wave that is due begins at once."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=5, shape=TWO_WAVES)
        await fleet.work()
        records = fleet.ports.download_records
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=milliseconds(fleet.now))
        assert whole(fleet) is DeliveryState.PAUSED
        await fleet.pass_time(timedelta(hours=3))
        assert len(reached(fleet)) == 2
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=None)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        await fleet.work()
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


def test_a_job_that_waits_its_turn_is_paused_too(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Its wave has begun and its message is sent: whoever takes it looks whether it may be made."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=150, shape=Shape())
        [look] = await fleet.ports.work_queue.receive()
        await fleet.worker().handle(look)
        assert len(fleet.ports.work_queue.waiting) == 2
        records = fleet.ports.download_records
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=milliseconds(fleet.now))
        await fleet.work()
        assert reached(fleet) == []
        assert await records.pause(fleet.tenant, fleet.stored, at_ms=None)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        await fleet.work()
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


def test_nothing_begins_before_it_is_approved(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """It waits for the second person, and then it begins."""

    async def scenario() -> None:
        fleet = await begin_planned(
            pools, authorizer, devices=2, shape=Shape(), needs_approval=True
        )
        await fleet.work()
        await fleet.pass_time(timedelta(hours=7))
        assert (reached(fleet), whole(fleet)) == ([], DeliveryState.AWAITING_APPROVAL)
        records = fleet.ports.download_records
        assert await records.approve(fleet.tenant, fleet.stored, by="another", groups=())
        assert not await records.approve(fleet.tenant, fleet.stored, by="a third", groups=())
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        await fleet.work()
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


def test_jobs_are_made_in_the_window_alone(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Begun at noon, with a window from ten at night: nothing before, all then."""

    async def scenario() -> None:
        shape = Shape(window=Window.of("22:00-04:00", "+00:00"))
        fleet = await begin_planned(pools, authorizer, devices=2, shape=shape)
        await fleet.work()
        await fleet.pass_time(timedelta(hours=9, minutes=59))
        assert reached(fleet) == []
        await fleet.pass_time(timedelta(minutes=2))
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


def test_a_canary_that_fails_stops_the_rest(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """One of two failed, with a threshold of half: the second wave never begins."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=50, shape=TWO_WAVES)
        await fleet.work()
        fleet.end(DeliveryState.FAILED, fleet.members[:1])
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[1:2])
        await fleet.pass_time(31 * MINUTE)
        assert (len(reached(fleet)), fleet.stored.closing) == (2, Closing.STOPPED)
        assert fleet.stored.why == "too many devices failed"

    asyncio.run(scenario())


def test_a_wave_waits_for_ends_if_it_is_asked_to(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Half of the first wave has to have ended, however long the pause is over."""

    async def scenario() -> None:
        shape = Shape(waves=(WaveSize(devices=2),), ended_percent=50)
        fleet = await begin_planned(pools, authorizer, devices=5, shape=shape)
        await fleet.work()
        await fleet.pass_time(timedelta(hours=2))
        assert len(reached(fleet)) == 2
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[:1])
        await fleet.pass_time(timedelta(minutes=16))
        assert sorted(reached(fleet)) == sorted(fleet.members)

    asyncio.run(scenario())


async def meddle(fleet: Fleet, number: int) -> None:
    """What people do to a rollout: pause it, resume it, approve it."""
    records = fleet.ports.download_records
    if number == 0:
        await records.pause(fleet.tenant, fleet.stored, at_ms=milliseconds(fleet.now))
    elif number == 1:
        await records.pause(fleet.tenant, fleet.stored, at_ms=None)
    else:
        await records.approve(fleet.tenant, fleet.stored, by="another", groups=())


async def live_through(fleet: Fleet, random: Random, deaths: int, *, canceled: bool) -> None:
    """A rollout whose workers die and that people meddle with; from the 40th step on nobody does.

    In the 20th it may be canceled, from the 60th on devices end.
    """
    left = deaths

    def dies() -> None:
        nonlocal left
        if left and random.random() < 0.1:
            left -= 1
            raise DiedError

    names = ("download_records", "deliveries", "download_jobs", "work_queue", "people", "timers")
    dying = mortal(fleet.ports, dies, *names, "devices")
    for step in range(500):
        last = {40: 1, 41: 2}.get(step)
        if step < 42:
            await meddle(fleet, random.randrange(3) if last is None else last)
        if canceled and step == 20:
            await fleet.ports.download_records.close(fleet.tenant, fleet.stored, Closing.CANCELED)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        try:
            await fleet.work(dying)
        except DiedError:
            fleet.ports.work_queue.abandon()
        if step > 60:
            fleet.end(DeliveryState.SUCCEEDED, tuple(reached(fleet)))
        fleet.ports.clock.now = fleet.now + timedelta(minutes=random.choice([1, 6]))
        await fleet.ports.work_queue.send(fleet.ports.timers.due(fleet.now))
        if step > 60 and not fleet.ports.timers.set_for and not fleet.ports.work_queue.waiting:
            return
    raise AssertionError("it does not end")


@pytest.mark.parametrize("canceled", [False, True])
def test_a_rollout_outlives_who_dies_anywhere(
    pools: Pools, authorizer: CedarAuthorizer, canceled: bool
) -> None:
    """Paused, resumed, approved, canceled while workers die: none unplanned, twice, forgotten."""
    random = Random(new_seed())  # noqa: S311 - of where it dies, and of what is done when

    async def scenario() -> None:
        shape = Shape(waves=(WaveSize(devices=3), WaveSize(percent=40)), pause_minutes=5)
        fleet = await begin_planned(
            pools, authorizer, devices=230, shape=shape, needs_approval=True
        )
        await live_through(fleet, random, 120, canceled=canceled)
        seen = reached(fleet)
        assert len(seen) == len(set(seen)), "none twice"
        assert set(seen) <= set(fleet.members), "none that was not planned"
        assert canceled or set(seen) == set(fleet.members), "none forgotten"
        if canceled:
            made = set(fleet.ports.download_jobs.made)
            assert made <= set(fleet.ports.download_jobs.canceled), "each made job is canceled"

    asyncio.run(scenario())
