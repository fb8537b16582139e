"""Devices that failed or timed out are tried again as often as was planned, and never more."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.domain.downloads import Closing, DeliveryState, counted, whole_state
from service.domain.instants import milliseconds
from service.domain.rollouts import Shape, WaveSize, Window
from service.domain.work import Work, WorkKind
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.operations.fleet import ULID, DiedError, Fleet, mortal
from tests.service.operations.rollouts import begin_planned, boss, reached
from tests.service.operations.test_audit_deliveries import told

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
FAILED, SUCCEEDED = DeliveryState.FAILED, DeliveryState.SUCCEEDED
MINUTE = timedelta(minutes=1)
TWICE = Shape(retries=2, retry_minutes=10, abort_percent=100)
ONCE = Shape(retries=1, retry_minutes=10)
PORTS = ("download_records", "deliveries", "download_jobs", "work_queue", "people", "timers")


class Dying:
    """Who is killed now and then, at one of the calls that come next."""

    def __init__(self, random: Random) -> None:
        self.deaths = 0
        self._random = random
        self._left = random.randrange(1, 30)

    def __call__(self) -> None:
        """One more call."""
        self._left -= 1
        if self._left == 0:
            self.deaths += 1
            self._left = self._random.randrange(5, 60)
            raise DiedError


def tries(fleet: Fleet) -> Counter[str]:
    """How many jobs were made for each device."""
    return Counter(reached(fleet))


def whole(fleet: Fleet) -> DeliveryState:
    """The state of the whole."""
    return whole_state(fleet.stored, counted(fleet.stored, fleet.stored.counts))


def pause(fleet: Fleet, *, at_ms: int | None) -> None:
    """Pause it since then, or resume it."""
    known = replace(fleet.stored, paused_at=at_ms)
    fleet.ports.download_records.once.records["acme", ULID] = known


def test_who_fails_is_tried_as_often_as_planned(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """After its pause, in a job of its own; what is left counts, and the whole ends only then."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=3, shape=ONCE)
        await fleet.work()
        fleet.end(FAILED, ("d0000",))
        fleet.end(DeliveryState.TIMED_OUT, ("d0001",))
        fleet.end(SUCCEEDED, ("d0002",))
        await fleet.pass_time(9 * MINUTE)
        assert set(tries(fleet).values()) == {1}, "not before its pause"
        assert whole(fleet) is DeliveryState.IN_PROGRESS
        await fleet.pass_time(2 * MINUTE)
        assert tries(fleet) == {"d0000": 2, "d0001": 2, "d0002": 1}
        assert max(fleet.ports.download_jobs.made) == f"acme--{ULID}-00r01"
        fleet.end(SUCCEEDED, ("d0000",))
        fleet.end(FAILED, ("d0001",))
        await fleet.pass_time(60 * MINUTE)
        await fleet.pass_time(60 * MINUTE)
        assert tries(fleet) == {"d0000": 2, "d0001": 2, "d0002": 1}
        assert fleet.stored.closing is Closing.ENDED
        assert fleet.stored.counts == {SUCCEEDED: 2, FAILED: 1}
        assert whole(fleet) is DeliveryState.PARTLY_FAILED
        progress = fleet.ports.deliveries.progress
        shown = await progress(fleet.tenant, fleet.stored, limit=9, cursor=None)
        assert [one.detail for one in shown.deliveries] == [{"attempt": "2"}, {"attempt": "2"}, {}]

    asyncio.run(scenario())


