"""The tenant's trail of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.audit import AuditRecord
    from service.domain.tenants import Tenant


class AuditLog(Protocol):
    """The tenant's trail of decisions."""

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        """Store a record, durably."""
        ...
