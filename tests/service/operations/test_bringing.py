"""A wanted version: every device of the group comes to it, whenever it comes, each asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from service.domain.devices import Device, ReportedVersions
from service.domain.downloads import Closing, DeliveryState
from service.domain.files import FileState
from service.domain.instants import milliseconds
from service.domain.rollouts import Window
from service.domain.wanted_versions import MAX_TRIES, Running, WishState
from service.operations.operations import Operations
from service.operations.wish_messages import look_at, look_at_device
from service.settings import TokenSettings
from tests.service.operations.rollouts import boss
from tests.service.operations.wishes import FILE, PACKAGE, site, wanted

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from tests.service.operations.wishes import Site

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
HOUR = timedelta(hours=1)
NEWER = "01JD0000000000000000000009"


def test_each_device_comes_to_it_once(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Two devices of the group, in one job; those beside it get nothing, and it is done once."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        here.add("pump-01", groups=("line-pump",))
        await here.want(wanted(here))
        await here.work()
        assert here.reached() == ["press-01", "press-02"]
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(48 * HOUR)
        assert here.there() == ["press-01", "press-02"]
        assert here.reached() == ["press-01", "press-02"], "nothing twice"

    asyncio.run(scenario())


def test_who_joins_later_comes_to_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """As soon as the worker is told of it; and within the hour if nobody tells."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        await here.work()
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(2 * HOUR)
        here.add("press-02")
        await here.ports.work_queue.send([look_at_device(here.tenant, "press-02")])
        await here.work()
        assert here.reached() == ["press-01", "press-02"]
        here.add("press-03")
        await here.pass_time(HOUR)
        assert here.reached() == ["press-01", "press-02", "press-03"]

    asyncio.run(scenario())


