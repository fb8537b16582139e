"""Twins of the freezes in the commands table and of their policies in the stores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.adapters.memory.policies import MemoryPolicyStores
from service.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from service.domain.freezes import Freeze
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryFreezes:
    """The last freeze of each group, by tenant."""

    rows: dict[tuple[str, str], Freeze] = field(default_factory=dict[tuple[str, str], "Freeze"])

    async def read(self, tenant: Tenant, group: str) -> Freeze | None:
        return self.rows.get((tenant.id, group))

    async def put(self, tenant: Tenant, freeze: Freeze) -> Freeze | None:
        known = self.rows.get((tenant.id, freeze.group))
        if (known.version if known else 0) != freeze.version:
            return None
        stored = self.rows[tenant.id, freeze.group] = replace(freeze, version=freeze.version + 1)
        return stored


@dataclass(kw_only=True)
class MemoryFreezePolicies:
    """Statements by tenant and freeze; in the twins of the stores too, where one is known.

    Attributes:
        full: the store has no room.
        available: ``False`` makes every call fail.
    """

    stores: MemoryPolicyStores = field(default_factory=MemoryPolicyStores)
    held: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    full: bool = False
    available: bool = True

    async def put(self, tenant: Tenant, freeze: Freeze) -> str:
        self._check()
        if self.full:
            raise ConflictError("the tenant's policy store has no room for another freeze")
        self.held[tenant.id, freeze.freeze_id] = freeze.statement
        self._store(tenant, **{_policy_id(freeze): freeze.statement})
        return _policy_id(freeze)

    async def remove(self, tenant: Tenant, freeze: Freeze) -> None:
        self._check()
        self.held.pop((tenant.id, freeze.freeze_id), None)
        self._store(tenant, without=_policy_id(freeze))

    def _store(self, tenant: Tenant, *, without: str = "", **more: str) -> None:
        if (known := self.stores.held.get(tenant.id)) is not None:
            kept = {name: text for name, text in known.static.items() if name != without}
            self.stores.held[tenant.id] = replace(known, static={**kept, **more})

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the policy store")


def _policy_id(freeze: Freeze) -> str:
    return f"SP{freeze.freeze_id}"
