"""Freezes of groups as they are recorded, and their policies in the tenants' stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.freezes import Freeze
    from service.domain.tenants import Tenant


class FreezeRecords(Protocol):
    """One row a group: its last freeze."""

    async def read(self, tenant: Tenant, group: str) -> Freeze | None:
        """The last freeze of a group, never as it was a moment ago."""
        ...

    async def put(self, tenant: Tenant, freeze: Freeze) -> Freeze | None:
        """Store it, one version higher; ``None``: somebody changed it since it was read."""
        ...


class FreezePolicies(Protocol):
    """The policies of freezes; everything may be done twice."""

    async def put(self, tenant: Tenant, freeze: Freeze) -> str:
        """The store's id of the freeze's policy, which stands from now on.

        Raises:
            ConflictError: the store has no room for it, or its schema does not know of freezes.
            UnavailableError: it is being written to by somebody else, among others.
        """
        ...

    async def remove(self, tenant: Tenant, freeze: Freeze) -> None:
        """Take the policy out of the store, if it is there."""
        ...
