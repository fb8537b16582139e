"""The registry of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


class TenantRegistry(Protocol):
    """Which tenant a token's issuer, or a device's name, belongs to."""

    async def find(self, issuer: str) -> Tenant | None:
        """The tenant of ``issuer``, or ``None``.

        Raises:
            ConfigurationError: the row is not of its form.
        """
        ...

    async def named(self, tenant_id: str) -> Tenant | None:
        """The tenant of this id, or ``None``; one that was made a moment ago may be missing.

        Raises:
            ConfigurationError: the row is not of its form.
        """
        ...

    async def check(self) -> None:
        """Raise ``UnavailableError`` unless the registry answers."""
        ...
