"""The tenant's devices: the registry says what is, the fleet index lists and sees connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.devices import Device, DevicePage
    from service.domain.tenants import Tenant


class DeviceRegistry(Protocol):
    """What is known of each device; decisions rest on it."""

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        """One device without connectivity, or ``None`` if the tenant has no such device."""
        ...

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        """Set attributes of a device that was found, or remove those that are ``None``.

        Raises:
            ConflictError: someone else changed the device meanwhile.
        """
        ...


class FleetIndex(Protocol):
    """What is searched; it may lag behind the registry, so that nothing is decided by it."""

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        """Devices with connectivity.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:
        """The device with its connectivity, which a device that is not indexed yet has not."""
        ...
