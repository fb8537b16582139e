"""Ask the store for each device of one batch of a campaign, for who began it, as of now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.at_once import each
from service.cedar.decision import Allowed, Denied
from service.cedar.request import AuthorizationRequest
from service.domain.audit import AuditRecord, Question
from service.domain.built_in_commands import action_of
from service.domain.campaigns import Part
from service.domain.command_rules import NO_RULES
from service.domain.instants import milliseconds, new_ulid
from service.domain.rollouts import Reach
from service.errors import InvalidRequestError, UnavailableError
from service.operations.known_commands import knowing_commands
from service.operations.purpose import Purpose
from service.operations.requesters import RequesterGoneError, machine_now, requester_now
from service.operations.who_may import bearer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.decision import Decision
    from service.cedar.request import TokenBearer
    from service.domain.campaigns import BatchDevice, CampaignRecord
    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.ports.audit import AuditLog
    from service.ports.authorizer import Authorizer
    from service.ports.command_types import CommandTypeRecords
    from service.ports.devices import DeviceFacts
    from service.ports.machines import MachineRecords
    from service.ports.people import People

_GONE: Final = "the device is no more"
_RETIRED: Final = "it was retired"
_NOT_ENROLLED: Final = "it has not come in yet"
_UNREADABLE: Final = "its facts cannot be read"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class CampaignStoppedError(Exception):
    """Nothing more of the campaign may be sent; the words say why."""


@dataclass(frozen=True, kw_only=True)
class CampaignDecisions:
    """Decides which devices of a batch are sent to."""

    devices: DeviceFacts
    types: CommandTypeRecords
    people: People
    machines: MachineRecords
    authorizer: Authorizer
    audit: AuditLog
    pace: Pace
    clock: Clock

    async def decided(
        self, tenant: Tenant, record: CampaignRecord, devices: Sequence[BatchDevice]
    ) -> Sequence[BatchDevice]:
        """The devices with what the policies say of each now; each decision is audited.

        Raises:
            CampaignStoppedError: who asked for it may not sign in any more, or the command is none
                of the tenant's any more, or takes other arguments.
            UpstreamError: pool, machines, store or trail do not answer: then nothing is sent (fail
                closed).
        """
        try:
            bearer = await self._requester(tenant, record)
        except RequesterGoneError as error:
            raise CampaignStoppedError(str(error)) from error
        tenant = await knowing_commands(self.types, tenant, [record.name])
        action = _action(tenant, record)
        found = await each(partial(self.devices.find, tenant), [one.id for one in devices])
        parts = {
            one.id: replace(one, part=Part.SKIPPED, policies=(), reason=reason)
            for one, device in zip(devices, found, strict=True)
            if (reason := _left_out_for(device)) is not None
        }
        asked = [one for one in found if one is not None and one.id not in parts]
        by_id = {one.id: one for one in devices}
        decisions = await self._asked(tenant, record, bearer, action, asked)
        for device, (request, decision) in zip(asked, decisions, strict=True):
            one = by_id[device.id]
            await self._audit(tenant, record, one, (request, decision), bearer)
            parts[device.id] = replace(
                one,
                part=Part.ALLOWED if isinstance(decision, Allowed) else Part.DENIED,
                policies=decision.policies,
                reason=decision.explanation if isinstance(decision, Denied) else None,
            )
        return [parts[one.id] for one in devices]

    async def _requester(self, tenant: Tenant, record: CampaignRecord) -> TokenBearer:
        """Who asked for it, as the store knows them now.

        Raises:
            RequesterGoneError: they may do nothing any more.
            UpstreamError: nobody says who they are.
        """
        if record.machine is not None:
            return await machine_now(
                self.machines,
                tenant,
                machine_id=record.machine,
                entity_id=record.created_by,
                scopes=record.scopes,
            )
        return bearer_of(
            await requester_now(
                self.people,
                self.pace,
                tenant,
                name=record.requester,
                entity_id=record.created_by,
            )
        )

    async def _asked(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        bearer: TokenBearer,
        action: Permission,
        devices: Sequence[Device],
    ) -> Sequence[tuple[AuthorizationRequest, Decision]]:
        """Each question with what the store says to it; none is asked if there is no device."""
        purpose = Purpose(
            command=record.name,
            emergency_reason=record.emergency_reason,
            reason=record.reason,
            reach=Reach(targets=record.devices),
        )
        now = self.clock()
        requests = [
            AuthorizationRequest.of(
                principal=bearer.uid(tenant.pool_id),
                action=action,
                entities=device.entities(tenant.groups),
                context=purpose.context(now, record.source_ip, via=record.via),
            )
            for device in devices
        ]
        decisions = (
            await self.authorizer.decide_all_for(tenant, bearer, requests) if requests else ()
        )
        # Fail closed: each needs an answer of its own.
        if len(decisions) != len(requests):
            raise UnavailableError("the policy store")
        return list(zip(requests, decisions, strict=True))

    async def _audit(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        device: BatchDevice,
        decided: tuple[AuthorizationRequest, Decision],
        bearer: TokenBearer,
    ) -> None:
        """Write it down before anything is sent, so that nothing is without a trace."""
        request, decision = decided
        at = milliseconds(self.clock())
        allowed = isinstance(decision, Allowed)
        await self.audit.write(
            tenant,
            AuditRecord(
                audit_id=new_ulid(at),
                at=at,
                tenant=tenant.id,
                principal=record.created_by,
                action=request.action,
                resource=str(request.resource),
                decision=decision,
                request_id=f"campaign {record.campaign_id}",
                source_ip=record.source_ip,
                emergency_reason=record.emergency_reason,
                subject=record.name,
                person=record.created_by.rpartition("|")[2],
                about={
                    "campaign": record.campaign_id,
                    **({"command": device.command_id} if allowed else {}),
                },
                question=Question(
                    claims=_claims(bearer),
                    context=request.json()["context"],
                    entities=[entity.json() for entity in request.entities],
                ),
            ),
        )
        log.info(
            "campaign.decided",
            campaign=record.campaign_id,
            resource=str(request.resource),
            allowed=allowed,
            policies=decision.policies,
        )


def _claims(bearer: TokenBearer) -> dict[str, Any]:
    """What a token of theirs would say, as an entry of their own request has it."""
    if bearer.scopes is None:
        return {"sub": bearer.subject, **bearer.claims, "cognito:groups": list(bearer.groups)}
    return {
        "sub": bearer.subject,
        "client_id": bearer.client_id or bearer.subject,
        "scope": " ".join(bearer.scopes),
        "token_use": "access",
    }


def _action(tenant: Tenant, record: CampaignRecord) -> Permission:
    """What sending its command asks for now.

    Raises:
        CampaignStoppedError: the tenant has no such command any more, or it takes other arguments.
    """
    action = action_of(tenant, record.name)
    if action is None:
        raise CampaignStoppedError(f"the tenant has no command `{record.name}` any more")
    rules = tenant.command_rules.get(record.name, NO_RULES)
    try:
        rules.timeout(record.seconds)
        rules.check_sent(record.arguments, record.reason or record.emergency_reason)
    except InvalidRequestError as error:
        raise CampaignStoppedError(f"command `{record.name}` was changed: {error}") from error
    return action


def _left_out_for(device: Device | None) -> str | None:
    if device is None:
        return _GONE
    if device.retired_at is not None:
        return _RETIRED
    # Fail closed: of what cannot be read nobody knows whether it is allowed.
    if device.problem is not None:
        return _UNREADABLE
    return None if device.enrolled else _NOT_ENROLLED
