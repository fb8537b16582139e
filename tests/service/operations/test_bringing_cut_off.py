"""Wanted versions while workers die anywhere: none twice at once, none forgotten, none unwanted."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from service.domain.downloads import DeliveryState
from service.domain.wanted_versions import WishState
from service.operations.operations import Operations
from service.operations.wish_messages import look_at
from service.settings import TokenSettings
from tests.seed import new_seed
from tests.service.operations.fleet import DiedError, mortal
from tests.service.operations.wishes import FILE, PACKAGE, Site, site, wanted

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.memory_ports import MemoryPorts
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
NEWER = "01JD0000000000000000000009"
PORTS = (
    *("wanted_versions", "running_versions", "download_records", "deliveries", "download_jobs"),
    *("work_queue", "timers", "people", "devices"),
)


def open_jobs(here: Site) -> Counter[tuple[str | None, str]]:
    """How many jobs each device has of each wish that it has not ended."""
    found: Counter[tuple[str | None, str]] = Counter()
    for record in here.ports.download_records.once.records.values():
        [job] = here.ports.deliveries.planned[record.name].values()
        made = here.ports.download_jobs.made.get(job.id_in(record))
        ended = here.ports.deliveries.ends.get((record.name, 0), {})
        for device in made.members if made else ():
            found[record.wish, device] += device not in ended
    return found


async def step(here: Site, dying: MemoryPorts, minutes: int) -> None:
    """Let a while pass; whoever dies in it leaves its messages to another."""
    try:
        await here.pass_time(timedelta(minutes=minutes), dying)
    except DiedError:
        here.ports.work_queue.abandon()


@pytest.mark.parametrize("superseded", [False, True])
def test_a_wish_outlives_who_dies_anywhere(
    pools: Pools, authorizer: CedarAuthorizer, superseded: bool
) -> None:
    """Devices join, leave, are pinned and fail meanwhile; in the end each is where it shall be."""
    random = Random(new_seed())  # noqa: S311 - of where it dies, and of what is done when
    deaths = 150

    def dies() -> None:
        nonlocal deaths
        if deaths and random.random() < 0.05:
            deaths -= 1
            raise DiedError

    async def scenario() -> None:
        names = [f"press-{number:03}" for number in range(120)]
        here = site(pools, authorizer, *names[:80])
        dying = mortal(here.ports, dies, *PORTS)
        await here.want(wanted(here, devices_per_hour=1_200, abort_percent=100))
        for number in range(120):
            if number < 40:
                here.add(names[80 + number])
            if number == 20:
                here.add(names[0], pinned=(PACKAGE,))
            if number == 30 and superseded:
                newer = wanted(
                    here,
                    wish_id=NEWER,
                    version="3.0",
                    file_id=FILE[:-1] + "3",
                    devices_per_hour=1_200,
                    abort_percent=100,
                )
                await here.want(newer)
            await step(here, dying, random.choice([1, 3, 20]))
            assert max(open_jobs(here).values(), default=0) <= 1, "two jobs at once of one wish"
            # A wish of which all fail is stopped, as it shall be: the first come there.
            fails = number < 40 and here.there("3.0" if superseded and number >= 30 else "2.0")
            states = [DeliveryState.SUCCEEDED, *[DeliveryState.FAILED] * bool(fails)]
            ending = random.sample(names, 20)
            here.end(random.choice(states), *ending)
        here.end(DeliveryState.SUCCEEDED)
        nonlocal deaths
        deaths = 0
        for _ in range(40):
            await here.pass_time(timedelta(hours=6))
            here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(timedelta(hours=2))
        version = "3.0" if superseded else "2.0"
        failed = {one for one in names if one not in here.there(version)}
        # One that failed five times is left alone; nothing else is left behind.
        tries = Counter(
            device
            for record in here.ports.download_records.once.records.values()
            if (record.wish == NEWER) is superseded
            for device, end in here.ports.deliveries.ends.get((record.name, 0), {}).items()
            if end.state is DeliveryState.FAILED
        )
        pinned = {names[0]} if superseded else set[str]()
        assert all(tries[one] >= 5 for one in failed - pinned - {names[0]})
        assert here.wish().state is WishState.ACTIVE
        assert deaths == 0

    asyncio.run(scenario())


@dataclass
class Turning:
    """A port that lets others have their turn before and behind each call."""

    port: Any

    def __getattr__(self, name: str) -> Any:
        """The port's own, or a method that lets others go on."""
        found = getattr(self.port, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*given: Any, **named: Any) -> Any:
            await asyncio.sleep(0)
            answer = await found(*given, **named)
            await asyncio.sleep(0)
            return answer

        return call


def test_two_workers_take_a_batch_once(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Four look at the same moment: one takes it, and the others look again."""

    async def scenario() -> None:
        names = [f"press-{number:02}" for number in range(20)]
        here = site(pools, authorizer, *names)
        await here.want(wanted(here))
        await here.ports.work_queue.send([look_at(here.tenant, here.wish())] * 3)
        messages = await here.ports.work_queue.receive()
        turning = replace(
            here.ports,
            wanted_versions=cast("Any", Turning(here.ports.wanted_versions)),
            devices=cast("Any", Turning(here.ports.devices)),
        )
        worker = Operations(turning, TokenSettings()).worker(here.settings)
        await asyncio.gather(*(worker.handle(message) for message in messages))
        await here.work()
        assert sorted(here.reached()) == names
        assert len(here.ports.download_records.once.records) == 1

    asyncio.run(scenario())


def test_a_batch_that_nobody_was_told_of_goes_on(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Whoever took it died when its download was recorded, and before the worker was told."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        [message] = await here.ports.work_queue.receive()
        await Operations(here.ports, TokenSettings()).worker(here.settings).handle(message)
        assert len(here.ports.download_records.once.records) == 1
        here.ports.work_queue.waiting.clear()
        await here.pass_time(timedelta(hours=2))
        assert here.reached() == ["press-01"]

    asyncio.run(scenario())
