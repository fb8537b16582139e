"""Twin of the rows of usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from service.domain.tenants import Tenant
    from service.domain.usage import UsageDay


@dataclass(kw_only=True)
class MemoryUsageDays:
    """Days by tenant; ``available = False`` makes it fail."""

    counted: dict[str, dict[date, UsageDay]] = field(
        default_factory=dict[str, dict["date", "UsageDay"]]
    )
    available: bool = True

    async def keep(self, tenant: Tenant, day: UsageDay) -> None:
        self._check()
        self.counted.setdefault(tenant.id, {}).setdefault(day.day, day)

    async def newest(self, tenant: Tenant) -> UsageDay | None:
        self._check()
        counted = self.counted.get(tenant.id, {})
        return counted[max(counted)] if counted else None

    async def between(self, tenant: Tenant, *, first: date, last: date) -> Sequence[UsageDay]:
        self._check()
        counted = self.counted.get(tenant.id, {})
        return [counted[day] for day in sorted(counted) if first <= day <= last]

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the audit table")
