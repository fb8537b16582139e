"""A rollout to a selection: at each job its devices are decided, and nothing else is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from service.domain.downloads import Closing, TargetKind
from service.domain.rollouts import Shape, WaveSize
from tests.service.operations.fleet import ULID, Fleet
from tests.service.operations.rollouts import begin_planned, boss, reached

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
WAVES = Shape(waves=(WaveSize(devices=2),), pause_minutes=30)


async def begin(pools: Pools, authorizer: CedarAuthorizer, *, within: str) -> Fleet:
    """A rollout to five devices that were selected in a group."""
    fleet = await begin_planned(pools, authorizer, devices=5, shape=WAVES)
    selected = replace(fleet.stored, target_kind=TargetKind.SELECTION, target=within)
    fleet.ports.download_records.once.records["acme", ULID] = selected
    return fleet


def test_a_selection_outlives_its_group(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """The group that it was selected in is no more: its devices get it all the same."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, within="hall-9")
        await fleet.work()
        await fleet.pass_time(timedelta(minutes=31))
        assert sorted(reached(fleet)) == [*fleet.members]

    asyncio.run(scenario())


def test_each_device_of_a_selection_is_decided(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Who began it is an operator by the second wave: each is denied and audited, and it stops."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, within="all")
        await fleet.work()
        fleet.ports.people.add("acme", boss(groups=("operators",)))
        await fleet.pass_time(timedelta(minutes=31))
        assert reached(fleet) == ["d0000", "d0001"]
        assert fleet.stored.closing is Closing.STOPPED
        assert [one.resource for one in fleet.ports.audit.trail] == [
            f'Fleet::Device::"{name}"' for name in fleet.members[2:]
        ]

    asyncio.run(scenario())
