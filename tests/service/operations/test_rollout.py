"""The rollout of a download: each job once, in its time, whoever dies; stopped, settled, ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.domain.downloads import (
    Closing,
    DeliveryState,
    DownloadRecordState,
    Outcome,
    counted,
)
from service.domain.work import Work, WorkKind
from service.operations.budgets import Pace
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.operations.fleet import BEGAN, ULID, DiedError, begin, mortal

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]


def test_every_device_is_in_one_job(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Handled twice, each message makes nothing twice; then each waits for its end."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=250)
        await fleet.work()
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)] * 2)
        await fleet.work()
        jobs = fleet.ports.download_jobs.made.values()
        assert sorted(sum((job.members for job in jobs), ())) == sorted(fleet.members)
        assert fleet.ports.download_jobs.calls == 3, "what is made is not asked for again"
        assert fleet.stored.state is DownloadRecordState.STARTED
        assert counted(fleet.stored, fleet.stored.counts) == {DeliveryState.QUEUED: 250}

    asyncio.run(scenario())


def test_the_whole_download_keeps_its_pace(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """At 100 devices a minute a job of 100 is made each minute, however many there are."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=350, devices_per_minute=100)
        await fleet.work()
        made = [fleet.made()]
        for _ in range(3):
            await fleet.pass_time(timedelta(seconds=60))
            made.append(fleet.made())
        assert made == [["00"], ["00", "01"], ["00", "01", "02"], ["00", "01", "02", "03"]]

    asyncio.run(scenario())


def test_all_tasks_keep_one_rate(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Two workers make 60 jobs: never more than five a second, and five that were saved up."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=6_000)
        made: list[float] = []
        jobs = fleet.ports.download_jobs

        async def sleep(seconds: float) -> None:
            fleet.ports.clock.now = fleet.now + timedelta(seconds=seconds)

        tasks = [fleet.rollout(Pace(fleet.ports.buckets, fleet.ports.clock, sleep=sleep))] * 2
        for number in range(60):
            about = {"download": ULID, "job": f"{number:02}"}
            work = Work(kind=WorkKind.MAKE_JOB, issuer="", tenant="acme", about=about)
            await tasks[number % 2].make_job(fleet.tenant, work)
            made.append((fleet.now - BEGAN).total_seconds())
        assert len(jobs.made) == 60
        for at in made:
            assert sum(at <= other < at + 1 for other in made) <= 10
        assert made[-1] == pytest.approx(11, abs=0.5)

    asyncio.run(scenario())


def test_failures_stop_what_has_not_begun(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Half of ten over all jobs: the made ones are canceled, the others are never made."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=350, devices_per_minute=100)
        await fleet.work()
        fleet.end(DeliveryState.FAILED, fleet.members[:5])
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[5:9])
        await fleet.pass_time(timedelta(seconds=60))
        assert fleet.stored.closing is None, "nine have ended"
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[100:101])
        await fleet.pass_time(timedelta(seconds=60))
        assert fleet.stored.closing is Closing.STOPPED
        await fleet.pass_time(timedelta(hours=1))
        assert fleet.made() == ["00", "01"]
        assert {job[-2:] for job in fleet.ports.download_jobs.canceled} == {"00", "01"}
        fleet.end(DeliveryState.CANCELED, (*fleet.members[9:100], *fleet.members[101:200]))
        await fleet.pass_time(timedelta(hours=6))
        assert fleet.ports.timers.set_for == {}, "then nobody looks any more"
        assert fleet.stored.closing is Closing.STOPPED

    asyncio.run(scenario())


