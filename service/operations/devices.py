"""List, read and configure the tenant's devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.devices import check_attributes, check_one_offset
from service.domain.permissions import Permission
from service.errors import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.devices import Device, DevicePage
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import DeviceRegistry, FleetIndex


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices of the caller's tenant."""

    registry: DeviceRegistry
    index: FleetIndex

    async def page(self, access: Access, *, limit: int, cursor: str | None) -> DevicePage:
        """One page of devices with connectivity.

        Raises:
            PermissionDeniedError: not allowed.
            InvalidRequestError: the cursor is not one of ours.
        """
        tenant = access.principal.tenant
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        return await self.index.page(tenant, limit=limit, cursor=cursor)

    async def read(self, access: Access, device_id: str) -> Device:
        """One device with connectivity.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        device = await find_device(self.registry, tenant, device_id)
        await access.require(Permission.VIEW_DEVICE, device.entities())
        return await self.index.connectivity(tenant, device)

    async def configure(
        self, access: Access, device_id: str, changes: Mapping[str, str | None]
    ) -> Device:
        """Set attributes that policies decide by; ``None`` removes one.

        Raises:
            InvalidRequestError: no attribute is given, one is not of its form, or a time zone would
                stand beside an offset.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            ConflictError: someone else changed the device meanwhile.
        """
        if not changes:
            raise InvalidRequestError("body", "give at least one attribute to set")
        check_attributes(changes)
        tenant = access.principal.tenant
        device = await find_device(self.registry, tenant, device_id)
        await access.require(Permission.CONFIGURE_DEVICE, device.entities())
        check_one_offset(device.attributes, changes)
        await self.registry.set_attributes(tenant, device, changes)
        return await self.index.connectivity(
            tenant, await find_device(self.registry, tenant, device_id)
        )


async def find_device(registry: DeviceRegistry, tenant: Tenant, device_id: str) -> Device:
    """The device, looked up inside the tenant only: another tenant's is as unknown as none.

    Raises:
        NotFoundError: the tenant has no such device.
    """
    device = await registry.find(tenant, device_id) if wire.is_device_id(device_id) else None
    if device is None:
        raise NotFoundError("device", device_id)
    return device
