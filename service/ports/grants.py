"""Grants as they are recorded, and their policies in the tenants' stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.grants import Grant, GrantPage
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


class GrantRecords(Protocol):
    """One record a grant, kept when it is over."""

    async def create(self, tenant: Tenant, record: Grant, key: IdempotencyKey | None) -> Grant:
        """Store a new grant; answer it, or the one that the key made before.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
        """
        ...

    async def settle(self, tenant: Tenant, record: Grant) -> None:
        """Store what became of a grant, one revision higher.

        Raises:
            ConflictError: it was changed since it was read.
        """
        ...

    async def read(self, tenant: Tenant, grant_id: str) -> Grant | None:
        """One grant, never as it was a moment ago."""
        ...

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> GrantPage:
        """Grants, the newest first.

        Raises:
            InvalidRequestError: the cursor is of another list.
        """
        ...


class GrantedPolicies(Protocol):
    """The policies of grants, and what every process is told of them (``RevocationRecords``).

    Everything may be done twice.
    """

    async def tell(self, tenant: Tenant, fingerprint: str) -> None:
        """Say that the store is to hold a policy: before it does."""
        ...

    async def end(self, tenant: Tenant, fingerprint: str, policy_id: str | None) -> None:
        """Say at once that the store is to hold it no more, and that it counts no more.

        Args:
            tenant: whose store it is.
            fingerprint: of the policy.
            policy_id: the store's id, while the store may go by it still; ``None``: it gives
                nothing any more.
        """
        ...

    async def forget(self, tenant: Tenant, policy_id: str) -> None:
        """Say no more that a policy ended: the store does not know it any longer."""
        ...

    async def put(self, tenant: Tenant, grant: Grant) -> str:
        """The store's id of a grant's policy, which stands from now on.

        Raises:
            ConflictError: the store has no room for it.
            UnavailableError: it is being written to by somebody else, among others.
        """
        ...

    async def find(self, tenant: Tenant, grant: Grant) -> str | None:
        """The store's id of a grant's policy, if it shows one."""
        ...

    async def remove(self, tenant: Tenant, grant: Grant) -> None:
        """Take a grant's policy out of the store, if it is there."""
        ...
