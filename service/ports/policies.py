"""What decides for a tenant, to be copied: its policy store, and what its stack says of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.policy_set import PolicySet
    from service.domain.tenants import Tenant


class PolicyStores(Protocol):
    """The tenants' policy stores."""

    async def expected(self, tenants: Sequence[Tenant]) -> Mapping[str, str | None]:
        """The digests that the stores are to have (``cedar.digest``), never those of a moment ago.

        A digest is written before the first change of its store, so while a store is changed no
        copy of it has the digest.

        Args:
            tenants: at most some hundreds.

        Returns:
            By issuer; ``None``: the tenant's stack is of a release that said none. Of a tenant that
            is missing here nobody gave an answer.
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
