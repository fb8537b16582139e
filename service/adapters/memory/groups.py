"""A twin of the thing groups in IoT Core's registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.cedar.entities import ROOT_GROUP
from service.domain.groups import DeviceGroup

if TYPE_CHECKING:
    from service.adapters.memory.devices import MemoryDevices
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryDeviceGroups:
    """The groups that some device is in, the root group, and ``empty`` ones by tenant and id."""

    devices: MemoryDevices
    empty: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    async def find(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        group = DeviceGroup(tenant=tenant.id, id=group_id)
        known = group_id == ROOT_GROUP or (tenant.id, group_id) in self.empty
        return group if known or await self.members(tenant, group, limit=0) else None

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        own = (device for device in self.devices.devices.values() if device.tenant == tenant.id)
        ids = sorted(
            device.id for device in own if group.id == ROOT_GROUP or group.id in device.groups
        )
        return tuple(ids[: limit + 1])
