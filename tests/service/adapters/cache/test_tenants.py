"""Rows of the tenant registry are asked for once, and unknown issuers push nobody out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from service.adapters.cache.tenants import CachedTenantRegistry
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.user_pool import MemoryUserPool
from service.bounded_cache import size_of
from service.domain.tenants import TenantStatus
from service.errors import ConfigurationError, UnavailableError
from service.settings import TenantSettings
from tests.service.adapters.aws.client.clock import Seconds

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


def cached(
    origin: MemoryTenantRegistry, *, seconds: float, clock: Seconds | None = None
) -> CachedTenantRegistry:
    """A cache of ten rows of each kind, which looks up four unknown issuers at once."""
    settings = TenantSettings(cache_seconds=seconds, unknown_cache_seconds=60, cache_entries=10)
    return CachedTenantRegistry(origin, settings, max_unknown=4, clock=clock or Seconds())


@dataclass(kw_only=True)
class Slow(MemoryTenantRegistry):
    """Answers once four are asked for; ``most`` look-ups were open at once."""

    four: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    most: int = 0

    async def find(self, issuer: str) -> Tenant | None:
        """As ever, but late."""
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if self.open == 4:
                self.four.set()
            await self.four.wait()
            await asyncio.sleep(0)  # so that whoever may come in does
            return await super().find(issuer)
        finally:
            self.open -= 1


def test_rows_are_asked_for_once_for_many_callers() -> None:
    """Many at once make one look-up; unknown issuers are remembered apart, in bounded number."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=60)

    async def scenario() -> None:
        found = await asyncio.gather(*(registry.find(pool.tenant.issuer) for _ in range(50)))
        assert found == [pool.tenant] * 50
        assert origin.lookups == 1
        for number in range(100):
            assert await registry.find(f"unknown-{number}") is None
        assert origin.lookups == 101
        assert await registry.find("unknown-99") is None
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        assert origin.lookups == 101
        assert len(registry._unknown) == 10

    asyncio.run(scenario())


def test_strangers_wait_in_a_line_that_ends() -> None:
    """A new process knows no tenant: all that come at once are served, four at a time."""
    first = MemoryUserPool("acme").tenant
    tenants = [replace(first, id=f"t{one}", issuer=f"{first.issuer}{one}") for one in range(40)]
    origin = Slow(rows={tenant.issuer: tenant for tenant in tenants})
    registry = cached(origin, seconds=60)

    async def scenario() -> None:
        asked = [asyncio.ensure_future(registry.find(one.issuer)) for one in tenants for _ in "ab"]
        made_up = [asyncio.ensure_future(registry.find(f"made-up-{one}")) for one in range(100)]
        assert await asyncio.gather(*asked) == [one for one in tenants for _ in "ab"]
        refused = await asyncio.gather(*made_up, return_exceptions=True)
        assert sum(isinstance(one, UnavailableError) for one in refused) > 0
        assert origin.most == 4

    asyncio.run(scenario())


def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    """All who wait share its failure, as do those who ask within the next second."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant}, available=False)
    clock = Seconds()
    registry = cached(origin, seconds=60, clock=clock)

    async def scenario() -> None:
        answers = await asyncio.gather(
            *(registry.find(pool.tenant.issuer) for _ in range(5)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {UnavailableError}
        origin.available = True
        clock.at += 0.9
        with pytest.raises(UnavailableError):
            await registry.find(pool.tenant.issuer)
        clock.at += 0.1
        assert await registry.find(pool.tenant.issuer) == pool.tenant

    asyncio.run(scenario())


def test_a_row_counts_as_much_as_it_takes_now() -> None:
    """Read anew as it was it takes what it took; grown beyond what all may take, it is not kept."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    clock = Seconds()
    settings = TenantSettings(cache_seconds=30, cache_bytes=size_of(pool.tenant) + 500)
    registry = CachedTenantRegistry(origin, settings, max_unknown=4, clock=clock)

    async def read_anew() -> None:
        clock.at += 15
        await registry.find(pool.tenant.issuer)
        await asyncio.sleep(0)

    async def scenario() -> None:
        await registry.find(pool.tenant.issuer)
        for lookups in (2, 3):
            await read_anew()
            assert origin.lookups == lookups
        assert registry._known.bytes == size_of(pool.tenant)
        names = {f"SP{number}": f"policy-{number}" for number in range(100)}
        origin.rows[pool.tenant.issuer] = replace(pool.tenant, policy_names=names)
        await read_anew()
        assert len(registry._known) == 0

    asyncio.run(scenario())


