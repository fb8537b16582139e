"""The tenant's devices: facts that decisions rest on, and connections as the broker has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from service.domain.device_filter import EVERY_DEVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from service.domain.device_filter import DeviceFilter
    from service.domain.devices import Connectivity, Device, DevicePage
    from service.domain.groups import DeviceGroup
    from service.domain.tenants import Tenant


Viewed: TypeAlias = "Callable[[Sequence[Device]], Awaitable[frozenset[str]]]"
"""Tells of some devices, by their ids, those that the caller may view."""


async def all_of_them(devices: Sequence[Device]) -> frozenset[str]:
    """For callers who ask for themselves what they may do with each."""
    return frozenset(device.id for device in devices)


class DeviceFacts(Protocol):
    """What is known of each device, as of this moment: what was changed before is seen."""

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        """One device without connectivity, or ``None`` if the tenant has no such device."""
        ...

    async def page(
        self,
        tenant: Tenant,
        *,
        limit: int,
        cursor: str | None,
        wanted: DeviceFilter = EVERY_DEVICE,
        viewed: Viewed = all_of_them,
    ) -> DevicePage:
        """Devices in the order of their ids, with the last that was heard of their connections.

        One that a filter empties may have a cursor all the same: the work of a request is bounded.

        Args:
            tenant: whose devices.
            limit: devices of the page.
            cursor: of the page before.
            wanted: which devices.
            viewed: which of some that are wanted may be shown.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def members(
        self, tenant: Tenant, group: DeviceGroup, *, limit: int
    ) -> tuple[Device, ...]:
        """Devices of a group and of the groups in it, in the order of their ids.

        At most ``limit`` + 1, so that too many can be told.
        """
        ...

    async def repair(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        """Write facts in place of a row that cannot be read; the device with its version.

        Raises:
            ConflictError: there is no such row, or somebody changed it meanwhile.
            UnavailableError: the table does not answer.
        """
        ...

    async def change(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        """Store the attributes and groups of a device that was found; the device with its version.

        Args:
            tenant: whose device it is.
            device: as it shall be, with the version with which it was found.
            by: entity id of who changes it.
            now_ms: milliseconds since the epoch.

        Raises:
            ConflictError: someone else changed the device meanwhile, or it is another thing now.
        """
        ...


class Connections(Protocol):
    """The broker's own word on a connection."""

    async def find(self, tenant: Tenant, device: Device) -> Connectivity | None:
        """How a device is connected now, or ``None`` if the broker has not heard of it lately."""
        ...

    async def end(self, tenant: Tenant, device: Device) -> None:
        """End a device's connection with its session; one that is not there is fine."""
        ...
