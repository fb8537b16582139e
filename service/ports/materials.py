"""What is known of uploaded bills of materials, and which versions of packages they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.materials import Materials, WantedComponent
    from service.domain.tenants import Tenant


class BillsOfMaterials(Protocol):
    """Bills of materials that were uploaded here and read; each stands for good."""

    async def store(self, tenant: Tenant, materials: Materials) -> None:
        """Keep what a bill names, durably; again is the same."""
        ...

    async def link(self, tenant: Tenant, *, package: str, version: str, file_id: str) -> None:
        """Keep that a version of a package has this bill, durably; again is the same."""
        ...

    async def of_package(
        self, tenant: Tenant, *, package: str, version: str, most: int
    ) -> Sequence[str]:
        """Files of the bills of a version of a package, at most so many."""
        ...

    async def read(
        self, tenant: Tenant, file_id: str, *, wanted: WantedComponent, most: int
    ) -> Materials | None:
        """A bill with the first of its components that fit, or ``None``: nothing was read of it."""
        ...
