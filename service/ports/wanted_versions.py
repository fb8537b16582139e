"""Wanted versions as recorded, the batches that carry them out, and what devices run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import Batch, Running, WantedVersion


class WantedVersions(Protocol):
    """Wishes, one a group and package, ended ones too; each read is of this moment."""

    async def of_package(self, tenant: Tenant, package: str) -> tuple[WantedVersion, ...]:
        """All wishes of a package."""
        ...

    async def every(self, tenant: Tenant) -> tuple[WantedVersion, ...]:
        """All wishes of the tenant, in the order of package and group."""
        ...

    async def put(
        self, tenant: Tenant, wish: WantedVersion, *, batch: Batch | None = None
    ) -> WantedVersion | None:
        """Store a wish in place of its revision; of revision 0 only where there is none.

        Args:
            tenant: whose it is.
            wish: as it shall be.
            batch: that is taken with it: both are stored, or neither.

        Returns:
            It with its revision, or ``None``: somebody else changed it meanwhile.
        """
        ...

    async def batches(self, tenant: Tenant, wish_id: str) -> tuple[Batch, ...]:
        """All batches of a wish."""
        ...

    async def settle(self, tenant: Tenant, batch: Batch) -> None:
        """Store what is known of a batch for good."""
        ...


class RunningVersions(Protocol):
    """Which version of a package each device runs, as it was told last."""

    async def of_package(self, tenant: Tenant, package: str) -> Mapping[str, Running]:
        """By the id of the device."""
        ...

    async def every(self, tenant: Tenant) -> tuple[Running, ...]:
        """Of all packages, in the order of package and device."""
        ...

    async def find(self, tenant: Tenant, package: str, device_id: str) -> Running | None:
        """Of one device, or ``None``: nothing was told."""
        ...

    async def tell(self, tenant: Tenant, running: Running) -> None:
        """Store what a device runs, unless something later is known."""
        ...
