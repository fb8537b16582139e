"""A twin of the log of events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.events import EventPage
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryEventLog:
    """Pages by tenant, as texts; ``available = False`` makes it fail."""

    texts: dict[str, dict[int, str]] = field(default_factory=dict[str, dict[int, str]])
    available: bool = True

    async def last(self, tenant: Tenant) -> EventPage | None:
        await asyncio.sleep(0)  # others go on meanwhile, as they do while AWS is asked
        known = self._known(tenant)
        return EventPage.read(known[max(known)]) if known else None

    async def append(self, tenant: Tenant, page: EventPage) -> bool:
        return self._known(tenant).setdefault(page.number, page.text) == page.text

    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[EventPage]:
        known = self._known(tenant)
        wanted = sorted(one for one in known if one >= number)[:most]
        return [EventPage.read(known[one]) for one in wanted]

    def _known(self, tenant: Tenant) -> dict[int, str]:
        if not self.available:
            raise UnavailableError("the event log")
        return self.texts.setdefault(tenant.id, {})
