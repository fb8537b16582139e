"""A twin of the tenants' buckets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.artifacts import Artifact

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryArtifacts:
    """Files by tenant and name."""

    files: dict[tuple[str, str], Artifact] = field(default_factory=dict[tuple[str, str], Artifact])

    def add(self, artifact: Artifact) -> None:
        """Put a file into its tenant's bucket."""
        self.files[artifact.tenant, artifact.name] = artifact

    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        return self.files.get((tenant.id, name))