def test_a_row_is_read_anew_while_it_is_still_used() -> None:
    """Nobody waits for a slow registry, and no row is used longer than it may be."""
    pool = MemoryUserPool("acme")
    suspended = replace(pool.tenant, status=TenantStatus.SUSPENDED)
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    clock = Seconds()
    registry = cached(origin, seconds=30, clock=clock)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        origin.rows[pool.tenant.issuer] = suspended
        clock.at += 14.9
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        assert origin.lookups == 1
        clock.at += 0.1
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        await asyncio.sleep(0)
        assert await registry.find(pool.tenant.issuer) == suspended
        assert origin.lookups == 2
        origin.available = False
        clock.at += 29.9
        assert await registry.find(pool.tenant.issuer) == suspended
        await asyncio.sleep(0)
        clock.at += 1
        with pytest.raises(UnavailableError):
            await registry.find(pool.tenant.issuer)

    asyncio.run(scenario())


@pytest.mark.parametrize("by_name", [False, True])
def test_a_row_that_cannot_be_read_is_no_unknown_tenant(by_name: bool) -> None:
    """It is said to be unavailable, read again some seconds later, and used once it is right."""
    pool = MemoryUserPool("acme")

    class Malformed(MemoryTenantRegistry):
        is_right = False

        async def check(self) -> None:
            if not self.is_right:
                raise ConfigurationError("registry row of `acme`: member missing")

    origin = Malformed(rows={pool.tenant.issuer: pool.tenant})
    clock = Seconds()
    registry = cached(origin, seconds=60, clock=clock)

    async def ask() -> Tenant | None:
        return await (registry.named("acme") if by_name else registry.find(pool.tenant.issuer))

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="row is not of its form") as refused:
                await ask()
            assert refused.value.wait_seconds == 60
            clock.at += 15  # longer than any other failure is remembered
        assert origin.lookups == 1
        origin.is_right = True
        clock.at += 15
        assert await ask() == pool.tenant

    asyncio.run(scenario())


def test_a_tenant_that_vanishes_is_unavailable_at_first() -> None:
    """A registry that answers amiss must not have clients throw their tokens away; then it is."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    clock = Seconds()
    registry = cached(origin, seconds=30, clock=clock)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        row = origin.rows.pop(pool.tenant.issuer)
        for _ in range(3):
            clock.at += 31
            with pytest.raises(UnavailableError):
                await registry.find(pool.tenant.issuer)
        origin.rows[pool.tenant.issuer] = row
        clock.at += 1
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        origin.rows.clear()
        clock.at += 30
        with pytest.raises(UnavailableError):
            await registry.find(pool.tenant.issuer)
        clock.at += 300
        assert await registry.find(pool.tenant.issuer) is None

    asyncio.run(scenario())


def test_a_row_that_is_gone_is_used_no_longer() -> None:
    """From the moment that somebody has looked, though it might have been used for seconds."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    clock = Seconds()
    registry = cached(origin, seconds=30, clock=clock)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        origin.rows.clear()
        clock.at += 15
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        assert origin.lookups == 1
        await asyncio.sleep(0)
        assert origin.lookups == 2, "it has been looked at, beside"
        with pytest.raises(UnavailableError):
            await registry.find(pool.tenant.issuer)

    asyncio.run(scenario())


def test_readiness_is_asked_of_the_origin() -> None:
    """Each time: rows that are remembered say nothing of a registry that is gone since."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=60)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        await registry.check()
        origin.available = False
        with pytest.raises(UnavailableError):
            await registry.check()
        assert await registry.find(pool.tenant.issuer) == pool.tenant

    asyncio.run(scenario())


def test_a_flood_of_made_up_issuers_keeps_no_tenant_out() -> None:
    """While unknown issuers fill their share of look-ups, a tenant that was found is read again."""
    pool = MemoryUserPool("acme")
    release, many = asyncio.Event(), 32 * 4

    class Slow(MemoryTenantRegistry):
        async def find(self, issuer: str) -> Tenant | None:
            if issuer.startswith("unknown"):
                await release.wait()
            return await super().find(issuer)

    origin = Slow(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=0)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        waiting = [
            asyncio.ensure_future(registry.find(f"unknown-{number}")) for number in range(many)
        ]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await registry.find("unknown-too-many")
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        release.set()
        assert await asyncio.gather(*waiting) == [None] * many

    asyncio.run(scenario())