def test_a_job_made_while_its_download_stops_is_canceled(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Another task was at it: the next look finds the job and cancels it too."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=150, devices_per_minute=100)
        await fleet.work()
        fleet.end(DeliveryState.FAILED, fleet.members[:100])
        await fleet.pass_time(timedelta(seconds=60))
        assert fleet.stored.closing is Closing.STOPPED
        [_, late] = fleet.ports.deliveries.planned[fleet.record.name].values()
        await fleet.ports.download_jobs.make(fleet.tenant, fleet.record, late)
        await fleet.ports.deliveries.made(fleet.tenant, fleet.record, late, now_ms=1)
        await fleet.pass_time(timedelta(seconds=60))
        assert [job[-2:] for job in fleet.ports.download_jobs.canceled] == ["01"]

    asyncio.run(scenario())


def test_a_device_that_is_gone_keeps_nobody_waiting(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """AWS refuses the job of a thing that is no more: the others get theirs, it is `removed`."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=3)
        fleet.ports.devices.death("acme", "d0001", "thing-of-acme--d0001")
        fleet.ports.download_jobs.gone = {"d0001"}
        await fleet.work()
        [job] = fleet.ports.download_jobs.made.values()
        assert job.members == ("d0000", "d0002")
        survey = await fleet.ports.deliveries.survey(fleet.tenant, fleet.record)
        assert survey.counts == {DeliveryState.REMOVED: 1}

    asyncio.run(scenario())


def test_what_no_event_told_is_asked_for(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Events are lost: a day later IoT Jobs itself is asked, once a job, and the download ends."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)
        await fleet.work()
        fleet.end(DeliveryState.FAILED, fleet.members[:1])
        ended = Outcome(state=DeliveryState.SUCCEEDED, at=5)
        job = f"{fleet.record.name}-00"
        fleet.ports.download_jobs.known[job] = dict.fromkeys(fleet.members, ended)
        for _ in range(30):
            await fleet.pass_time(timedelta(hours=1))
        assert fleet.stored.counts == {DeliveryState.FAILED: 1, DeliveryState.SUCCEEDED: 1}, (
            "an event that came says more than what is asked for later"
        )
        assert fleet.stored.closing is Closing.ENDED
        assert fleet.ports.timers.set_for == {}
        assert fleet.ports.download_jobs.calls == 2, "made once, asked once"

    asyncio.run(scenario())


def test_a_download_waits_a_month_and_no_longer(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A device that stayed away gets it no more; until then few looks were needed."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=1)
        await fleet.work()
        looks = fleet.handled
        for _ in range(31 * 24):
            await fleet.pass_time(timedelta(hours=1))
        assert fleet.stored.closing is Closing.EXPIRED
        assert fleet.ports.download_jobs.canceled == [f"{fleet.record.name}-00"] * len(
            fleet.ports.download_jobs.canceled
        )
        assert fleet.ports.download_jobs.canceled
        assert fleet.ports.timers.set_for == {}
        assert fleet.handled - looks < 250

    asyncio.run(scenario())


def test_what_failed_to_begin_stays_undone(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Its caller was told so; a message that went out all the same begins nothing."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=1)
        failed = replace(fleet.record, state=DownloadRecordState.FAILED)
        await fleet.ports.download_records.settle(fleet.tenant, failed)
        await fleet.work()
        assert (fleet.made(), fleet.ports.timers.set_for) == ([], {})

    asyncio.run(scenario())


@pytest.mark.parametrize("deaths", [100])
def test_a_worker_that_dies_anywhere_loses_nothing(
    pools: Pools, authorizer: CedarAuthorizer, deaths: int
) -> None:
    """Before or behind any call, again and again: each device has its document once, and ends."""
    random = Random(new_seed())  # noqa: S311 - of where it dies

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2_000, devices_per_minute=500)
        left = deaths

        def dies() -> None:
            nonlocal left
            if left and random.random() < 0.1:
                left -= 1
                raise DiedError

        names = ("download_records", "deliveries", "download_jobs", "work_queue", "timers")
        dying = mortal(fleet.ports, dies, *names)
        for _ in range(10 * deaths):
            try:
                await fleet.work(dying)
            except DiedError:
                fleet.ports.work_queue.abandon()
                continue
            if len(fleet.made()) == 20 and not left:
                break
            fleet.ports.clock.now = fleet.now + timedelta(seconds=60)
            due = fleet.ports.timers.due(fleet.now)
            await fleet.ports.work_queue.send(due or [advance(fleet.tenant, ULID)])
        assert left == 0, "the worker died as often as it should"
        jobs = fleet.ports.download_jobs.made.values()
        assert sorted(sum((job.members for job in jobs), ())) == sorted(fleet.members)
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        await fleet.pass_time(timedelta(hours=6))
        assert (fleet.stored.closing, fleet.ports.timers.set_for) == (Closing.ENDED, {})

    asyncio.run(scenario())
