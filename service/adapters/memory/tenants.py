"""Twins of the tenant registry and of the pools' signing keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryTenantRegistry:
    """Rows by issuer; ``lookups`` counts the questions, ``available = False`` makes it fail."""

    rows: dict[str, Tenant] = field(default_factory=dict[str, "Tenant"])
    available: bool = True
    lookups: int = 0

    async def find(self, issuer: str) -> Tenant | None:
        """See ``ports.TenantRegistry``."""
        self.lookups += 1
        await self.check()
        return self.rows.get(issuer)

    async def check(self) -> None:
        """See ``ports.TenantRegistry``."""
        if not self.available:
            raise UnavailableError("the tenant registry")


@dataclass(kw_only=True)
class MemorySigningKeys:
    """Keys by issuer and key id."""

    keys: dict[tuple[str, str], RSAPublicKey] = field(
        default_factory=dict[tuple[str, str], "RSAPublicKey"]
    )

    async def find(self, tenant: Tenant, key_id: str) -> RSAPublicKey | None:
        """See ``ports.SigningKeys``."""
        return self.keys.get((tenant.issuer, key_id))
