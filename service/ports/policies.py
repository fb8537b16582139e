"""What decides for a tenant, to be copied: its policy store, and what its stack says of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.policy_set import PolicySet
    from service.domain.tenants import Tenant


class PolicyStores(Protocol):
    """The tenants' policy stores."""

    async def expected(self, tenant: Tenant) -> str | None:
        """The digest that the store is to have (``cedar.digest``), never one of a moment ago.

        It is written before the first change of a store, so while a store is changed no copy of it
        has the digest. ``None``: the tenant's stack is of a release that said none.
        """
        ...

    async def contents(self, tenant: Tenant) -> PolicySet:
        """What the store says that it holds, by its ids; some seconds ago, or a mixture.

        Raises:
            UpstreamError: the store changed while it was read, or holds what is not known here.
        """
        ...

    async def versions(self, tenant: Tenant) -> Mapping[str, str]:
        """Each policy and template of the store by its id, and ``schema``: when last changed."""
        ...
