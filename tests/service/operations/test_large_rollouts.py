"""A planned rollout to 10,000 devices within AWS's rates, and a wish for many of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.downloads import DeliveryState
from service.domain.rollouts import Shape, WaveSize
from service.domain.work import WorkKind
from service.operations.budgets import Pace
from service.operations.worker import Worker
from service.settings import JobSettings
from tests.service.operations.rollouts import begin_planned, reached
from tests.service.operations.wishes import site, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
DEVICES = 10_000


class Timed:
    """A port of which each call of some methods is noted with the time of the fleet's clock."""

    def __init__(self, port: Any, clock: Callable[[], datetime], *names: str) -> None:
        self._port, self._clock, self._names = port, clock, names
        self.at: list[datetime] = []

    def __getattr__(self, name: str) -> Any:
        """The port's own."""
        if name in self._names:
            self.at.append(self._clock())
        return getattr(self._port, name)

    def most_a_second(self) -> int:
        """The most calls that fell into one second."""
        return max(
            sum(at <= other < at + timedelta(seconds=1) for other in self.at) for at in self.at
        )


@pytest.mark.timeout(240)
def test_a_plan_for_all_keeps_the_rates(
    pools: Pools, authorizer: CedarAuthorizer, record_property: Callable[[str, object], None]
) -> None:
    """Waves of 1 %, 10 % and the rest: each device once, ten calls of IoT Jobs a second at most."""

    async def scenario() -> None:
        shape = Shape(waves=(WaveSize(percent=1), WaveSize(percent=10)), pause_minutes=10)
        fleet = await begin_planned(pools, authorizer, devices=DEVICES, shape=shape)
        ports, clock = fleet.ports, fleet.ports.clock

        async def sleep(seconds: float) -> None:
            clock.now = fleet.now + timedelta(seconds=seconds)

        jobs: Any = Timed(ports.download_jobs, clock, "make", "cancel", "outcomes")
        people: Any = Timed(ports.people, clock, "find")
        plain = fleet.rollout(Pace(ports.buckets, clock, sleep=sleep))
        # As many devices a minute as there are: the account's rates alone hold it back.
        rollout = replace(
            plain,
            jobs=jobs,
            decisions=replace(plain.decisions, people=people),
            settings=JobSettings(devices_per_minute=DEVICES),
        )
        worker = Worker(
            queue=ports.work_queue,
            tenants=ports.tenants,
            clock=clock,
            handlers={
                WorkKind.ADVANCE_DOWNLOAD: rollout.advance,
                WorkKind.MAKE_JOB: rollout.make_job,
            },
        )
        began, so_far = fleet.now, time.monotonic()
        while len(reached(fleet)) < DEVICES:
            for received in await ports.work_queue.receive():
                await worker.handle(received)
            if not ports.work_queue.waiting:
                clock.now = max(fleet.now, min(at for at, _ in ports.timers.set_for.values()))
                await ports.work_queue.send(ports.timers.due(fleet.now))
        assert Counter(reached(fleet)) == Counter(fleet.members), "each once"
        assert len(ports.download_jobs.made) == 100
        assert jobs.most_a_second() <= 10, "IoT Jobs: 10 a second and account"
        assert people.most_a_second() <= 50, "Cognito: 50 questions for groups a second and account"
        record_property(
            "figures",
            f"{DEVICES} devices, 100 jobs in {fleet.now - began} of the fleet's time,"
            f" {time.monotonic() - so_far:.0f} s of ours",
        )

    asyncio.run(scenario())


def test_a_wish_brings_many_there(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A hundred a minute, as fast as a wish may go: each device once, and then nothing more."""

    async def scenario() -> None:
        here = site(pools, authorizer, *(f"press-{number:05}" for number in range(1_500)))
        await here.want(wanted(here))
        await here.pass_time(timedelta(minutes=10))
        assert 900 <= len(here.reached()) <= 1_100
        await here.pass_time(timedelta(minutes=10))
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(timedelta(hours=2))
        assert len(here.reached()) == len(set(here.reached())) == 1_500
        assert len(here.there()) == 1_500

    asyncio.run(scenario())
