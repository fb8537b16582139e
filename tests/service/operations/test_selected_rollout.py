"""A rollout to a selection: at each job its devices are decided, and nothing else is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from service.cedar.decision import Evaluation
from service.domain.downloads import Closing, DeliveryState, TargetKind
from service.domain.rollouts import Shape, WaveSize
from tests.service.operations.fleet import ULID, Fleet
from tests.service.operations.rollouts import begin_planned, boss, reached

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.tenants import Tenant

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
WAVES = Shape(waves=(WaveSize(devices=2),), pause_minutes=30)


@dataclass
class Denying:
    """The policies, but that these devices are denied.

    Attributes:
        asked: what the policies were asked, in its order.
    """

    inner: CedarAuthorizer
    names: tuple[str, ...] = ()
    asked: list[AuthorizationRequest] = field(default_factory=list["AuthorizationRequest"])

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: list[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """Each decision."""
        self.asked += requests
        decisions = await self.inner.decide_all_for(tenant, bearer, requests)
        denied = Evaluation(engine_allows=False).decision
        return tuple(
            denied if request.resource.id in self.names else decision
            for request, decision in zip(requests, decisions, strict=True)
        )


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


def test_few_that_are_denied_stop_nobody_else(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """All of the first wave but one are denied, and all of the second: then it stops."""

    async def scenario() -> None:
        fleet = await begin(pools, authorizer, within="all")
        denying: Any = Denying(authorizer, (fleet.members[1], *fleet.members[2:]))
        fleet.ports = replace(fleet.ports, authorizer=denying)
        await fleet.work()
        assert reached(fleet) == [fleet.members[0]]
        survey = await fleet.ports.deliveries.survey(fleet.tenant, fleet.record)
        assert survey.counts == {DeliveryState.CANCELED: 1}
        await fleet.pass_time(timedelta(minutes=31))
        assert reached(fleet) == [fleet.members[0]]
        assert fleet.stored.closing is Closing.STOPPED
        assert (fleet.stored.why or "").startswith("no device of a job is allowed: ")

    asyncio.run(scenario())


def test_a_group_is_decided_before_its_devices(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Each by itself, as approved if it was; of a selection the devices alone are."""

    async def scenario(kind: TargetKind, *, approved: bool) -> list[tuple[str, object]]:
        fleet = await begin_planned(
            pools, authorizer, devices=2, shape=Shape(), needs_approval=approved
        )
        record = replace(
            fleet.stored, target_kind=kind, approved_by="another" if approved else None
        )
        fleet.ports.download_records.once.records["acme", ULID] = record
        policies: Any = Denying(authorizer)
        fleet.ports = replace(fleet.ports, authorizer=policies)
        await fleet.work()
        assert reached(fleet) == [*fleet.members]
        return [(one.resource.id, one.context.get("approved", False)) for one in policies.asked]

    names = ["all", "d0000", "d0001"]
    for approved in (True, False):
        asked = asyncio.run(scenario(TargetKind.GROUP, approved=approved))
        assert asked == [(name, approved) for name in names]
    assert [name for name, _ in asyncio.run(scenario(TargetKind.SELECTION, approved=False))] == [
        "d0000",
        "d0001",
    ]
