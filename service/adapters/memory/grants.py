"""Twins of grants in the commands table and of their policies in the stores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.adapters.memory.idempotency import MemoryOnce
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.domain.grants import Grant, GrantPage
from service.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryGrantRecords:
    """Grants by tenant and id; ``fails`` names the methods that do not answer."""

    once: MemoryOnce[Grant] = field(default_factory=MemoryOnce[Grant])
    fails: set[str] = field(default_factory=set[str])

    async def create(self, tenant: Tenant, record: Grant, key: IdempotencyKey | None) -> Grant:
        self._ask("create")
        return self.once.create(tenant.id, record.grant_id, record, key)

    async def settle(self, tenant: Tenant, record: Grant) -> None:
        self._ask(f"settle {record.state}")
        known = self.once.records.get((tenant.id, record.grant_id))
        if known is None or known.revision != record.revision:
            raise ConflictError(f"grant `{record.grant_id}` was changed meanwhile")
        self.once.settle(tenant.id, record.grant_id, replace(record, revision=record.revision + 1))

    async def read(self, tenant: Tenant, grant_id: str) -> Grant | None:
        self._ask("read")
        return self.once.records.get((tenant.id, grant_id))

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> GrantPage:
        known = sorted(
            (
                one
                for (owner, id_), one in self.once.records.items()
                if owner == tenant.id and (not cursor or id_ < cursor)
            ),
            key=lambda one: one.grant_id,
            reverse=True,
        )
        shown = tuple(known[:limit])
        return GrantPage(grants=shown, cursor=shown[-1].grant_id if len(known) > limit else None)

    def _ask(self, what: str) -> None:
        if what in self.fails:
            raise UnavailableError("the commands table")


@dataclass(kw_only=True)
class MemoryGrantedPolicies:
    """Policies by tenant and grant; the order of what was done is kept.

    Attributes:
        revocations: where every process reads what stands.
        stores: in which the policies are, for whom a store is known there.
        held: statements in each store.
        done: methods in turn.
        full: the store has no room.
        fails: of `done`, what does not answer.
    """

    revocations: MemoryRevocations = field(default_factory=MemoryRevocations)
    stores: MemoryPolicyStores = field(default_factory=MemoryPolicyStores)
    held: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    done: list[str] = field(default_factory=list[str])
    full: bool = False
    fails: set[str] = field(default_factory=set[str])

    async def tell(self, tenant: Tenant, fingerprint: str) -> None:
        self._do("tell")
        known = self.revocations.granted
        known[tenant.id] = known.get(tenant.id, frozenset()) | {fingerprint}

    async def end(self, tenant: Tenant, fingerprint: str, policy_id: str | None) -> None:
        self._do("end")
        granted, ended = self.revocations.granted, self.revocations.ended
        granted[tenant.id] = granted.get(tenant.id, frozenset()) - {fingerprint}
        if policy_id is not None:
            ended[tenant.id] = ended.get(tenant.id, frozenset()) | {policy_id}

    async def forget(self, tenant: Tenant, policy_id: str) -> None:
        self._do("forget")
        ended = self.revocations.ended
        ended[tenant.id] = ended.get(tenant.id, frozenset()) - {policy_id}

    async def put(self, tenant: Tenant, grant: Grant) -> str:
        self._do("put")
        if self.full:
            raise ConflictError("the tenant's policy store has no room for another grant")
        self.held[tenant.id, grant.grant_id] = grant.statement
        self._store(tenant, **{policy_id_of(grant): grant.statement})
        return policy_id_of(grant)

    async def find(self, tenant: Tenant, grant: Grant) -> str | None:
        self._do("find")
        return policy_id_of(grant) if (tenant.id, grant.grant_id) in self.held else None

    async def remove(self, tenant: Tenant, grant: Grant) -> None:
        self._do("remove")
        self.held.pop((tenant.id, grant.grant_id), None)
        self._store(tenant, without=policy_id_of(grant))

    def _store(self, tenant: Tenant, *, without: str = "", **more: str) -> None:
        if (known := self.stores.held.get(tenant.id)) is not None:
            kept = {name: text for name, text in known.static.items() if name != without}
            self.stores.held[tenant.id] = replace(known, static={**kept, **more})

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.fails:
            raise UnavailableError("the policy store")


def policy_id_of(grant: Grant) -> str:
    """The id that the twin gives a grant's policy."""
    return f"SP{grant.grant_id}"
