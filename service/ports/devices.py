"""The tenant's devices and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.devices import Device, DevicePage
    from service.domain.groups import DeviceGroup
    from service.domain.tenants import Tenant


class Fleet(Protocol):
    """The tenant's devices and groups; both look-ups answer ``None`` for what the tenant does not have."""

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        """Devices with connectivity.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def device(self, tenant: Tenant, device_id: str) -> Device | None:
        """One device, without connectivity."""
        ...

    async def group(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        """One group."""
        ...


class FleetDetails(Protocol):
    """What is looked up or changed of a device or group that was found."""

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        """Ids of the devices of a group and of its groups; at most ``limit`` + 1, so that too many can be told.

        A thing of the tenant whose name is no device's is left out: whoever acts on the members acts on these alone.
        """
        ...

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:
        """The device with its connectivity."""
        ...

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        """Set attributes, or remove those that are ``None``.

        Raises:
            ConflictError: someone else changed the device meanwhile.
        """
        ...