def test_who_joins_while_it_rests_is_next(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Right behind a batch the rate lets nobody begin; the next do a minute later, not an hour."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        await here.want(wanted(here))
        await here.work()
        here.end(DeliveryState.SUCCEEDED)
        for late in ("press-03", "press-04"):
            here.ports.clock.now = here.now + timedelta(milliseconds=500)
            here.add(late)
            await here.ports.work_queue.send([look_at_device(here.tenant, late)])
            await here.work()
        assert here.reached() == ["press-01", "press-02"], "its rate is kept"
        await here.pass_time(timedelta(minutes=1))
        assert here.reached() == ["press-01", "press-02", "press-03", "press-04"]

    asyncio.run(scenario())


def test_who_was_away_all_the_time_comes_to_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Its job runs out after a week, and it is given another, as long as the wish stands."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        await here.want(wanted(here))
        await here.work()
        here.end(DeliveryState.SUCCEEDED, "press-01")
        await here.pass_time(24 * 20 * HOUR)
        away = [one for one in here.reached() if one == "press-02"]
        assert 2 <= len(away) <= 3, "a job that waits at any time, and not several"
        assert here.reached().count("press-01") == 1
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(2 * HOUR)
        assert here.there() == ["press-01", "press-02"]

    asyncio.run(scenario())


def test_a_device_that_runs_it_is_left_alone(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """It says so itself; what an earlier thing of its name ran does not count."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        for name in ("press-01", "press-02"):
            told = Running(device=name, package=PACKAGE, version="2.0", at=1_000)
            await here.ports.running_versions.tell(here.tenant, told)
        here.ports.devices.death("acme", "press-02", "thing-of-acme--press-02")
        here.ports.devices.birth("acme", "press-02", "thing-2", at=2_000)
        here.ports.devices.add(replace(_of_the_line("press-02"), origin="thing-2"))
        rows = here.ports.devices.rows["acme", "press-02"]
        here.ports.devices.rows["acme", "press-02"] = rows._replace(born={"thing-2": 2_000})
        await here.want(wanted(here))
        await here.work()
        assert here.reached() == ["press-02"]

    asyncio.run(scenario())


def test_a_device_that_came_is_looked_at_if_it_is_not_there(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """It says another version, or none: its wish is looked at; at the version nothing is sent."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02", "press-03")
        says(here, "press-01", "2.0")
        says(here, "press-02", "1.0")
        await here.want(wanted(here))
        [look] = await here.ports.work_queue.receive()
        bringing = Operations(here.ports, TokenSettings()).worker(here.settings)
        for name, looked_at in (("press-01", 0), ("press-02", 1), ("press-03", 1)):
            await here.ports.work_queue.send([look_at_device(here.tenant, name)])
            [came] = await here.ports.work_queue.receive()
            await bringing.handle(came)
            sent = await here.ports.work_queue.receive()
            assert [one.text for one in sent] == [look.text] * looked_at, name

    asyncio.run(scenario())


def test_what_a_device_says_counts(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """One that says that it runs the version is there; one that says another is brought to it."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        says(here, "press-01", "2.0")
        says(here, "press-02", "1.0")
        await here.want(wanted(here))
        await here.work()
        assert here.reached() == ["press-02"]

    asyncio.run(scenario())


def test_one_that_never_runs_it_is_given_up(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """It takes the file each time, and says that it runs another version: five times, no more."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        for _ in range(24 * 10):
            await here.work()
            here.end(DeliveryState.SUCCEEDED)
            here.ports.clock.now = here.now + timedelta(seconds=1)
            says(here, "press-01", "1.0")
            await here.pass_time(HOUR)
        assert len(here.reached()) == MAX_TRIES

    asyncio.run(scenario())


def test_its_rate_is_kept(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Sixty an hour are one a minute, however many wait."""

    async def scenario() -> None:
        here = site(pools, authorizer, *(f"press-{number:02}" for number in range(50)))
        await here.want(wanted(here, devices_per_hour=60))
        await here.work()
        # However often somebody has it looked at.
        await here.ports.work_queue.send([look_at(here.tenant, here.wish())] * 5)
        await here.work()
        assert len(here.reached()) == 1
        await here.pass_time(timedelta(minutes=20))
        assert 15 <= len(here.reached()) <= 21
        await here.pass_time(2 * HOUR)
        assert sorted(here.reached()) == [f"press-{number:02}" for number in range(50)]

    asyncio.run(scenario())


def test_its_window_is_kept(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Wanted at noon, from ten at night on: nothing before, all then."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here, window=Window.of("22:00-04:00", "+00:00")))
        await here.work()
        await here.pass_time(timedelta(hours=9, minutes=59))
        assert here.reached() == []
        assert here.ports.download_records.once.records == {}
        await here.pass_time(timedelta(minutes=3))
        assert here.reached() == ["press-01"]

    asyncio.run(scenario())


def test_a_pin_is_never_fought(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A device that is pinned stays; once it is not any more, it comes."""

    async def scenario() -> None:
        here = site(pools, authorizer)
        here.add("press-01", pinned=(PACKAGE,))
        here.add("press-02", pinned=("another",))
        await here.want(wanted(here))
        await here.pass_time(5 * HOUR)
        assert here.reached() == ["press-02"]
        here.add("press-01")
        await here.pass_time(HOUR)
        assert here.reached() == ["press-02", "press-01"]

    asyncio.run(scenario())


def test_failures_pause_and_end(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Tried five times, an hour later at first, ever later then; and never again."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        await here.work()
        seen: list[int] = []
        for hour in range(24 * 10):
            here.end(DeliveryState.FAILED)
            before = len(here.reached())
            await here.pass_time(HOUR)
            seen += [hour] * (len(here.reached()) - before)
        assert len(here.reached()) == MAX_TRIES
        pauses = [after - before for before, after in pairwise(seen)]
        assert pauses == sorted(pauses)
        assert pauses[0] >= 1
        assert here.wish().state is WishState.ACTIVE, "one device stops nobody else"

    asyncio.run(scenario())


def test_many_failures_stop_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Half of ten that ended failed: nobody else begins, and the wish says why."""

    async def scenario() -> None:
        names = [f"press-{number:02}" for number in range(40)]
        here = site(pools, authorizer, *names)
        await here.want(wanted(here, devices_per_hour=600))
        await here.work()
        assert len(here.reached()) == 10
        here.end(DeliveryState.FAILED, *names[:5])
        here.end(DeliveryState.SUCCEEDED, *names[5:10])
        await here.pass_time(5 * HOUR)
        assert len(here.reached()) == 10
        assert here.wish().state is WishState.STOPPED
        assert here.wish().why == "too many devices failed"

    asyncio.run(scenario())


def test_a_disabled_owner_stops_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Whose wish it is may not sign in any more: nobody is brought anywhere, and it says so."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        here.ports.people.add("acme", boss(enabled=False))
        await here.want(wanted(here))
        await here.pass_time(2 * HOUR)
        assert here.reached() == []
        assert here.wish().state is WishState.STOPPED
        assert here.wish().why == "who asked for it is disabled"

    asyncio.run(scenario())


def test_an_owner_who_may_no_more_stops_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Taken out of `managers` while it stands: the next device is refused, by which policy."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        await here.work()
        here.ports.people.add("acme", boss(groups=("operators",)))
        here.add("press-02")
        await here.pass_time(3 * HOUR)
        assert here.reached() == ["press-01"]
        assert here.wish().state is WishState.STOPPED
        assert "operators-view-only" in (here.wish().why or "")

    asyncio.run(scenario())


def test_a_newer_wish_supersedes(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """What has not begun for the former is canceled, and each device comes to the new version."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01", "press-02")
        await here.want(wanted(here))
        await here.work()
        here.end(DeliveryState.SUCCEEDED, "press-01")
        await here.pass_time(timedelta(minutes=5))
        newer = wanted(here, wish_id=NEWER, version="3.0", file_id=FILE[:-1] + "3")
        await here.want(newer)
        await here.work()
        await here.pass_time(timedelta(minutes=5))
        [former] = [
            one for one in here.ports.download_records.once.records.values() if one.wish != NEWER
        ]
        assert former.closing is Closing.CANCELED
        assert sorted(here.reached()[2:]) == ["press-01", "press-02"]
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(2 * HOUR)
        assert here.there("3.0") == ["press-01", "press-02"]

    asyncio.run(scenario())


def test_an_ended_wish_brings_nobody(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Nothing more begins, and in the end no timer is left."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        await here.work()
        await here.want(replace(here.wish(), state=WishState.ENDED))
        await here.work()
        here.add("press-02")
        await here.pass_time(24 * 12 * HOUR)
        assert here.reached() == ["press-01"]
        assert here.ports.timers.set_for == {}

    asyncio.run(scenario())


def test_the_nearest_wish_counts(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A wish of `all` that was set later leaves alone whom a wish of a group in it is for."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        here.add("pump-01", groups=("line-pump",))
        await here.want(wanted(here))
        outer = wanted(here, "all", wish_id=NEWER, version="3.0", file_id=FILE[:-1] + "3")
        await here.want(outer)
        await here.pass_time(5 * HOUR)
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(5 * HOUR)
        assert (here.there("2.0"), here.there("3.0")) == (["press-01"], ["pump-01"])

    asyncio.run(scenario())


def test_a_retired_file_stops_it(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Nobody is given what is not delivered any more."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        files = here.ports.file_records.once.records
        files["acme", FILE] = replace(files["acme", FILE], state=FileState.RETIRED)
        await here.want(wanted(here))
        await here.work()
        assert here.reached() == []
        assert here.wish().why == "its file is not available any more"

    asyncio.run(scenario())


def test_a_drifted_device_comes_back(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """One that says later that it runs another version is brought to the wanted one again."""

    async def scenario() -> None:
        here = site(pools, authorizer, "press-01")
        await here.want(wanted(here))
        await here.work()
        here.end(DeliveryState.SUCCEEDED)
        await here.pass_time(2 * HOUR)
        told = Running(device="press-01", package=PACKAGE, version="1.0", at=milliseconds(here.now))
        await here.ports.running_versions.tell(here.tenant, told)
        await here.pass_time(2 * HOUR)
        assert here.reached() == ["press-01", "press-01"]

    asyncio.run(scenario())


def says(here: Site, device: str, version: str) -> None:
    """Have a device say what it runs."""
    at = milliseconds(here.now)
    said = ReportedVersions(at=at, agent="1.0", packages={PACKAGE: version})
    here.ports.devices.says("acme", device, said)


def _of_the_line(name: str) -> Device:
    return Device(tenant="acme", id=name, groups=("line-press",))
