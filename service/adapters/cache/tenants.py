"""Remembers rows of the tenant registry for a while, asks once for many, and cannot be grown."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.bounded_cache import BoundedCache, size_of
from service.errors import ConfigurationError, UnavailableError
from service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from service.domain.tenants import Tenant
    from service.ports.tenants import TenantRegistry
    from service.settings import TenantSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_REGISTRY: Final = "the tenant registry"
_UNREADABLE: Final = "the tenant, whose registry row is not of its form,"
_FOUND_BEFORE_SECONDS: Final = 24 * 3600
# Of `cache_seconds`, after which a row is read again while it is still used.
_REFRESHED: Final = 0.5
# A row that was there and is not any more: so long it may be the registry's fault.
_VANISHED_SECONDS: Final = 300
# Of `max_unknown`: as many wait as are looked up within some tenths of a second.
_WAITING: Final = 32


class CachedTenantRegistry:
    """Remembers what ``origin`` answered.

    A suspended tenant is refused, and a changed row is used, after at most ``cache_seconds``: a row
    is read again before, and nobody waits for that. Whoever asks meanwhile, or a moment after a
    failure, shares one look-up and its failure.

    Unknown issuers are remembered apart, so that a flood of made-up ones cannot push real tenants
    out. A row that cannot be read makes its tenant unavailable, not unknown: a client throws the
    token of an unknown tenant away.

    Args:
        origin: the registry to ask.
        settings: how long and how much is remembered, of each kind.
        max_unknown: look-ups at once for issuers that were never found. Further ones wait, 32 times
            as many, since to a new process every tenant is a stranger, and what is beyond is
            refused: made-up issuers cannot keep known tenants from being read again.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        origin: TenantRegistry,
        settings: TenantSettings,
        *,
        max_unknown: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self._settings = settings
        self._clock = clock
        self._max_unknown = max_unknown
        self._lane = asyncio.Semaphore(max_unknown)
        self._waiting = 0
        entries = settings.cache_entries
        self._known: BoundedCache[str, tuple[Tenant, float]] = BoundedCache(
            max_entries=entries, max_bytes=settings.cache_bytes, clock=clock
        )
        self._unknown: BoundedCache[str, bool] = BoundedCache(max_entries=entries, clock=clock)
        self._unreadable: BoundedCache[str, bool] = BoundedCache(max_entries=entries, clock=clock)
        self._found_before: BoundedCache[str, bool] = BoundedCache(max_entries=entries, clock=clock)
        self._vanished: BoundedCache[str, bool] = BoundedCache(max_entries=entries, clock=clock)
        self._issuers: BoundedCache[str, str] = BoundedCache(max_entries=entries, clock=clock)
        self._rows: SingleFlight[str, Tenant | None] = SingleFlight(
            pause_seconds=settings.again_seconds, clock=clock
        )
        self._strangers: SingleFlight[str, Tenant | None] = SingleFlight(
            pause_seconds=settings.again_seconds, clock=clock
        )

    async def find(self, issuer: str) -> Tenant | None:
        if (known := self._known.get(issuer)) is not None:
            tenant, read_at = known
            if self._clock() - read_at >= _REFRESHED * self._settings.cache_seconds:
                self._refresh(issuer)
            return tenant
        return await self._ask(issuer, partial(self._found, issuer))

    async def named(self, tenant_id: str) -> Tenant | None:
        if (issuer := self._issuers.get(tenant_id)) is not None:
            return await self.find(issuer)
        # A tenant's own id is no issuer, so both kinds of names share what is remembered of none.
        return await self._ask(tenant_id, partial(self._named, tenant_id))

    async def check(self) -> None:
        await self._origin.check()

    async def _ask(
        self, name: str, question: Callable[[], Coroutine[object, object, Tenant | None]]
    ) -> Tenant | None:
        if self._unknown.get(name):
            return None
        if self._unreadable.get(name):
            raise UnavailableError(_UNREADABLE, wait_seconds=self._settings.unknown_cache_seconds)
        async with deadline.within(_REGISTRY):
            return await self._shared(name, question)

    async def _shared(
        self, name: str, question: Callable[[], Coroutine[object, object, Tenant | None]]
    ) -> Tenant | None:
        if self._found_before.get(name) or self._vanished.get(name):
            return await self._rows.ask(name, question)
        if name in self._strangers:
            return await self._strangers.ask(name, question)
        # Fail closed: the line of those who wait is bounded too.
        if self._waiting >= _WAITING * self._max_unknown:
            raise UnavailableError(_REGISTRY)
        self._waiting += 1
        try:
            async with self._lane:
                if (known := self._known.get(name)) is not None:
                    return known[0]
                return (
                    None if self._unknown.get(name) else await self._strangers.ask(name, question)
                )
        finally:
            self._waiting -= 1

    def _refresh(self, issuer: str) -> None:
        """Read a row anew that is used for a little longer, while nobody waits."""
        if self._rows.failure(issuer) is None:
            self._rows.begin(issuer, partial(self._found, issuer))

    async def _found(self, issuer: str) -> Tenant | None:
        return self._remembered(issuer, await self._read(issuer, self._origin.find))

    async def _named(self, tenant_id: str) -> Tenant | None:
        return self._remembered(tenant_id, await self._read(tenant_id, self._origin.named))

    async def _read(
        self, name: str, read: Callable[[str], Coroutine[object, object, Tenant | None]]
    ) -> Tenant | None:
        try:
            return await read(name)
        except ConfigurationError as error:
            seconds = self._settings.unknown_cache_seconds
            self._unreadable.put(name, True, seconds=seconds)
            self._known.drop(name)  # fail closed: nobody knows what the row of now allows
            log.error("tenants.unreadable_row", name=name, problem=str(error))  # noqa: TRY400 - a word is enough
            raise UnavailableError(_UNREADABLE, wait_seconds=seconds) from error

    def _size(self, tenant: Tenant) -> int:
        """Of a row that is as it was, what it was: a thousand are read anew every 15 s."""
        known = self._known.get(tenant.issuer)
        if known is not None and known[0] == tenant:
            return self._known.size(tenant.issuer)
        return size_of(tenant)

    def _remembered(self, name: str, tenant: Tenant | None) -> Tenant | None:
        if tenant is not None:
            self._known.put(
                tenant.issuer,
                (tenant, self._clock()),
                seconds=self._settings.cache_seconds,
                size=self._size(tenant),
            )
            self._issuers.put(tenant.id, tenant.issuer, seconds=_FOUND_BEFORE_SECONDS)
            self._found_before.put(tenant.issuer, True, seconds=_FOUND_BEFORE_SECONDS)
            self._vanished.drop(tenant.issuer)
            return tenant
        self._known.drop(name)
        if self._found_before.get(name):
            self._found_before.drop(name)
            self._vanished.put(name, True, seconds=_VANISHED_SECONDS)
        if self._vanished.get(name):
            log.error("tenants.vanished", name=name)
            raise UnavailableError(_REGISTRY)
        self._unknown.put(name, True, seconds=self._settings.unknown_cache_seconds)
        return None