def test_what_is_rejected_is_not_tried_again(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Nor what was not planned to be."""

    async def scenario() -> None:
        for shape, state in ((TWICE, DeliveryState.REJECTED), (Shape(abort_percent=100), FAILED)):
            fleet = await begin_planned(pools, authorizer, devices=2, shape=shape)
            await fleet.work()
            fleet.end(state, fleet.members)
            await fleet.pass_time(60 * MINUTE)
            assert set(tries(fleet).values()) == {1}
            assert fleet.stored.closing is Closing.ENDED

    asyncio.run(scenario())


def test_a_pause_and_a_window_hold_retries(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """What is due meanwhile is tried once it is resumed, and the window is open."""
    shape = replace(TWICE, window=Window.of("12:00-13:00", "+00:00"))

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=2, shape=shape)
        await fleet.work()
        fleet.end(FAILED, fleet.members)
        pause(fleet, at_ms=milliseconds(fleet.now))
        await fleet.pass_time(30 * MINUTE)
        # Sent before it was paused, and handled later: the record is read again.
        about = {"download": ULID, "job": "00"}
        late = Work(kind=WorkKind.RETRY_JOB, issuer=fleet.tenant.issuer, tenant="acme", about=about)
        await fleet.ports.work_queue.send([late])
        await fleet.work()
        assert set(tries(fleet).values()) == {1}
        await fleet.pass_time(60 * MINUTE)
        pause(fleet, at_ms=None)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        await fleet.work()
        assert set(tries(fleet).values()) == {1}, "it is half past one"
        await fleet.pass_time(22 * 60 * MINUTE)
        assert (fleet.now.hour, set(tries(fleet).values())) == (11, {1})
        await fleet.pass_time(31 * MINUTE)
        assert set(tries(fleet).values()) == {2}

    asyncio.run(scenario())


@pytest.mark.parametrize("closing", [Closing.CANCELED, Closing.STOPPED])
def test_what_is_closed_tries_nobody_again(
    pools: Pools, authorizer: CedarAuthorizer, closing: Closing
) -> None:
    """And who is being tried again is canceled, if it had not begun."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=3, shape=TWICE)
        await fleet.work()
        fleet.end(FAILED, fleet.members[:2])
        await fleet.pass_time(11 * MINUTE)
        assert tries(fleet) == {"d0000": 2, "d0001": 2, "d0002": 1}
        fleet.end(FAILED, ("d0000",))
        fleet.close(closing)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        for _ in range(3):
            await fleet.pass_time(30 * MINUTE)
        assert tries(fleet) == {"d0000": 2, "d0001": 2, "d0002": 1}
        assert sorted(set(fleet.ports.download_jobs.canceled)) == [
            f"acme--{ULID}-00",
            f"acme--{ULID}-00r01",
        ]
        assert fleet.stored.counts == {FAILED: 1, DeliveryState.CANCELED: 2}

    asyncio.run(scenario())


def test_a_device_counts_as_failed_until_it_succeeds(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """So a retry hides nothing from the threshold: the next wave does not begin."""
    shape = Shape(
        waves=(WaveSize(devices=10),), abort_percent=30, retries=3, retry_minutes=1, pause_minutes=9
    )

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=30, shape=shape)
        await fleet.work()
        fleet.end(SUCCEEDED, fleet.members[:6])
        fleet.end(FAILED, fleet.members[6:8])
        await fleet.pass_time(2 * MINUTE)
        assert tries(fleet)["d0007"] == 2
        assert fleet.stored.closing is None
        fleet.end(FAILED, fleet.members[8:10])
        await fleet.pass_time(1 * MINUTE)
        assert fleet.stored.closing is Closing.STOPPED, "four of ten have failed"
        await fleet.pass_time(60 * MINUTE)
        assert len(tries(fleet)) == 10

    asyncio.run(scenario())


def test_a_wave_waits_for_who_is_tried_again(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Where all of a wave must have ended, who failed has not, as long as a retry is left."""
    shape = replace(ONCE, waves=(WaveSize(devices=2),), ended_percent=100)

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=3, shape=shape)
        await fleet.work()
        fleet.end(SUCCEEDED, ("d0000",))
        fleet.end(FAILED, ("d0001",))
        for _ in range(3):
            await fleet.pass_time(11 * MINUTE)
        assert tries(fleet) == {"d0000": 1, "d0001": 2}
        fleet.end(SUCCEEDED, ("d0001",))
        await fleet.pass_time(16 * MINUTE)
        assert tries(fleet)["d0002"] == 1

    asyncio.run(scenario())


def test_who_is_denied_by_then_is_not_tried_again(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """A round is decided as a job is, for who began it as the pool shows them then."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=3, shape=TWICE)
        await fleet.work()
        fleet.end(FAILED, fleet.members[:1])
        fleet.ports.people.add("acme", boss(enabled=False))
        await fleet.pass_time(11 * MINUTE)
        assert set(tries(fleet).values()) == {1}
        assert fleet.stored.why == "who asked for it is disabled"

    asyncio.run(scenario())


def test_the_audit_tells_of_each_attempt(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Each end once, with which attempt it was."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=1, shape=TWICE)
        await fleet.work()
        for state in (FAILED, FAILED, SUCCEEDED):
            fleet.end(state, fleet.members)
            await fleet.pass_time(11 * MINUTE)
            await fleet.pass_time(11 * MINUTE)
        ends = [one["outcome"]["devices"]["d0000"] for one in told(fleet)]
        assert [(one["state"], one.get("attempt")) for one in ends] == [
            ("failed", None),
            ("failed", 2),
            ("succeeded", 3),
        ]

    asyncio.run(scenario())


def test_nobody_is_tried_too_often_whoever_dies(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Killed at any call: each of those that always fail has three jobs, and each other one."""
    random = Random(new_seed())  # noqa: S311 - of where it dies
    dies = Dying(random)

    async def look(fleet: Fleet, time: timedelta) -> None:
        fleet.ports.clock.now = fleet.now + time
        await fleet.ports.work_queue.send(fleet.ports.timers.due(fleet.now))
        dying = mortal(fleet.ports, dies, *PORTS)
        while fleet.ports.work_queue.waiting:
            try:
                await fleet.work(dying)
            except DiedError:
                fleet.ports.work_queue.abandon()

    async def history() -> None:
        fleet = await begin_planned(pools, authorizer, devices=120, shape=TWICE)
        lame = {one for one in fleet.members if random.random() < 0.3}
        ended: Counter[str] = Counter()
        for step in range(80):
            # Some end later; in the end all do.
            share, minutes = (0.8, random.randrange(1, 15)) if step < 60 else (1.0, 30)
            await look(fleet, timedelta(minutes=minutes))
            tried = tries(fleet)
            assert max(tried.values(), default=0) <= 3
            for device in fleet.members:
                if ended[device] < tried[device] and random.random() < share:
                    ended[device] += 1
                    fleet.end(FAILED if device in lame else SUCCEEDED, (device,))
        assert tries(fleet) == {one: 3 if one in lame else 1 for one in fleet.members}
        assert fleet.stored.closing is Closing.ENDED
        assert sum(fleet.stored.counts.values()) == 120

    for _ in range(5):
        asyncio.run(history())
    assert dies.deaths > 0
