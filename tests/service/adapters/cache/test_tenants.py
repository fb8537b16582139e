"""Rows of the tenant registry are asked for once, and strangers push nobody out."""

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
    """A cache of ten rows of each kind, which lets four strangers ask at once."""
    settings = TenantSettings(cache_seconds=seconds, unknown_cache_seconds=60, cache_entries=10)
    return CachedTenantRegistry(origin, settings, max_strangers=4)


def test_rows_are_asked_for_once_and_strangers_push_nobody_out() -> None:
    """Many callers at once make one look-up; unknown issuers are remembered apart, in bounded number."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=60)

    async def story() -> None:
        found = await asyncio.gather(*(registry.find(pool.tenant.issuer) for _ in range(50)))
        assert found == [pool.tenant] * 50
        assert origin.lookups == 1
        for number in range(100):
            assert await registry.find(f"stranger-{number}") is None
        assert origin.lookups == 101
        assert await registry.find("stranger-99") is None
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        assert origin.lookups == 101
        assert len(registry._unknown) == 10

    asyncio.run(story())


def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    """A failure is nobody's answer: it is raised to each that waits, and not remembered."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant}, available=False)
    registry = cached(origin, seconds=60)

    async def story() -> None:
        answers = await asyncio.gather(
            *(registry.find(pool.tenant.issuer) for _ in range(5)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {UnavailableError}
        origin.available = True
        assert await registry.find(pool.tenant.issuer) == pool.tenant

    asyncio.run(story())


def test_a_flood_of_made_up_issuers_keeps_no_tenant_out() -> None:
    """While strangers fill their share of look-ups, further strangers are refused and a known tenant is read again."""
    pool = MemoryUserPool("acme")
    release = asyncio.Event()

    class Slow(MemoryTenantRegistry):
        async def find(self, issuer: str) -> Tenant | None:
            if issuer.startswith("stranger"):
                await release.wait()
            return await super().find(issuer)

    origin = Slow(rows={pool.tenant.issuer: pool.tenant})
    registry = cached(origin, seconds=0)

    async def story() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        waiting = [
            asyncio.ensure_future(registry.find(f"stranger-{number}")) for number in range(4)
        ]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await registry.find("stranger-5")
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        release.set()
        assert await asyncio.gather(*waiting) == [None] * 4

    asyncio.run(story())
