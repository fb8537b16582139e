"""What a device measured last, for whoever may view the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.permissions import Permission
from service.operations.devices import find_device

if TYPE_CHECKING:
    from service.domain.telemetry import LastValues
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.telemetry import Telemetry


@dataclass(frozen=True, kw_only=True)
class DeviceTelemetry:
    """The telemetry of the caller's tenant."""

    devices: DeviceFacts
    telemetry: Telemetry

    async def last_values(
        self, access: Access, device_id: str, *, limit: int, cursor: str | None
    ) -> LastValues:
        """One page of a device's last values.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            InvalidRequestError: the cursor is not one of ours.
        """
        tenant = access.principal.tenant
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.VIEW_DEVICE, device.entities(tenant.groups))
        return await self.telemetry.last_values(tenant, device.id, limit=limit, cursor=cursor)
