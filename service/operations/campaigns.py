"""Send a command to many devices as a campaign; read how far each came; take it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from cedarfleet_device import wire

from service.at_once import each
from service.cedar.decision import Allowed
from service.cedar.entities import ROOT_GROUP
from service.domain.built_in_commands import action_of
from service.domain.campaigns import (
    MAX_DEVICES,
    BatchDevice,
    CampaignClosing,
    CampaignRecord,
    CampaignState,
    CampaignView,
    batches_of,
    state_of,
)
from service.domain.commands import IfOffline
from service.domain.groups import DeviceGroup
from service.domain.identities import TokenUse
from service.domain.instants import milliseconds, new_ulid
from service.domain.rollouts import Reach
from service.domain.work import Work, WorkKind
from service.errors import ConflictError, InvalidRequestError
from service.operations.commands import type_of
from service.operations.devices import find_device_or_none
from service.operations.known_commands import knowing_commands
from service.operations.member_decisions import each_allowed
from service.operations.once import Once
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.instants import Clock
    from service.domain.permissions import Permission
    from service.domain.selections import Selection
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.campaign_lists import CampaignLists
    from service.operations.selections import Selections
    from service.ports.campaigns import CampaignBatches, CampaignRecords
    from service.ports.command_types import CommandTypeRecords
    from service.ports.devices import DeviceFacts
    from service.ports.machines import MachineRecords
    from service.ports.work import WorkQueue

_ASKED_AT_ONCE: Final = 300  # devices whose facts or decisions are looked at together
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CampaignRequest:
    """What the caller wants of which devices.

    Attributes:
        timeout_seconds: for which each device may start it, from its being sent; ``None``: as long
            as the command's type says.
        window_seconds: after which nothing more of it is sent.
        reason: why, where its type needs one or the caller gives one.
    """

    target: Selection
    name: str
    arguments: Mapping[str, Any]
    window_seconds: int
    timeout_seconds: int | None = None
    if_offline: IfOffline = IfOffline.QUEUE
    emergency_reason: str | None = None
    reason: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Campaigns:
    """The campaigns of the caller's tenant."""

    devices: DeviceFacts
    selections: Selections
    types: CommandTypeRecords
    lists: CampaignLists
    records: CampaignRecords
    batches: CampaignBatches
    machines: MachineRecords
    queue: WorkQueue
    clock: Clock

    async def start(self, access: Access, request: CampaignRequest) -> CampaignView:
        """Record the campaign for its devices of this moment, and hand it to the worker.

        The store is asked here for one device that the caller may do this to; each device is asked
        for again, for the caller as the user pool or the machine's row shows them then, when its
        turn comes.

        Raises:
            NotFoundError: the tenant has no such group, or no such device.
            InvalidRequestError: no device can fit the filter; the tenant has no such command, or it
                is not of its type's form.
            PermissionDeniedError: the caller may not do it to any of them.
            ConflictError: the caller is a machine of the tenant's file; there is no device, there
                are too many, or a named one was retired.
            IdempotencyMismatchError: the idempotency key stands for another request.
            UpstreamError: it may be recorded, and the worker not told: ask again.
        """
        machine, scopes = await self._machine(access.principal)
        tenant = await knowing_commands(self.types, access.principal.tenant, [request.name])
        action, rules, seconds = type_of(
            tenant, request.name, request.arguments, request.timeout_seconds
        )
        devices = await self.selections.find(access, tenant, request.target, most=MAX_DEVICES)
        if not devices:
            raise ConflictError("it is for no device: a group is empty, or nothing fits the filter")
        if len(devices) > MAX_DEVICES:
            raise ConflictError(
                f"it is for more than {MAX_DEVICES} devices, as many as one campaign takes: make"
                " several of it"
            )
        record = replace(
            self._record(access, request, seconds=seconds, devices=len(devices)),
            machine=machine,
            scopes=scopes,
        )
        _check_message(record, devices)
        rules.check_sent(request.arguments, request.reason or request.emergency_reason)
        await self._require(access, action, devices, _purpose(record))
        # Before the record, which says that they are all there.
        await self.batches.plan(tenant, record, batches_of([one.id for one in devices]))
        once: Once[CampaignRecord] = Once(
            noun="campaign",
            unsettled="campaign.settle_failed",
            records=self.records,
            clock=self.clock,
        )
        stored = await once.create(
            access.principal,
            record,
            key=request.idempotency_key,
            request=(
                request.target.document(),
                request.target.devices,
                request.name,
                request.arguments,
                request.timeout_seconds,
                request.window_seconds,
                request.if_offline,
                request.emergency_reason,
                request.reason,
            ),
        )
        await self.queue.send([advance_campaign(tenant, stored)])
        log.info("campaign.recorded", campaign=stored.campaign_id, devices=stored.devices)
        state, why = state_of(stored, now_ms=milliseconds(self.clock()))
        return CampaignView(record=stored, state=state, why=why)

    async def cancel(
        self, access: Access, campaign_id: str, *, emergency_reason: str | None = None
    ) -> CampaignView:
        """Have nothing more of it sent, and what has not begun on its device taken back.

        Who began it may, as long as they may send its command to a device of it; anybody else who
        may send it to each of its devices. Asked again it is the same.

        Raises:
            NotFoundError: as ``read``.
            PermissionDeniedError: not allowed.
            ConflictError: it is over, or no device or command of it is there any more.
            UpstreamError: it may be closed, and the worker not told: ask again.
        """
        record = await self.lists.seen(access, campaign_id)
        tenant = await knowing_commands(self.types, access.principal.tenant, [record.name])
        action = action_of(tenant, record.name)
        # Fail closed: without its action nobody knows who may send it.
        if action is None:
            raise ConflictError(f"the tenant has no command `{record.name}` any more")
        devices = await self._decidable(tenant, record)
        purpose = replace(
            _purpose(record),
            subject=f"cancel of {record.name}",
            emergency_reason=emergency_reason,
            reason=None,
        )
        if record.created_by != access.principal.entity_id:
            members = [one for one in devices if one.problem is None]
            if not await each_allowed(access, members, action, purpose):
                await self._refuse(access, action, members, purpose)
        await self._require(access, action, devices, purpose)
        state, _ = state_of(record, now_ms=milliseconds(self.clock()))
        if record.closing is None and state in {
            CampaignState.CREATED,
            CampaignState.SENDING,
            CampaignState.SENT,
        }:
            by = access.principal.entity_id
            canceled = CampaignClosing.CANCELED
            if await self.records.close(tenant, record, canceled, by=by):
                record = replace(record, closing=canceled, canceled_by=by)
            else:
                record = await self.lists.find(tenant, campaign_id)
        if record.closing is not CampaignClosing.CANCELED:
            raise ConflictError(f"campaign `{campaign_id}` is over: it is `{state}`")
        await self.queue.send([advance_campaign(tenant, record)])
        log.info("campaign.canceled", campaign=campaign_id)
        return await self.lists.view(tenant, record)

    async def _machine(self, principal: Principal) -> tuple[str | None, tuple[str, ...]]:
        """Which machine begins it, by the tenant's name of it, and its token's scopes.

        Returns:
            ``None`` and no scope: a person does.

        Raises:
            ConflictError: nobody could say at its batches whether the machine still may.
        """
        if principal.token_use is TokenUse.ID:
            return None, ()
        tenant = principal.tenant
        machine = None
        if principal.client_id not in tenant.client_ids:
            machine = await self.machines.admitted(tenant, principal.client_id)
        # Fail closed: a machine of the tenant's file has no row that says whether it is there.
        if machine is None:
            raise ConflictError(
                "a campaign is started by a person or by a machine of `POST /v1/machines`, who are"
                " asked for at each batch of it: a machine of the tenant's file cannot be"
            )
        try:
            scopes = principal.bearer(frozenset()).scopes
        except ValueError as error:
            raise ConflictError(
                f"a campaign is started with a token that says who: {error}"
            ) from error
        return machine, scopes or ()

    async def _require(
        self, access: Access, action: Permission, devices: Sequence[Device], purpose: Purpose
    ) -> None:
        """Have the store allow the action on one device; a copy advises on which.

        Raises:
            PermissionDeniedError: it is allowed on none, as far as anybody knows.
            ConflictError: on none of them a policy can decide.
        """
        candidates = [one for one in devices if one.problem is None]
        if not candidates:
            raise ConflictError("no policy can decide on any of its devices")
        chosen = candidates[0]
        for start in range(0, len(candidates), _ASKED_AT_ONCE):
            some = candidates[start : start + _ASKED_AT_ONCE]
            decisions = await access.advise_on_devices(action, some, purpose)
            asked = zip(some, decisions, strict=True)
            allowed = next((one for one, said in asked if isinstance(said, Allowed)), None)
            if allowed is not None:
                chosen = allowed
                break
        await access.require(action, chosen.entities(access.principal.tenant.groups), purpose)

    async def _refuse(
        self, access: Access, action: Permission, members: Sequence[Device], purpose: Purpose
    ) -> None:
        """Refuse what is not allowed on each, by the first on which it is not, if that is known.

        Raises:
            PermissionDeniedError: by that device.
            ConflictError: the copy knows of none, so that nobody can say why.
        """
        decisions = await access.advise_on_devices(action, members, purpose)
        asked = zip(members, decisions, strict=True)
        denied = next((one for one, said in asked if not isinstance(said, Allowed)), None)
        if denied is not None:
            await access.require(action, denied.entities(access.principal.tenant.groups), purpose)
        # Fail closed: the store said no to one of them a moment ago.
        raise ConflictError("the policies changed while they were asked: ask again")

    async def _decidable(self, tenant: Tenant, record: CampaignRecord) -> Sequence[Device]:
        """Those of its devices that there are still."""
        ids: set[str] = set()
        cursor = None
        while True:
            page = await self.batches.page(tenant, record, limit=_ASKED_AT_ONCE, cursor=cursor)
            ids.update(one.id for one in page.devices)
            cursor = page.cursor
            if cursor is None:
                break
        if len(ids) <= _ASKED_AT_ONCE:
            found = await each(partial(find_device_or_none, self.devices, tenant), sorted(ids))
            return [one for one in found if one is not None and one.retired_at is None]
        everything = DeviceGroup(tenant=tenant.id, id=ROOT_GROUP)
        fleet = await self.devices.members(tenant, everything, limit=10 * MAX_DEVICES)
        return [one for one in fleet if one.id in ids]

    def _record(
        self, access: Access, request: CampaignRequest, *, seconds: int, devices: int
    ) -> CampaignRecord:
        principal, now = access.principal, milliseconds(self.clock())
        name = principal.claims.get("cognito:username")
        return CampaignRecord(
            campaign_id=new_ulid(now),
            tenant=principal.tenant.id,
            name=request.name,
            arguments=request.arguments,
            target=request.target,
            seconds=seconds,
            send_before=now + request.window_seconds * 1000,
            created_by=principal.entity_id,
            requester=name if isinstance(name, str) else principal.subject,
            created_at=now,
            devices=devices,
            source_ip=access.facts.source_ip,
            via=access.principal.via,
            if_offline=request.if_offline,
            reason=request.reason,
            emergency_reason=request.emergency_reason,
        )


def advance_campaign(tenant: Tenant, record: CampaignRecord, *, step: int | None = None) -> Work:
    """What has the worker go on with a campaign.

    Args:
        tenant: whose it is.
        record: as it is now.
        step: of which message; ``None``: of the one that is awaited.
    """
    return Work(
        kind=WorkKind.ADVANCE_CAMPAIGN,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={
            "campaign": record.campaign_id,
            "step": str(record.step if step is None else step),
        },
    )


def _purpose(record: CampaignRecord) -> Purpose:
    return Purpose(
        command=record.name,
        emergency_reason=record.emergency_reason,
        reason=record.reason,
        reach=Reach(targets=record.devices),
        about={"campaign": record.campaign_id},
    )


def _check_message(record: CampaignRecord, devices: Sequence[Device]) -> None:
    """Refuse what would be too large for the device of the longest name.

    Raises:
        InvalidRequestError: the arguments are too large.
    """
    longest = BatchDevice(
        id=max((one.id for one in devices), key=len), command_id=record.campaign_id
    )
    try:
        record.command(longest, now_ms=record.created_at).message().encode()
    except wire.WireError as error:
        raise InvalidRequestError("arguments", str(error)) from error
