"""How downloads ended on devices comes into the audit trail: each end once, and none is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from service.domain.audit_verification import Verification
from service.domain.downloads import DeliveryState
from service.domain.rollouts import Shape, WaveSize
from service.operations.downloads import advance
from tests.seed import new_seed
from tests.service.audited import AuditedTenant
from tests.service.operations.fleet import ULID, DiedError, Fleet, mortal
from tests.service.operations.rollouts import begin_planned, boss, reached

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
MINUTE = timedelta(minutes=1)
PORTS = ("download_records", "deliveries", "work_queue", "audit_entries")


def told(fleet: Fleet) -> list[dict[str, Any]]:
    """The outcomes in the trail, in their order."""
    kept = fleet.ports.audit.kept.get("acme", {})
    said = [kept[name].document for name in sorted(kept)]
    return [one for one in said if one["kind"] == "outcome"]


def ends(fleet: Fleet) -> Counter[tuple[str, str]]:
    """Device and state, as often as the trail tells of it."""
    return Counter(
        (device, end["state"])
        for one in told(fleet)
        for device, end in one["outcome"]["devices"].items()
    )


async def begin(pools: Pools, authorizer: CedarAuthorizer, devices: int) -> Fleet:
    """A planned download whose decision is known."""
    fleet = await begin_planned(pools, authorizer, devices=devices, shape=Shape())
    records = fleet.ports.download_records.once.records
    records["acme", ULID] = replace(fleet.stored, decision="01JDDECISION00000000000000")
    return fleet


def test_each_end_is_told_once_with_its_decision(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """By job and look, of those that ended since; what a device says in words is left out."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, 150)
        await fleet.work()
        fleet.end(DeliveryState.SUCCEEDED, fleet.members[:120])
        await fleet.pass_time(2 * MINUTE)
        assert sorted(len(one["outcome"]["devices"]) for one in told(fleet)) == [20, 100]
        fleet.end(DeliveryState.REJECTED, fleet.members[120:149])
        fleet.end(DeliveryState.TIMED_OUT, fleet.members[149:])
        await fleet.pass_time(2 * MINUTE)
        await fleet.pass_time(2 * MINUTE)
        assert set(ends(fleet).values()) == {1}
        assert sorted(device for device, _ in ends(fleet)) == [*fleet.members]
        [last] = [one for one in told(fleet) if "d0149" in one["outcome"]["devices"]]
        assert last["about"] == {"download": ULID, "decision": "01JDDECISION00000000000000"}
        assert last["resource"] == 'Fleet::DeviceGroup::"all"'
        silent = last["outcome"]["devices"]["d0149"]
        assert (silent["state"], silent["told_by"]) == ("timed_out", "service")
        assert last["outcome"]["devices"]["d0148"]["told_by"] == "device"

    asyncio.run(scenario())


def test_who_is_denied_at_its_wave_has_an_end_too(
    pools: Pools, authorizer: CedarAuthorizer
) -> None:
    """A rollout that is stopped tells of those that never began; the chain proves all of it."""
    waves = Shape(waves=(WaveSize(devices=2),), pause_minutes=30)

    async def scenario() -> Fleet:
        fleet = await begin_planned(pools, authorizer, devices=15, shape=waves)
        await fleet.work()
        fleet.end(DeliveryState.SUCCEEDED, tuple(reached(fleet)))
        fleet.ports.people.add("acme", boss(groups=("operators",)))
        for _ in range(3):
            await fleet.pass_time(31 * MINUTE)
        return fleet

    fleet = asyncio.run(scenario())
    states = Counter(state for _, state in ends(fleet).elements())
    assert states == {"succeeded": 2, "canceled": 13}
    trail = AuditedTenant(tenant=fleet.tenant, now=fleet.now, entries=fleet.ports.audit)
    trail.link()
    found = Verification(trusted={trail.fingerprint}).verify([trail.export()])
    assert (found.problems, found.entries) == ([], len(trail.kept()))


def test_an_end_of_a_batch_names_the_wish(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """The decision names it too, and no download: a wish makes many."""

    async def scenario() -> None:
        fleet = await begin_planned(pools, authorizer, devices=1, shape=Shape())
        records = fleet.ports.download_records.once.records
        records["acme", ULID] = replace(fleet.stored, wish="01JDW1SH000000000000000000")
        await fleet.work()
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        await fleet.pass_time(2 * MINUTE)
        [outcome] = told(fleet)
        assert outcome["about"] == {"download": ULID, "wish": "01JDW1SH000000000000000000"}

    asyncio.run(scenario())


def test_an_end_that_became_another_is_told_anew(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """An event that came late wins over what the worker took for the end."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, 2)
        await fleet.work()
        fleet.end(DeliveryState.CANCELED, fleet.members[:1])
        await fleet.pass_time(2 * MINUTE)
        fleet.end(DeliveryState.SUCCEEDED, fleet.members)
        await fleet.pass_time(2 * MINUTE)
        assert ends(fleet) == Counter(
            {("d0000", "canceled"): 1, ("d0000", "succeeded"): 1, ("d0001", "succeeded"): 1}
        )

    asyncio.run(scenario())


def test_no_end_is_lost_whoever_dies(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Killed at any call: all are told of, and one twice only where an entry was cut off."""
    random = Random(new_seed())  # noqa: S311 - of where it dies
    deaths = 0
    left = random.randrange(1, 30)

    def dies() -> None:
        nonlocal deaths, left
        left -= 1
        if left == 0:
            deaths += 1
            left = random.randrange(5, 60)
            raise DiedError

    async def history() -> None:
        died_before = deaths
        fleet = await begin(pools, authorizer, 130)
        await fleet.work()
        dying = mortal(fleet.ports, dies, *PORTS)
        for first in range(0, 130, 50):
            fleet.end(DeliveryState.SUCCEEDED, fleet.members[first : first + 50])
            fleet.ports.clock.now = fleet.now + 2 * MINUTE
            await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
            while fleet.ports.work_queue.waiting:
                try:
                    await fleet.work(dying)
                except DiedError:
                    fleet.ports.work_queue.abandon()
        assert {device for device, _ in ends(fleet)} == {*fleet.members}
        died = deaths - died_before
        assert len(told(fleet)) <= 3 + died, "at most one too many for each death"

    for _ in range(10):
        asyncio.run(history())
    assert deaths > 0
