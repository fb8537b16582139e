"""A twin of the key sets that the tenants' user pools publish."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemorySigningKeys:
    """Keys by issuer and key id."""

    keys: dict[tuple[str, str], RSAPublicKey] = field(
        default_factory=dict[tuple[str, str], "RSAPublicKey"]
    )

    async def find(self, tenant: Tenant, key_id: str) -> RSAPublicKey | None:
        return self.keys.get((tenant.issuer, key_id))
