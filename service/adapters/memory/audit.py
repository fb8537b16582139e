"""A twin of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.audit import AuditRecord
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryAuditLog:
    """The trail, in order; ``available = False`` makes it fail."""

    trail: list[AuditRecord] = field(default_factory=list["AuditRecord"])
    available: bool = True

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        if not self.available:
            raise UnavailableError("the audit trail")
        self.trail.append(record)
