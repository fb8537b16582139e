"""Remembers rows of the tenant registry for a while, asks once for many, and cannot be grown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from service.bounded_cache import BoundedCache
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.ports.tenants import TenantRegistry
    from service.settings import TenantSettings

_FOUND_BEFORE_SECONDS: Final = 24 * 3600


class CachedTenantRegistry:
    """Remembers what ``origin`` answered.

    A suspended tenant is refused, and a changed row is used, after at most ``cache_seconds``.

    Unknown issuers are remembered apart, so that a flood of made-up ones cannot push real tenants
    out.

    Args:
        origin: the registry to ask.
        settings: how long and how much is remembered, of each kind.
        max_unknown: look-ups at once for issuers that were never found; further ones are refused,
            so that made-up issuers cannot keep real tenants from being read again.
    """

    def __init__(
        self, origin: TenantRegistry, settings: TenantSettings, *, max_unknown: int
    ) -> None:
        self._origin = origin
        self._settings = settings
        entries = settings.cache_entries
        self._known: BoundedCache[str, Tenant] = BoundedCache(max_entries=entries)
        self._unknown: BoundedCache[str, bool] = BoundedCache(max_entries=entries)
        self._found_before: BoundedCache[str, bool] = BoundedCache(max_entries=entries)
        self._max_unknown = max_unknown
        self._issuers: BoundedCache[str, str] = BoundedCache(max_entries=entries)
        self._asking: dict[str, asyncio.Task[Tenant | None]] = {}

    async def find(self, issuer: str) -> Tenant | None:
        if (tenant := self._known.get(issuer)) is not None:
            return tenant
        if self._unknown.get(issuer):
            return None
        task = self._asking.get(issuer)
        if task is None:
            if not self._found_before.get(issuer) and len(self._asking) >= self._max_unknown:
                raise UnavailableError("the tenant registry")
            task = asyncio.ensure_future(self._ask(issuer))
            self._asking[issuer] = task
            task.add_done_callback(lambda _: self._asking.pop(issuer, None))
        return await asyncio.shield(task)  # one caller that leaves must not cancel the others

    async def named(self, tenant_id: str) -> Tenant | None:
        if (issuer := self._issuers.get(tenant_id)) is not None:
            return await self.find(issuer)
        # A tenant's own id is no issuer, so both kinds of names share what is remembered of none.
        if self._unknown.get(tenant_id):
            return None
        tenant = await self._origin.named(tenant_id)
        if tenant is None:
            self._unknown.put(tenant_id, True, seconds=self._settings.unknown_cache_seconds)
        else:
            self._issuers.put(tenant_id, tenant.issuer, seconds=_FOUND_BEFORE_SECONDS)
            self._known.put(tenant.issuer, tenant, seconds=self._settings.cache_seconds)
        return tenant

    async def check(self) -> None:
        await self._origin.check()

    async def _ask(self, issuer: str) -> Tenant | None:
        tenant = await self._origin.find(issuer)
        if tenant is None:
            self._unknown.put(issuer, True, seconds=self._settings.unknown_cache_seconds)
        else:
            self._known.put(issuer, tenant, seconds=self._settings.cache_seconds)
            self._found_before.put(issuer, True, seconds=_FOUND_BEFORE_SECONDS)
        return tenant
