"""Send a command to a device now, and read where it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
from cedarfleet_device import wire

from service.domain.commands import CommandRecord, CommandRecordState, status_of
from service.domain.instants import new_ulid
from service.domain.json_limits import problem_of
from service.domain.permissions import Permission
from service.errors import (
    CommandNotPublishedError,
    InvalidRequestError,
    NotFoundError,
    UpstreamError,
)
from service.operations.authorization import Purpose
from service.operations.devices import find_device
from service.operations.once import Once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.commands import CommandStatus, RecordedCommand
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.commands import CommandBroker, CommandRecords
    from service.ports.devices import DeviceFacts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CommandRequest:
    """What the caller wants the device to do, and for how long the device may start it."""

    device: str
    name: str
    arguments: Mapping[str, Any]
    timeout_seconds: int
    emergency_reason: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class CommandView:
    """A command as recorded, and where it stands."""

    recorded: RecordedCommand
    status: CommandStatus


class Commands:
    """The commands of the caller's tenant."""

    def __init__(
        self,
        *,
        devices: DeviceFacts,
        records: CommandRecords,
        broker: CommandBroker,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._records = records
        self._broker = broker
        self._once: Once[CommandRecord] = Once(
            noun="command", unsettled="command.settle_failed", records=records, clock=clock
        )

    async def send(self, access: Access, request: CommandRequest) -> CommandRecord:
        """Record the command, then publish it.

        Raises:
            NotFoundError: the tenant has no such device.
            InvalidRequestError: the tenant has no such command, or its arguments are too large, too
                deep or no JSON.
            PermissionDeniedError: not allowed.
            IdempotencyMismatchError: the idempotency key stands for another request.
            CommandNotPublishedError: recorded as failed; if even that could not be stored, the
                record stays ``created``, and past its expiry says that nothing was confirmed.
        """
        tenant = access.principal.tenant
        action = tenant.commands.get(request.name)
        if action is None:
            names = ", ".join(sorted(tenant.commands)) or "none"
            raise InvalidRequestError(
                "name", f"the tenant has no command `{request.name}`; it has: {names}"
            )
        if problem := problem_of(request.arguments):
            raise InvalidRequestError("arguments", problem)
        device = await find_device(self._devices, tenant, request.device)
        record = self._record(access, request)
        try:
            record.message().encode()
        except wire.WireError as error:
            raise InvalidRequestError("arguments", str(error)) from error
        purpose = Purpose(command=request.name, emergency_reason=request.emergency_reason)
        await access.require(action, device.entities(tenant.groups), purpose)
        stored = await self._once.create(
            access.principal,
            record,
            key=request.idempotency_key,
            request=(
                request.device,
                request.name,
                request.arguments,
                request.timeout_seconds,
                request.emergency_reason,
            ),
        )
        if stored.state is CommandRecordState.PUBLISHED or self._once.now_ms() >= stored.expires_at:
            return stored
        return await self._publish(access, stored)

    async def read(self, access: Access, command_id: str) -> CommandView:
        """Where a command stands.

        Raises:
            NotFoundError: the tenant has no such command, or its device is gone.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        found = (
            await self._records.read(tenant, command_id) if wire.is_command_id(command_id) else None
        )
        if found is None:
            raise NotFoundError("command", command_id)
        device = await find_device(self._devices, tenant, found.record.device)
        await access.require(Permission.VIEW_COMMAND, device.entities(tenant.groups))
        status = status_of(found.record, found.states, now_ms=self._once.now_ms())
        return CommandView(recorded=found, status=status)

    def _record(self, access: Access, request: CommandRequest) -> CommandRecord:
        now = self._once.now_ms()
        return CommandRecord(
            command_id=new_ulid(now),
            tenant=access.principal.tenant.id,
            device=request.device,
            name=request.name,
            arguments=request.arguments,
            created_by=access.principal.entity_id,
            created_at=now,
            expires_at=now + request.timeout_seconds * 1000,
            emergency_reason=request.emergency_reason,
        )

    async def _publish(self, access: Access, record: CommandRecord) -> CommandRecord:
        """Publish a recorded command; again is safe, since the device runs a command id once."""
        tenant = access.principal.tenant
        try:
            await self._broker.publish(tenant, record, now_ms=self._once.now_ms())
        except UpstreamError as error:
            failed = replace(
                record,
                state=CommandRecordState.FAILED,
                failure="handing it to the device's broker failed",
            )
            await self._settle(tenant, failed)
            raise CommandNotPublishedError(record.command_id) from error
        log.info(
            "command.published", thing=record.thing, command_id=record.command_id, name=record.name
        )
        published = replace(record, state=CommandRecordState.PUBLISHED, failure=None)
        await self._settle(tenant, published)
        return published

    async def _settle(self, tenant: Tenant, record: CommandRecord) -> None:
        await self._once.settle(tenant, record, command_id=record.command_id, state=record.state)
