"""Take a command back: surely where it has not left, else by a message to its device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from cedarfleet_device import wire

from service.domain.built_in_commands import action_of
from service.domain.commands import CommandRecordState, status_of
from service.domain.instants import milliseconds
from service.errors import ConflictError, NotFoundError
from service.operations.commands import CommandView
from service.operations.devices import find_served
from service.operations.known_commands import knowing_commands
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.command_types import CommandTypeRecords
    from service.ports.commands import CommandBroker, CommandRecords
    from service.ports.devices import DeviceFacts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CommandCancel:
    """Cancels commands of the caller's tenant."""

    devices: DeviceFacts
    types: CommandTypeRecords
    records: CommandRecords
    broker: CommandBroker
    clock: Clock

    async def cancel(
        self, access: Access, command_id: str, *, emergency_reason: str | None = None
    ) -> CommandView:
        """Have a command not begin, if it has not begun; asked again it is the same.

        Whoever may send it may take it back: the command's own action is asked for.

        Returns:
            The command as it stands: ``canceled`` only where it surely never begins, else as
            before, until its device says what became of it.

        Raises:
            NotFoundError: the tenant has no such command, or its device is gone.
            PermissionDeniedError: not allowed.
            ConflictError: it is over, its time too, its device was retired, or the tenant has no
                command of its name.
            UpstreamError: the device may not be told: ask again.
        """
        tenant = access.principal.tenant
        known = wire.is_command_id(command_id)
        found = await self.records.read(tenant, command_id) if known else None
        if found is None:
            raise NotFoundError("command", command_id)
        device = await find_served(self.devices, tenant, found.record.device)
        known_to = await knowing_commands(self.types, tenant, [found.record.name])
        action = action_of(known_to, found.record.name)
        # Fail closed: without its action nobody knows who may send it.
        if action is None:
            raise ConflictError(f"the tenant has no command `{found.record.name}` any more")
        purpose = Purpose(
            command=found.record.name,
            subject=f"cancel of {found.record.name}",
            emergency_reason=emergency_reason,
            about={"command": command_id},
        )
        await access.require(action, device.entities(tenant.groups), purpose)
        now = milliseconds(self.clock())
        status = status_of(found.record, found.states, now_ms=now, retired_at=None)
        if found.record.is_held_back:
            return CommandView(recorded=found, status=status)
        if status.is_final or now > found.record.expires_at:
            raise ConflictError(f"command `{command_id}` is over: it is `{status.state}`")
        record = await take_back(self.records, self.broker, tenant, found.record, now_ms=now)
        recorded = replace(found, record=record)
        status = status_of(record, found.states, now_ms=now, retired_at=None)
        return CommandView(recorded=recorded, status=status)


async def take_back(
    records: CommandRecords,
    broker: CommandBroker,
    tenant: Tenant,
    record: CommandRecord,
    *,
    now_ms: int,
) -> CommandRecord:
    """Have a command not begin: nobody sends it any more, and its device is told if it may have it.

    Returns:
        The record as it is then.

    Raises:
        UpstreamError: the device may not be told: ask again.
    """
    record = await records.cancel(tenant, record, now_ms=now_ms)
    has_left = record.state not in {CommandRecordState.CREATED, CommandRecordState.FAILED}
    if has_left:
        await broker.cancel(tenant, record, now_ms=now_ms)
    log.info(
        "command.canceled", thing=record.thing, command_id=record.command_id, has_left=has_left
    )
    return record
