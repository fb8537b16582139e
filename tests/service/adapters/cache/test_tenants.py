"""Rows of the tenant registry are asked for once, and unknown issuers push nobody out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.adapters.cache.tenants import CachedTenantRegistry
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.user_pool import MemoryUserPool
from service.errors import UnavailableError
from service.settings import TenantSettings

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


def cached(origin: MemoryTenantRegistry, *, seconds: float) -> CachedTenantRegistry:
    """A cache of ten rows of each kind, which looks up four unknown issuers at once."""
    settings = TenantSettings(cache_seconds=seconds, unknown_cache_seconds=60, cache_entries=10)
    return CachedTenantRegistry(origin, settings, max_unknown=4)


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


def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    """A failure is nobody's answer: it is raised to each that waits, and not remembered."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant}, available=False)
    registry = cached(origin, seconds=60)

    async def scenario() -> None:
        answers = await asyncio.gather(
            *(registry.find(pool.tenant.issuer) for _ in range(5)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {UnavailableError}
        origin.available = True
        assert await registry.find(pool.tenant.issuer) == pool.tenant

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
    release = asyncio.Event()

    class Slow(MemoryTenantRegistry):
        async def find(self, issuer: str) -> Tenant | None:
            if issuer.startswith("unknown"):
                await release.wait()
            return await super().find(issuer)

    origin = Slow(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=0)

    async def scenario() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        waiting = [asyncio.ensure_future(registry.find(f"unknown-{number}")) for number in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await registry.find("unknown-5")
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        release.set()
        assert await asyncio.gather(*waiting) == [None] * 4

    asyncio.run(scenario())
