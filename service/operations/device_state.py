"""What is desired of a device, and what it answers, for whoever may view it or change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.domain.audit import AuditChange
from service.domain.device_state import wanted
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import ConflictError, PreconditionFailedError
from service.operations.devices import find_device
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.device_state import DeviceState
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.operations.authorization import Access
    from service.ports.device_state import DeviceStates
    from service.ports.devices import DeviceFacts


@dataclass(frozen=True, kw_only=True)
class States:
    """The states of the devices of the caller's tenant."""

    devices: DeviceFacts
    states: DeviceStates
    clock: Clock

    async def read(self, access: Access, device_id: str) -> DeviceState:
        """What was asked of the device, and what it answered.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.VIEW_DEVICE, device.entities(tenant.groups))
        return await self.states.read(tenant, device.id)

    async def change(
        self,
        access: Access,
        device_id: str,
        changes: Mapping[str, tuple[int, Any] | None],
        expected: Expected,
    ) -> DeviceState:
        """Ask for these keys: version and value, or ``None`` for nothing any more.

        What was read is what is changed: of two changes at once the later one fails, whatever it
        expected.

        Raises:
            InvalidRequestError: a change is not of its form, or too large.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: the state is another one than expected.
            ConflictError: someone else, or the device, changed it meanwhile.
        """
        tenant = access.principal.tenant
        desired = wanted(changes, now_ms=milliseconds(self.clock()))
        device = await find_device(self.devices, tenant, device_id)
        change = AuditChange(
            after={
                name: None if value is None else {"value": value.value, "version": value.version}
                for name, value in desired.items()
            }
        )
        purpose = Purpose(subject=", ".join(sorted(changes)), change=change)
        await access.require(Permission.CHANGE_STATE, device.entities(tenant.groups), purpose)
        before = await self.states.read(tenant, device.id)
        tag = before.tag(tenant.id, device.id)
        expected.check(tag)
        try:
            await self.states.change(tenant, device.id, desired, version=before.version)
        except ConflictError as error:
            if expected.tags is None:
                raise
            now = await self.states.read(tenant, device.id)
            raise PreconditionFailedError(now.tag(tenant.id, device.id)) from error
        return await self.states.read(tenant, device.id)
