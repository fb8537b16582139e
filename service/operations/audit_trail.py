"""Writes the audit trail, and has the worker make links of its chain soon after."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from service.bounded_cache import BoundedCache
from service.domain.work import Work, WorkKind
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.domain.audit import AuditRecord
    from service.domain.tenants import Tenant
    from service.ports.audit import AuditLog
    from service.ports.work import WorkQueue

LINKED_AFTER: Final = 3
"""Seconds that the worker is to wait: what is written meanwhile comes into the same link."""
_COVERED_SECONDS: Final = 2.5
_TENANTS: Final = 10_000
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(kw_only=True)
class AuditTrail:
    """Answers as ``ports.AuditLog``.

    The worker is told of a tenant once in so many seconds, by each process, and always behind an
    entry that stands: a message that is on its way for less than it waits finds that entry too. If
    it cannot be sent, or the process dies before, the next entry's message finds this one as well;
    until then it is the open tail.
    """

    log: AuditLog
    queue: WorkQueue
    now: Callable[[], float] = time.monotonic
    _told: BoundedCache[str, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Nobody is told yet."""
        self._told = BoundedCache(max_entries=_TENANTS, clock=self.now)

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        """Store a record, durably.

        Raises:
            UpstreamError: it may not be stored.
        """
        await self.log.write(tenant, record)
        await self.tell(tenant)

    async def tell(self, tenant: Tenant) -> None:
        """Have the worker look at the tenant's trail, unless it is told already."""
        if self._told.get(tenant.id):
            return
        # Before it is sent: what is written while it is on its way, it covers.
        self._told.put(tenant.id, value=True, seconds=_COVERED_SECONDS)
        work = Work(kind=WorkKind.CHAIN_AUDIT, issuer=tenant.issuer, tenant=tenant.id)
        try:
            await self.queue.send([work], delay_seconds=LINKED_AFTER)
        except UpstreamError:
            self._told.drop(tenant.id)
            log.warning("audit.not_told", tenant=tenant.id)
