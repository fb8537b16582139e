"""A twin of IoT Core's registry and fleet index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.cedar.entities import ROOT_GROUP
from service.domain.devices import Device, DevicePage
from service.domain.groups import DeviceGroup
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryFleet:
    """Devices by thing name and groups by tenant and id; the root group is always there."""

    devices: dict[str, Device] = field(default_factory=dict[str, Device])
    groups: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def add(self, device: Device) -> None:
        """Put a device and its groups into the fleet."""
        self.devices[device.thing] = device
        self.groups |= {(device.tenant, group) for group in device.groups}

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        """See ``ports.Fleet``."""
        own = sorted(
            (device for device in self.devices.values() if device.tenant == tenant.id),
            key=lambda one: one.id,
        )
        if cursor is not None and cursor not in {device.id for device in own}:
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        rest = [device for device in own if cursor is None or device.id > cursor]
        shown = rest[:limit]
        return DevicePage(devices=tuple(shown), cursor=shown[-1].id if len(rest) > limit else None)

    async def device(self, tenant: Tenant, device_id: str) -> Device | None:
        """See ``ports.Fleet``."""
        found = self.devices.get(f"{tenant.id}--{device_id}")
        return replace(found, connectivity=None) if found else None

    async def group(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        """See ``ports.Fleet``."""
        known = group_id == ROOT_GROUP or (tenant.id, group_id) in self.groups
        return DeviceGroup(tenant=tenant.id, id=group_id) if known else None

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        """See ``ports.FleetDetails``."""
        own = (device for device in self.devices.values() if device.tenant == tenant.id)
        ids = sorted(
            device.id for device in own if group.id == ROOT_GROUP or group.id in device.groups
        )
        return tuple(ids[: limit + 1])

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:
        """See ``ports.FleetDetails``."""
        return replace(device, connectivity=self.devices[f"{tenant.id}--{device.id}"].connectivity)

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        """See ``ports.FleetDetails``."""
        stored = self.devices[f"{tenant.id}--{device.id}"]
        if stored.version != device.version:
            raise ConflictError(
                f"device `{device.id}` was changed meanwhile; read it and try again"
            )
        merged = {**stored.attributes, **changes}
        kept = {name: text for name, text in merged.items() if text is not None}
        self.devices[stored.thing] = replace(stored, attributes=kept, version=stored.version + 1)
