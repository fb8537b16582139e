"""List the commands of the caller's tenant, or of one device, with where each stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.at_once import each
from service.domain.commands import CommandRecordState, status_of
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import InvalidRequestError, NotFoundError
from service.operations.commands import CommandView
from service.operations.devices import find_device

if TYPE_CHECKING:
    from service.domain.commands import CommandFilter
    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.commands import ListedCommands
    from service.ports.devices import DeviceFacts

STATES: Final = frozenset(map(str, (*CommandRecordState, *wire.CommandState)))
"""What the state of a command may be."""


@dataclass(frozen=True, kw_only=True)
class CommandLists:
    """The commands of the caller's tenant, page by page."""

    devices: DeviceFacts
    listed: ListedCommands
    clock: Clock

    async def page(
        self,
        access: Access,
        *,
        wanted: CommandFilter,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[CommandView, ...], str | None]:
        """One page of the commands that the caller may view, the newest first, and its cursor.

        A page may have less than ``limit``, or none, and a cursor all the same.

        Raises:
            InvalidRequestError: no command can fit the filter, or the cursor is not one of ours.
        """
        if state is not None and state not in STATES:
            raise InvalidRequestError(
                "state", f"`{state[:64]}` is no state; there are: {', '.join(sorted(STATES))}"
            )
        if wanted.device is not None and not wire.is_device_id(wanted.device):
            raise InvalidRequestError("device", "is no id of a device")
        tenant = access.principal.tenant
        page = await self.listed.page(tenant, limit=limit, cursor=cursor, wanted=wanted)
        asked = sorted({command.record.device for command in page.commands})
        found = await each(partial(self._decidable, tenant), asked)
        devices = [device for device in found if device is not None]
        viewable = {
            device.id: device.retired_at
            for device in await access.seen(Permission.VIEW_COMMAND, devices)
        }
        now = milliseconds(self.clock())
        views = (
            CommandView(
                recorded=command,
                status=status_of(
                    command.record,
                    command.states,
                    now_ms=now,
                    retired_at=viewable[command.record.device],
                ),
            )
            for command in page.commands
            if command.record.device in viewable
        )
        return tuple(one for one in views if state in (None, one.status.state)), page.cursor

    async def of_device(
        self,
        access: Access,
        device_id: str,
        *,
        wanted: CommandFilter,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[CommandView, ...], str | None]:
        """The same of one device.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            InvalidRequestError: as ``page``.
        """
        tenant = access.principal.tenant
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.VIEW_COMMAND, device.entities(tenant.groups))
        of_it = replace(wanted, device=device_id)
        return await self.page(access, wanted=of_it, state=state, limit=limit, cursor=cursor)

    async def _decidable(self, tenant: Tenant, device_id: str) -> Device | None:
        try:
            device = await find_device(self.devices, tenant, device_id)
        except NotFoundError:
            return None
        # Fail closed: of a device that cannot be read nobody knows who may see it.
        return None if device.problem else device
