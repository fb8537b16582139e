"""The keys with which a tenant's user pool signs tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


class SigningKeys(Protocol):
    """The public keys of a tenant's user pool."""

    async def find(self, tenant: Tenant, key_id: str) -> Any | None:
        """The RSA public key, or ``None`` if the pool has no such key."""
        ...
