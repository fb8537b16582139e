"""A twin of the rows of bills of materials."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.materials import Materials, WantedComponent
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryBillsOfMaterials:
    """Bills by tenant and file, and their files by tenant, package and version."""

    bills: dict[tuple[str, str], tuple[Materials, str]] = field(
        default_factory=dict[tuple[str, str], "tuple[Materials, str]"]
    )
    links: dict[tuple[str, str, str], set[str]] = field(
        default_factory=dict[tuple[str, str, str], "set[str]"]
    )

    async def store(self, tenant: Tenant, materials: Materials) -> None:
        # In its stored form, as the table keeps it.
        self.bills[tenant.id, materials.file_id] = materials, materials.packed()

    async def link(self, tenant: Tenant, *, package: str, version: str, file_id: str) -> None:
        self.links.setdefault((tenant.id, package, version), set()).add(file_id)

    async def of_package(
        self, tenant: Tenant, *, package: str, version: str, most: int
    ) -> Sequence[str]:
        return sorted(self.links.get((tenant.id, package, version), ()))[:most]

    async def read(
        self, tenant: Tenant, file_id: str, *, wanted: WantedComponent, most: int
    ) -> Materials | None:
        found = self.bills.get((tenant.id, file_id))
        if found is None:
            return None
        materials, packed = found
        return replace(materials, components=materials.fitting_in(packed, wanted, most=most))
