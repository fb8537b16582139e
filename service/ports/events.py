"""The log of what happened in a tenant, which live streams and webhooks are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.events import EventPage
    from service.domain.tenants import Tenant


class EventLog(Protocol):
    """Numbered pages of events; the worker writes them, any number of tasks read."""

    async def last(self, tenant: Tenant) -> EventPage | None:
        """The newest page, if there is one."""
        ...

    async def append(self, tenant: Tenant, page: EventPage) -> bool:
        """Store a page; ``False``: another of its number is there."""
        ...

    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[EventPage]:
        """Pages of this number and later, in their order; none is left out between two."""
        ...
