"""A canceled download: nothing of it begins any more, whoever dies; what is at it may end it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.domain.downloads import Closing, DeliveryState, Outcome, counted, whole_state
from service.domain.instants import milliseconds
from service.domain.work import Work, WorkKind
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.operations.fleet import ULID, DiedError, Fleet, begin, mortal

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]


async def cancel(fleet: Fleet) -> None:
    """What the API does."""
    assert await fleet.ports.download_records.close(fleet.tenant, fleet.stored, Closing.CANCELED)
    await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])


async def states(fleet: Fleet) -> dict[str, DeliveryState]:
    """Each device's state, by its id."""
    seen = await fleet.ports.deliveries.progress(
        fleet.tenant, fleet.stored, limit=10_000, cursor=None
    )
    return {delivery.device: delivery.state for delivery in seen.deliveries}


def whole(fleet: Fleet) -> DeliveryState:
    """The state of the whole."""
    return whole_state(fleet.stored, counted(fleet.stored, fleet.stored.counts))


def test_a_canceled_download_begins_nothing_more(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Jobs that were made are canceled, others never made; who is at it ends it, and is told so."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=250, devices_per_minute=100)
        await fleet.work()
        assert fleet.made() == ["00"]
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[:1])
        fleet.ports.download_jobs.at_it = {fleet.members[1]}
        await cancel(fleet)
        assert whole(fleet) is DeliveryState.CANCELING
        assert set((await states(fleet)).values()) == {
            DeliveryState.SUCCEEDED,
            DeliveryState.CANCELING,
        }
        await fleet.work()
        seen = await states(fleet)
        assert seen.pop(fleet.members[0]) is DeliveryState.SUCCEEDED
        assert seen.pop(fleet.members[1]) is DeliveryState.IN_PROGRESS
        assert set(seen.values()) == {DeliveryState.CANCELED}
        await fleet.pass_time(timedelta(hours=1))
        assert (fleet.made(), fleet.ports.download_jobs.canceled) == (
            ["00"],
            [f"{fleet.record.name}-00"],
        )
        assert whole(fleet) is DeliveryState.CANCELING
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[1:2])
        await fleet.pass_time(timedelta(hours=6))
        assert whole(fleet) is DeliveryState.CANCELED
        assert fleet.stored.counts == {DeliveryState.SUCCEEDED: 2, DeliveryState.CANCELED: 248}
        assert fleet.ports.timers.set_for == {}, "then nobody looks any more"

    asyncio.run(scenario())


def test_a_download_that_had_ended_says_how(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """The last device ended before the cancel reached anything: it is no canceled download."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)
        await fleet.work()
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        await cancel(fleet)
        await fleet.work()
        assert whole(fleet) is DeliveryState.SUCCEEDED
        assert fleet.ports.timers.set_for == {}

    asyncio.run(scenario())


def test_a_look_that_is_late_does_not_open_it_again(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """A task has read the record before it was canceled: what it stores does not count."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)

        def closes() -> None:
            fleet.close(Closing.CANCELED)

        await fleet.work(mortal(fleet.ports, closes, "timers"))
        await fleet.work()
        assert fleet.stored.closing is Closing.CANCELED
        await fleet.pass_time(timedelta(hours=6))
        assert set((await states(fleet)).values()) == {DeliveryState.CANCELED}

    asyncio.run(scenario())


def test_a_job_that_is_being_made_is_canceled_too(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """Closed between the look at its record and its making: whoever made it finds that out."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=1)

        def closes() -> None:
            fleet.close(Closing.CANCELED)

        dying = mortal(fleet.ports, closes, "download_jobs")
        about = {"download": ULID, "job": "00"}
        await fleet.ports.work_queue.send(
            [Work(kind=WorkKind.MAKE_JOB, issuer=fleet.tenant.issuer, tenant="acme", about=about)]
        )
        fleet.ports.work_queue.waiting = fleet.ports.work_queue.waiting[1:]
        await fleet.work(dying)
        assert fleet.made() == ["00"]
        assert fleet.ports.download_jobs.canceled == [f"{fleet.record.name}-00"]

    asyncio.run(scenario())


@pytest.mark.parametrize("deaths", [60])
def test_a_cancel_outlives_a_worker_that_dies_anywhere(
    pools: Pools, authorizer: CedarAuthorizer, deaths: int
) -> None:
    """At any moment of the rollout: each made job is canceled, each device ends, nobody twice."""
    random = Random(new_seed())  # noqa: S311 - of where it dies

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=1_000, devices_per_minute=200)
        left, canceled_after = deaths, random.randrange(deaths)

        def dies() -> None:
            nonlocal left
            if left and random.random() < 0.1:
                left -= 1
                raise DiedError

        names = ("download_records", "deliveries", "download_jobs", "work_queue", "timers")
        dying = mortal(fleet.ports, dies, *names)
        for _ in range(10 * deaths):
            if deaths - left >= canceled_after and fleet.stored.closing is None:
                await cancel(fleet)
            try:
                await fleet.work(dying)
            except DiedError:
                fleet.ports.work_queue.abandon()
                continue
            if not left and fleet.stored.closing is not None and not fleet.ports.timers.set_for:
                break
            fleet.ports.clock.now = fleet.now + timedelta(seconds=60)
            due = fleet.ports.timers.due(fleet.now)
            await fleet.ports.work_queue.send(due or [advance(fleet.tenant, ULID)])
        assert left == 0, "the worker died as often as it should"
        assert fleet.stored.closing is Closing.CANCELED
        jobs = fleet.ports.download_jobs
        assert set(jobs.made) == set(jobs.canceled)
        assert set((await states(fleet)).values()) == {DeliveryState.CANCELED}
        assert whole(fleet) is DeliveryState.CANCELED
        survey = await fleet.ports.deliveries.survey(fleet.tenant, fleet.record)
        assert survey.counts == {DeliveryState.CANCELED: 1_000}

    asyncio.run(scenario())


def test_what_iot_jobs_knows_of_a_canceled_job_counts(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """No event told of a device that had ended: it is asked of as its job is canceled."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, devices=2)
        await fleet.work()
        ended = Outcome(state=DeliveryState.SUCCEEDED, at=milliseconds(fleet.now))
        fleet.ports.download_jobs.known = {f"{fleet.record.name}-00": {fleet.members[0]: ended}}
        await cancel(fleet)
        await fleet.work()
        assert await states(fleet) == {
            fleet.members[0]: DeliveryState.SUCCEEDED,
            fleet.members[1]: DeliveryState.CANCELED,
        }

    asyncio.run(scenario())
