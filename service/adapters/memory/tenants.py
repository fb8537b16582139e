"""A twin of the tenant registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryTenantRegistry:
    """Rows by issuer; ``lookups`` counts the questions, ``available = False`` makes it fail."""

    rows: dict[str, Tenant] = field(default_factory=dict[str, "Tenant"])
    available: bool = True
    lookups: int = 0

    async def find(self, issuer: str) -> Tenant | None:
        self.lookups += 1
        await self.check()
        return self.rows.get(issuer)

    async def named(self, tenant_id: str) -> Tenant | None:
        self.lookups += 1
        await self.check()
        return next((one for one in self.rows.values() if one.id == tenant_id), None)

    async def check(self) -> None:
        if not self.available:
            raise UnavailableError("the tenant registry")
