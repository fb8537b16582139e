"""A twin of the tenants' policy stores, as far as they can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.cedar.digest import policies_digest
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.policy_set import PolicySet
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryPolicyStores:
    """Stores by tenant id; of a tenant without one nothing is expected, so nothing is copied.

    Attributes:
        held: what each store says that it holds.
        digests: what each stack says that the store is to have.
        available: ``False`` makes every question fail.
        asked: the questions, by the name of the method.
    """

    held: dict[str, PolicySet] = field(default_factory=dict[str, "PolicySet"])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    available: bool = True
    asked: list[str] = field(default_factory=list[str])

    def stamp(self, tenant: Tenant, policies: PolicySet) -> None:
        """Let the store hold the policies, as a stack does that has come to its end.

        Args:
            tenant: whose they are.
            policies: bound to the tenant, with the schema in its JSON form.
        """
        self.digests[tenant.id] = policies_digest(policies)
        self.held[tenant.id] = policies

    async def expected(self, tenants: Sequence[Tenant]) -> Mapping[str, str | None]:
        self._ask("expected")
        return {tenant.issuer: self.digests.get(tenant.id) for tenant in tenants}

    async def contents(self, tenant: Tenant) -> PolicySet:
        self._ask("contents")
        return self.held[tenant.id]

    async def versions(self, tenant: Tenant) -> Mapping[str, str]:
        self._ask("versions")
        held = self.held[tenant.id]
        links = {link.id: str(link) for link in held.links}
        return {**held.static, **held.templates, **links, "schema": held.schema}

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if not self.available:
            raise UnavailableError("the policy store")
