"""A twin of IoT Core's registry and fleet index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.domain.devices import Device, DevicePage
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryDevices:
    """Devices by thing name: both what is and what is searched."""

    devices: dict[str, Device] = field(default_factory=dict[str, Device])

    def add(self, device: Device) -> None:
        """Put a device into the fleet."""
        self.devices[device.thing] = device

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        own = sorted(
            (device for device in self.devices.values() if device.tenant == tenant.id),
            key=lambda one: one.id,
        )
        if cursor is not None and cursor not in {device.id for device in own}:
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        rest = [device for device in own if cursor is None or device.id > cursor]
        shown = rest[:limit]
        return DevicePage(devices=tuple(shown), cursor=shown[-1].id if len(rest) > limit else None)

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        found = self.devices.get(f"{tenant.id}--{device_id}")
        return replace(found, connectivity=None) if found else None

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:
        return replace(device, connectivity=self.devices[f"{tenant.id}--{device.id}"].connectivity)

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        stored = self.devices[f"{tenant.id}--{device.id}"]
        if stored.version != device.version:
            raise ConflictError(
                f"device `{device.id}` was changed meanwhile; read it and try again"
            )
        merged = {**stored.attributes, **changes}
        kept = {name: text for name, text in merged.items() if text is not None}
        self.devices[stored.thing] = replace(stored, attributes=kept, version=stored.version + 1)
