"""A twin of the revocations in the commands table, and of what stands beside them of grants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.revocations import RunTimeWord
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.revocations import NotBefore
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryRevocations:
    """Revocations by tenant and subject.

    Attributes:
        rows: from when on tokens count.
        granted: fingerprints of policies of grants.
        ended: ids of policies of revoked grants.
        asked: how often all of a tenant were read.
        available: ``False`` makes every question fail.
    """

    rows: dict[str, dict[str, NotBefore]] = field(default_factory=dict[str, "dict[str, NotBefore]"])
    granted: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    ended: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    asked: int = 0
    available: bool = True

    async def word(self, tenant: Tenant) -> RunTimeWord:
        self.asked += 1
        return RunTimeWord(
            tokens=dict(self._of(tenant)),
            granted=self.granted.get(tenant.id, frozenset()),
            ended=self.ended.get(tenant.id, frozenset()),
        )

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
