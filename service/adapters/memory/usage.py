"""Twins of the rows of usage, and of who hears of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    told_until: dict[str, date] = field(default_factory=dict[str, "date"])
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

    async def told(self, tenant: Tenant) -> date | None:
        self._check()
        return self.told_until.get(tenant.id)

    async def note_told(self, tenant: Tenant, day: date) -> None:
        self._check()
        self.told_until[tenant.id] = max(day, self.told_until.get(tenant.id, day))

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the audit table")


@dataclass(kw_only=True)
class MemoryUsageEvents:
    """What was told, in its order, a repetition too; ``available = False`` makes it fail."""

    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    available: bool = True

    async def tell(self, tenant: Tenant, day: UsageDay) -> None:
        if not self.available:
            raise UnavailableError("the event bus")
        self.told.append(day.told_of(tenant.id))
