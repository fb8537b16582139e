"""The files of the tenant's bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.artifacts import Artifact
    from service.domain.tenants import Tenant


class Artifacts(Protocol):
    """The tenant's files."""

    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        """A file, or ``None``."""
        ...
