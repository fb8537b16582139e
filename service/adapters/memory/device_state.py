"""Twin of the shadows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.domain.device_state import DeviceState
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cedarfleet_device import wire

    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class Shadow:
    """One device's."""

    version: int = 0
    desired: dict[str, Any] = field(default_factory=dict[str, Any])
    reported: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(kw_only=True)
class MemoryDeviceStates:
    """Shadows by tenant and device."""

    shadows: dict[tuple[str, str], Shadow] = field(default_factory=dict[tuple[str, str], Shadow])

    def report(self, tenant_id: str, device_id: str, key: str, answer: wire.ReportedState) -> None:
        """What a device does."""
        shadow = self.shadows.setdefault((tenant_id, device_id), Shadow())
        shadow.reported[key] = answer.members()
        shadow.version += 1

    async def read(self, tenant: Tenant, device_id: str) -> DeviceState:
        shadow = self.shadows.get((tenant.id, device_id), Shadow())
        return DeviceState.of(shadow.version, desired=shadow.desired, reported=shadow.reported)

    async def change(
        self,
        tenant: Tenant,
        device_id: str,
        desired: Mapping[str, wire.DesiredState | None],
        *,
        version: int,
    ) -> None:
        shadow = self.shadows.setdefault((tenant.id, device_id), Shadow())
        if shadow.version != version:
            raise ConflictError(f"the state of `{device_id}` was changed meanwhile")
        for key, one in desired.items():
            if one is None:
                shadow.desired.pop(key, None)
            else:
                shadow.desired[key] = one.members()
        shadow.version += 1
