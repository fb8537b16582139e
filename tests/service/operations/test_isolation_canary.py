"""A trial passes only if all that is another's was refused, and all of one's own let in."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.isolation import MemoryIsolationProbes
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.metrics.process_metrics import ProcessMetrics
from service.domain.isolation import Part
from service.operations.isolation_canary import IsolationCanary
from service.ports.metrics import ISOLATION

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant


class Fault(MemoryIsolationProbes):
    """A fault of ours in the calls."""

    async def reaches(self, by: Tenant, part: Part, of: Tenant) -> bool:
        """Meet it."""
        raise KeyError(by, part, of)


def found(
    pools: tuple[MemoryUserPool, MemoryUserPool],
    probes: MemoryIsolationProbes,
    pair: tuple[str, str] = ("acme", "globex"),
) -> dict[str, int]:
    """What one trial counts."""
    registry, metrics = MemoryTenantRegistry(), ProcessMetrics()
    registry.rows = {pool.tenant.issuer: pool.tenant for pool in pools}
    canary = IsolationCanary(tenants=registry, probes=probes, metrics=metrics, pair=pair)
    asyncio.run(canary.once())
    return {outcome: number for (outcome,), number in metrics.counts[ISOLATION].items()}


def test_a_boundary_that_stands_passes(pools: tuple[MemoryUserPool, MemoryUserPool]) -> None:
    """Once a trial, whatever the number of calls."""
    assert found(pools, MemoryIsolationProbes()) == {"refused": 1}


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize(("by", "of"), [("acme", "globex"), ("globex", "acme")])
def test_any_part_that_is_open_is_told(
    pools: tuple[MemoryUserPool, MemoryUserPool], part: Part, by: str, of: str
) -> None:
    """Also while another part does not answer: that it is open is what counts."""
    probes = MemoryIsolationProbes(open={(by, part, of)})
    assert found(pools, probes) == {"reached": 1}
    probes.away = {next(one for one in Part if one is not part)}
    assert found(pools, probes) == {"reached": 1}


@pytest.mark.parametrize("part", Part)
def test_a_trial_that_shows_nothing_does_not_pass(
    pools: tuple[MemoryUserPool, MemoryUserPool], part: Part
) -> None:
    """A part that does not answer, and one that lets nobody in, not even its own."""
    assert found(pools, MemoryIsolationProbes(away={part})) == {"failed": 1}
    assert found(pools, MemoryIsolationProbes(shut={part})) == {"failed": 1}


def test_what_cannot_be_tried_does_not_pass(
    pools: tuple[MemoryUserPool, MemoryUserPool],
) -> None:
    """A tenant that is not there, and a fault of ours."""
    assert found(pools, MemoryIsolationProbes(), ("acme", "initech")) == {"failed": 1}
    assert found(pools, Fault()) == {"failed": 1}


def test_it_goes_on_until_it_is_ended(pools: tuple[MemoryUserPool, MemoryUserPool]) -> None:
    """Trial after trial, whatever each one found."""
    registry, metrics, probes = MemoryTenantRegistry(), ProcessMetrics(), MemoryIsolationProbes()
    registry.rows = {pool.tenant.issuer: pool.tenant for pool in pools}
    canary = IsolationCanary(
        tenants=registry, probes=probes, metrics=metrics, pair=("acme", "globex"), seconds=0
    )

    async def scenario() -> list[int]:
        running = asyncio.ensure_future(canary.run())
        seen: list[int] = []
        while len(seen) < 3:
            await asyncio.sleep(0)
            total = sum(metrics.counts[ISOLATION].values())
            if total > (seen[-1] if seen else 0):
                seen.append(total)
                probes.away = set(Part) if len(seen) == 1 else set()
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        return seen

    assert all(before < after for before, after in pairwise(asyncio.run(scenario())))
