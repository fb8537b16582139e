"""What tenants used, day by day, and whoever hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from service.domain.tenants import Tenant
    from service.domain.usage import UsageDay


class UsageDays(Protocol):
    """Days that were counted; each is written once and changed by nobody."""

    async def keep(self, tenant: Tenant, day: UsageDay) -> None:
        """Store a day; one that is there stays as it is."""
        ...

    async def newest(self, tenant: Tenant) -> UsageDay | None:
        """The last day that was counted; ``None``: none was."""
        ...

    async def between(self, tenant: Tenant, *, first: date, last: date) -> Sequence[UsageDay]:
        """The days that were counted of a span, in their order; both ends are in it.

        Args:
            tenant: whose.
            first: of the span.
            last: at most 366 days after it.
        """
        ...

    async def told(self, tenant: Tenant) -> date | None:
        """The day up to which all that were counted are told; ``None``: none ever was."""
        ...

    async def note_told(self, tenant: Tenant, day: date) -> None:
        """Write that down; a later day that is written down already stays."""
        ...


class UsageEvents(Protocol):
    """Whoever hears of the days of all tenants."""

    async def tell(self, tenant: Tenant, day: UsageDay) -> None:
        """Tell of a day; when this returns, it was taken.

        Raises:
            UpstreamError: it was not taken, or nobody knows.
        """
        ...
