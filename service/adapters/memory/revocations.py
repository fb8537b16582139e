"""A twin of the revocations in the commands table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.revocations import NotBefore
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryRevocations:
    """Revocations by tenant and subject.

    Attributes:
        rows: from when on tokens count.
        asked: how often all of a tenant were read.
        available: ``False`` makes every question fail.
    """

    rows: dict[str, dict[str, NotBefore]] = field(default_factory=dict[str, "dict[str, NotBefore]"])
    asked: int = 0
    available: bool = True

    async def revoked(self, tenant: Tenant) -> Mapping[str, NotBefore]:
        self.asked += 1
        return dict(self._of(tenant))

    async def revoke(self, tenant: Tenant, subject: str, not_before: NotBefore) -> None:
        rows = self._of(tenant)
        rows[subject] = max(not_before, rows.get(subject, not_before))

    async def settle(
        self, tenant: Tenant, subject: str, *, intent: NotBefore, not_before: NotBefore
    ) -> None:
        rows = self._of(tenant)
        if rows.get(subject) == intent:
            rows[subject] = not_before

    def _of(self, tenant: Tenant) -> dict[str, NotBefore]:
        if not self.available:
            raise UnavailableError("the commands table")
        return self.rows.setdefault(tenant.id, {})
