"""Send a command to a device now, and read where it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from cedarfleet_device import wire

from service.domain.budgets import Bucket
from service.domain.built_in_commands import action_of, check_built_in, command_names
from service.domain.command_rules import NO_RULES, USUAL_TIMEOUT_SECONDS
from service.domain.commands import (
    CommandRecord,
    CommandRecordState,
    DirectAnswer,
    IfOffline,
    status_of,
)
from service.domain.instants import new_ulid
from service.domain.json_limits import problem_of
from service.domain.permissions import Permission
from service.domain.rates import Rate
from service.errors import (
    CommandNotPublishedError,
    CommandUnconfirmedError,
    DeviceNotConnectedError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    UpstreamError,
)
from service.operations.devices import find_device, find_served, readable, require_view
from service.operations.known_commands import knowing_commands
from service.operations.once import Once
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.command_rules import CommandRules
    from service.domain.commands import CommandStatus, RecordedCommand
    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.budgets import Budgets
    from service.ports.command_types import CommandTypeRecords
    from service.ports.commands import CommandBroker, CommandRecords
    from service.ports.devices import DeviceFacts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


# AWS has a rate of direct messages for the whole account and does not say which; the laptop holds
# 100 a second (infra/local/cloud/limits/table.py), of which these stay within at every second.
DIRECT_MESSAGES: Final = Bucket(name="direct-messages", rate=Rate(per_second=50, burst=25))
_AWAY: Final = "the device is not connected; nothing was sent"


@dataclass(frozen=True, kw_only=True)
class CommandRequest:
    """What the caller wants the device to do, and for how long the device may start it.

    Attributes:
        timeout_seconds: ``None``: as long as the command's type says.
        reason: why, where its type needs one or the caller gives one.
    """

    device: str
    name: str
    arguments: Mapping[str, Any]
    timeout_seconds: int | None = None
    if_offline: IfOffline = IfOffline.QUEUE
    emergency_reason: str | None = None
    reason: str | None = None
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
        types: CommandTypeRecords,
        records: CommandRecords,
        broker: CommandBroker,
        budgets: Budgets,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._types = types
        self._records = records
        self._broker = broker
        self._budgets = budgets
        self._once: Once[CommandRecord] = Once(
            noun="command", unsettled="command.settle_failed", records=records, clock=clock
        )

    async def send(self, access: Access, request: CommandRequest) -> CommandRecord:
        """Record the command, then hand it to the connected device, or else publish it.

        Raises:
            NotFoundError: the tenant has no such device.
            InvalidRequestError: the tenant has no such command, or it is not of its type's form:
                arguments, time or reason.
            PermissionDeniedError: not allowed.
            IdempotencyMismatchError: the idempotency key stands for another request.
            DeviceNotConnectedError: recorded as failed, since the caller wants no waiting.
            CommandNotPublishedError: certainly nothing left: recorded as failed if AWS refused it,
                and else as created, to be sent once its caller repeats the request.
            CommandUnconfirmedError: an answer was lost, of the record or of handing it over.
        """
        tenant = await knowing_commands(self._types, access.principal.tenant, [request.name])
        action, rules, seconds = type_of(
            tenant, request.name, request.arguments, request.timeout_seconds
        )
        device = await find_served(self._devices, tenant, request.device)
        record = self._record(access, request, seconds=seconds)
        try:
            record.message().encode()
        except wire.WireError as error:
            raise InvalidRequestError("arguments", str(error)) from error
        rules.check_sent(request.arguments, request.reason or request.emergency_reason)
        purpose = Purpose(
            command=request.name,
            emergency_reason=request.emergency_reason,
            reason=request.reason,
            about={"command": record.command_id},
        )
        await self._allowed(access, action, device, purpose)
        try:
            stored = await self._once.create(
                access.principal,
                record,
                key=request.idempotency_key,
                request=(
                    request.device,
                    request.name,
                    request.arguments,
                    # Where nobody says a time, a key of the release before stands for its usual.
                    request.timeout_seconds or USUAL_TIMEOUT_SECONDS,
                    request.emergency_reason,
                    # Left out where nobody asks: a key of the release before stands for the same.
                    *([request.if_offline] if request.if_offline is not IfOffline.QUEUE else ()),
                    *([] if request.reason is None else [{"reason": request.reason}]),
                ),
            )
        except UpstreamError as error:
            if not error.is_lost:
                raise
            raise CommandUnconfirmedError(record.command_id) from error
        if stored.command_id == record.command_id:  # made, and claimed, by this request
            return await self._hand_over(tenant, stored)
        return await self._again(tenant, stored)

    async def send_decided(
        self, tenant: Tenant, record: CommandRecord, known: CommandRecord | None
    ) -> CommandRecord:
        """Send a command that was decided on and audited elsewhere, as one of a campaign is.

        Args:
            tenant: whose it is.
            record: claimed; recorded first if nothing is known of it.
            known: the record of an earlier attempt, under the same id.

        Raises:
            DeviceNotConnectedError: as ``send``; so are the next two.
            CommandNotPublishedError: certainly nothing left.
            CommandUnconfirmedError: an answer was lost.
            UpstreamError: it could not be recorded.
        """
        if known is not None:
            return await self._again(tenant, known)
        return await self._hand_over(tenant, await self._records.create(tenant, record, None))

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
        await require_view(access, Permission.VIEW_COMMAND, device)
        status = status_of(
            found.record,
            found.states,
            now_ms=self._once.now_ms(),
            retired_at=device.retired_at,
        )
        return CommandView(recorded=found, status=status)

    async def _allowed(
        self, access: Access, action: Permission, device: Device, purpose: Purpose
    ) -> None:
        """Go on only if the caller may have the device do this.

        A device on which no policy can decide, since not all of its facts can be read, is stopped
        by who may stop every device that it may be.

        Raises:
            ConflictError: no policy can decide, and the caller may not stop every such device.
        """
        if action is Permission.STOP_DEVICE and device.problem is not None:
            device = await readable(access, action, device, purpose)
        await access.require(action, device.entities(access.principal.tenant.groups), purpose)

    def _record(self, access: Access, request: CommandRequest, *, seconds: int) -> CommandRecord:
        now = self._once.now_ms()
        return CommandRecord(
            command_id=new_ulid(now),
            tenant=access.principal.tenant.id,
            device=request.device,
            name=request.name,
            arguments=request.arguments,
            created_by=access.principal.entity_id,
            created_at=now,
            expires_at=now + seconds * 1000,
            emergency_reason=request.emergency_reason,
            reason=request.reason,
            if_offline=request.if_offline,
            state=CommandRecordState.PUBLISHING,
            claimed_at=now,
        )

    async def _again(self, tenant: Tenant, stored: CommandRecord) -> CommandRecord:
        """What comes of a request whose key made a command before.

        One that failed stays so: its caller may have sent another. One that nobody hands over, and
        that may be sent, is sent by this request alone, however many come at once.
        """
        if stored.state is CommandRecordState.FAILED:
            if stored.failure == _AWAY:
                raise DeviceNotConnectedError(stored.device, stored.command_id)
            raise CommandNotPublishedError(stored.command_id)
        now = self._once.now_ms()
        if now >= stored.expires_at or not stored.may_be_claimed(now):
            return stored
        if not await self._records.claim(tenant, stored, now_ms=now):
            return replace(stored, state=CommandRecordState.PUBLISHING)
        claimed = replace(stored, state=CommandRecordState.PUBLISHING, claimed_at=now, failure=None)
        may_have_left = stored.state is not CommandRecordState.CREATED
        return await self._hand_over(tenant, claimed, may_have_left=may_have_left)

    async def _hand_over(
        self, tenant: Tenant, record: CommandRecord, *, may_have_left: bool = False
    ) -> CommandRecord:
        """Send a claimed command; again is safe, since the device runs a command id once.

        Whatever is not surely received is published too, under the same id: only then does it wait
        for a device that is away, that was too slow to say so, or that was not asked. Not where
        the caller wants no waiting.

        Args:
            tenant: whose it is.
            record: claimed by this request.
            may_have_left: nobody knows what became of an earlier attempt.
        """
        waits = record.if_offline is IfOffline.QUEUE
        failure, refusal = "too many commands at once; nothing was sent", None
        if (await self._budgets.spend(DIRECT_MESSAGES)).granted:
            try:
                answer = await self._broker.send_direct(tenant, record, now_ms=self._once.now_ms())
            except UpstreamError as error:
                failure, refusal = "handing it to the device failed", error
                may_have_left = may_have_left or error.is_lost
            else:
                _sent("command.sent", record, answer=answer)
                if answer is DirectAnswer.RECEIVED:
                    return await self._settled(tenant, record, CommandRecordState.RECEIVED)
                if answer is DirectAnswer.NOT_CONFIRMED and not waits:
                    # It has left: the device's own word decides.
                    return await self._settled(tenant, record, CommandRecordState.PUBLISHED)
                may_have_left = may_have_left or answer is DirectAnswer.NOT_CONFIRMED
                failure = _AWAY
        else:
            log.warning("command.not_direct", thing=record.thing, command_id=record.command_id)
        if waits:
            try:
                await self._broker.publish(tenant, record, now_ms=self._once.now_ms())
            except UpstreamError as error:
                failure, refusal = "handing it to the device's broker failed", error
                may_have_left = may_have_left or error.is_lost
            else:
                _sent("command.published", record)
                return await self._settled(tenant, record, CommandRecordState.PUBLISHED)
        raise await self._not_sent(
            tenant, record, failure, refusal=refusal, may_have_left=may_have_left
        ) from refusal

    async def _not_sent(
        self,
        tenant: Tenant,
        record: CommandRecord,
        failure: str,
        *,
        refusal: UpstreamError | None,
        may_have_left: bool,
    ) -> Exception:
        """Record what is known of a command that was not confirmed; the error that tells it."""
        if may_have_left:
            await self._settled(tenant, record, CommandRecordState.UNCONFIRMED)
            return CommandUnconfirmedError(record.command_id)
        if isinstance(refusal, UnavailableError):
            await self._settled(tenant, record, CommandRecordState.CREATED)
            return CommandNotPublishedError(record.command_id)
        await self._settle(
            tenant, replace(record, state=CommandRecordState.FAILED, failure=failure)
        )
        if failure == _AWAY:
            return DeviceNotConnectedError(record.device, record.command_id)
        return CommandNotPublishedError(record.command_id)

    async def _settled(
        self, tenant: Tenant, record: CommandRecord, state: CommandRecordState
    ) -> CommandRecord:
        settled = replace(record, state=state, failure=None)
        await self._settle(tenant, settled)
        return settled

    async def _settle(self, tenant: Tenant, record: CommandRecord) -> None:
        await self._once.settle(tenant, record, command_id=record.command_id, state=record.state)


def type_of(
    tenant: Tenant, name: str, arguments: Mapping[str, Any], timeout_seconds: int | None
) -> tuple[Permission, CommandRules, int]:
    """What sending a command asks for, its rules, and for how long a device may start it.

    Its arguments are of a form that any device takes; what its rules ask of them is not checked.

    Args:
        tenant: with the command, if it was made at run time.
        name: of the command.
        arguments: as they shall be sent.
        timeout_seconds: as the caller says; ``None``: as its type does.

    Raises:
        InvalidRequestError: the tenant has no such command, or it is not of its form.
    """
    action = action_of(tenant, name)
    if action is None:
        names = command_names(tenant)
        raise InvalidRequestError("name", f"the tenant has no command `{name}`; it has: {names}")
    rules = tenant.command_rules.get(name, NO_RULES)
    seconds = rules.timeout(timeout_seconds)
    check_built_in(name, arguments, seconds)
    if problem := problem_of(arguments):
        raise InvalidRequestError("arguments", problem)
    return action, rules, seconds


def _sent(event: str, record: CommandRecord, **more: object) -> None:
    log.info(event, thing=record.thing, command_id=record.command_id, name=record.name, **more)
