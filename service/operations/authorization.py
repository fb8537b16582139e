"""Asks the tenant's policies for each action, audits, and lets the action through or refuses it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NoReturn

from service import request_line
from service.cedar.decision import Allowed, Refusal
from service.cedar.entities import ARTIFACT, DEVICE, USER
from service.cedar.request import AuthorizationRequest
from service.cedar.values import EntityUid
from service.domain.audit import AuditRecord, Question
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.errors import ConfigurationError, PermissionDeniedError, UnavailableError
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from service.cedar.decision import Decision, Denied
    from service.cedar.entities import Entity
    from service.cedar.explanation import Explained
    from service.cedar.request import TokenBearer
    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.instants import Clock
    from service.ports.audit import AuditLog
    from service.ports.authorizer import About, Adviser, Authorizer, Considered, Proposed

_OF_THE_TOKEN: Final = frozenset(
    {"at_hash", "auth_time", "event_id", "exp", "iat", "jti", "nonce", "origin_jti"}
)
"""Claims that tell of the token itself, which no policy sees (source: Verified Permissions user
guide, "Mapping Amazon Cognito tokens to schema"): the audit does without them."""


@dataclass(frozen=True, kw_only=True)
class RequestFacts:
    """What the server knows of a request by itself; ``source_ip`` is an address, or ``None``."""

    request_id: str
    source_ip: str | None


@dataclass(kw_only=True)
class Access:
    """What one request may do.

    Attributes:
        declared: the actions that the route states; no other can be asked for.
        granted: the actions that were allowed so far.
    """

    principal: Principal
    facts: RequestFacts
    declared: frozenset[Permission]
    authorizer: Authorizer = field(repr=False)
    adviser: Adviser = field(repr=False)
    audit: AuditLog = field(repr=False)
    clock: Clock = field(repr=False)
    granted: set[Permission] = field(default_factory=set["Permission"])

    async def require(
        self, action: Permission, entities: tuple[Entity, ...], purpose: Purpose | None = None
    ) -> str | None:
        """Go on only if the policies allow ``action`` on the first of ``entities``.

        A change is audited before it is made, so that nothing changes without a trace.

        Returns:
            The decision's id in the trail; ``None``: a read, which is not in it.

        Raises:
            PermissionDeniedError: the policies deny it; audited.
            ConfigurationError: the route does not state this action.
            UnavailableError: the policy store or the audit trail does not answer.
        """
        purpose = purpose or Purpose()
        request, decision = await self._decide(action, entities, purpose)
        if not isinstance(decision, Allowed):
            await self._refuse(request, decision, action, purpose)
        decision_id: str | None = None
        if action.changes_something:
            decision_id = await self._write(action, request, decision, purpose)
        self.granted.add(action)
        return decision_id

    async def permitted(self, action: Permission, entities: tuple[Entity, ...]) -> bool:
        """Whether the policies allow a reading ``action``; ``False``: none permits it.

        For what somebody may see in part who may not see it all.

        Raises:
            PermissionDeniedError: a policy forbids it, or cannot be evaluated; audited.
            ConfigurationError: the route does not state this action, or it changes something.
            UnavailableError: the policy store or the audit trail does not answer.
        """
        # Fail closed: a change is allowed as a whole or refused.
        if action.changes_something:
            raise ConfigurationError(f"`{action}` is allowed or refused, not in part")
        request, decision = await self._decide(action, entities, Purpose())
        if isinstance(decision, Allowed):
            self.granted.add(action)
            return True
        if decision.reason is not Refusal.NOT_PERMITTED:
            await self._refuse(request, decision, action, Purpose())
        return False

    async def seen(self, action: Permission, devices: Sequence[Device]) -> list[Device]:
        """Those of ``devices`` of which the policies allow a reading ``action``, in their order.

        The others are left out of an answer: nobody is refused, and nothing is audited.

        Args:
            action: of a device.
            devices: on which policies can decide.

        Raises:
            ConfigurationError: the route does not state this action, or it changes something.
            UnavailableError: neither a good copy of the policies nor their store is there.
        """
        self._check_declared(action)
        if action.changes_something:
            raise ConfigurationError(f"`{action}` is decided device by device")
        decisions = await self.advise_on_devices(action, devices)
        # Fail closed: each device needs an answer of its own.
        if len(decisions) != len(devices):
            raise UnavailableError("the policy store")
        self.granted.add(action)
        return [
            device
            for device, decision in zip(devices, decisions, strict=True)
            if isinstance(decision, Allowed)
        ]

    async def allows_each(
        self, action: Permission, members: Sequence[tuple[Entity, ...]], purpose: Purpose
    ) -> bool:
        """Whether the policies allow ``action`` on each of ``members``; grants and audits nothing.

        Raises:
            ConfigurationError: the route does not state this action.
            UnavailableError: the policy store does not answer.
        """
        self._check_declared(action)
        requests = [self._request(action, entities, purpose) for entities in members]
        decisions = await self.authorizer.decide_all(self.principal, requests)
        # Fail closed: nobody asked is nobody allowed, and each needs an answer of its own.
        if not decisions or len(decisions) != len(requests):
            return False
        return all(isinstance(decision, Allowed) for decision in decisions)

    async def holds(
        self,
        actions: Iterable[Permission],
        entities: tuple[Entity, ...],
        moments: Sequence[datetime],
    ) -> bool:
        """Whether the policies allow the caller each action at each moment, without an emergency.

        Asked as a change is, of the policies of now; it grants and audits nothing, so a route need
        not state the actions.

        Raises:
            UnavailableError: the policy store does not answer.
        """
        requests = [
            self._request(action, entities, Purpose(), now=moment)
            for action in actions
            for moment in moments
        ]
        decisions = await self.authorizer.decide_all(self.principal, requests) if requests else ()
        # Fail closed: nothing asked is nothing held, and each needs an answer of its own.
        if not decisions or len(decisions) != len(requests):
            return False
        return all(isinstance(decision, Allowed) for decision in decisions)

    async def shown(
        self,
        action: Permission,
        resources: Sequence[tuple[Entity, ...]],
        *,
        purposes: Sequence[Purpose] | None = None,
    ) -> tuple[bool, ...]:
        """Which of ``resources`` a list shows: those that the policies allow a read of.

        An empty list answers too: it tells nothing. Nobody asked for what is not shown, so its
        refusal is not audited.

        Args:
            action: a read.
            resources: the entities of each.
            purposes: of each, if policies see more of it.

        Raises:
            ConfigurationError: the route does not state this action, or it is no read.
            UnavailableError: the policy store does not answer.
        """
        self._check_declared(action)
        asked = zip(resources, purposes or [Purpose()] * len(resources), strict=True)
        requests = [self._request(action, entities, purpose) for entities, purpose in asked]
        decisions = await self.authorizer.decide_all(self.principal, requests) if requests else ()
        # Fail closed: only a read goes without a trace, and each needs an answer of its own.
        if action.changes_something or len(decisions) != len(requests):
            raise ConfigurationError(f"a list of `{action}` was not decided row by row")
        self.granted.add(action)
        return tuple(isinstance(decision, Allowed) for decision in decisions)

    async def advise(
        self, asked: Sequence[tuple[Permission, tuple[Entity, ...], Purpose]]
    ) -> tuple[Decision, ...]:
        """What the policies would say of each, for the caller to know: it grants nothing.

        Nothing is audited, since nothing is done.

        Raises:
            UnavailableError: neither a good copy of the policies nor their store is there.
        """
        # One moment for all: what is alike but for its action is then asked of alike.
        now = self.clock()
        return await self.adviser.advise(
            self.principal,
            [self._request(action, entities, why, now=now) for action, entities, why in asked],
        )

    async def advise_on_devices(
        self, action: Permission, devices: Sequence[Device], purpose: Purpose | None = None
    ) -> tuple[Decision, ...]:
        """The same of one action on many devices, on which policies can decide."""
        parents, now = self.principal.tenant.groups, self.clock()

        def ask(device: Device) -> AuthorizationRequest:
            # One moment for all: devices that are alike are then asked of alike.
            return self._request(action, device.entities(parents), purpose or Purpose(), now=now)

        return await self.adviser.advise_on_devices(self.principal, action, devices, ask)

    async def advise_about(
        self,
        asked: tuple[Permission, tuple[Entity, ...], Purpose],
        people: Sequence[TokenBearer],
    ) -> About:
        """What the policies would say of others in the caller's place.

        Raises:
            UnavailableError: there is no good copy of the policies.
        """
        return await self.adviser.advise_about(self.principal.tenant, self._request(*asked), people)

    async def once_approved(self, action: Permission, purpose: Purpose) -> Purpose:
        """The purpose as it would be once somebody approved it whom no policy finds wanting.

        That is somebody in each group that policies of this action ask of who approves: who plans
        does not know yet who will. Asked again with the groups of who did, before anything begins.
        """
        groups = await self.adviser.approving_groups(self.principal.tenant, [action])
        # Of no group nothing is told: the store of a tenant with an earlier schema would refuse it.
        return replace(purpose, approved=True, approver_groups=groups or None)

    async def consider(
        self,
        asked: tuple[Permission, tuple[Entity, ...], Purpose],
        *,
        bearer: TokenBearer | None = None,
        now: datetime | None = None,
        proposed: Proposed | None = None,
    ) -> Considered:
        """What the policies would say, and why; it grants and audits nothing.

        Args:
            asked: action, what it is about, and what the caller says of it.
            bearer: who takes the caller's place.
            now: another moment.
            proposed: policies that count as if they were the tenant's.

        Raises:
            InvalidRequestError: a proposed policy is none that the schema knows.
            UnavailableError: there is no good copy of the policies.
        """
        return await self.adviser.consider(
            self.principal, self._request(*asked, now=now), bearer=bearer, proposed=proposed
        )

    async def _decide(
        self, action: Permission, entities: tuple[Entity, ...], purpose: Purpose
    ) -> tuple[AuthorizationRequest, Decision]:
        self._check_declared(action)
        request = self._request(action, entities, purpose)
        decision = await self.authorizer.decide(self.principal, request)
        request_line.decided(
            action=action,
            resource=str(request.resource),
            allowed=isinstance(decision, Allowed),
            policies=decision.policies,
            by=decision.by,
        )
        return request, decision

    async def _refuse(
        self, request: AuthorizationRequest, denied: Denied, action: Permission, purpose: Purpose
    ) -> NoReturn:
        await self._write(action, request, denied, purpose)
        raise PermissionDeniedError(
            action,
            reason=denied.reason,
            explanation=denied.explanation,
            policies=denied.policies,
            explained=[one.json() for one in await self._explain(request, denied, action)],
        )

    async def _explain(
        self, request: AuthorizationRequest, denied: Denied, action: Permission
    ) -> tuple[Explained, ...]:
        # Fail closed: what was allowed once is asked of again as it would be, and so not of facts
        # that the caller may view.
        if action in self.granted:
            return ()
        view = None
        if request.resource.type == DEVICE:
            entities = tuple(one for one in request.entities if one.uid.type != ARTIFACT)
            view = self._request(Permission.VIEW_DEVICE, entities, Purpose())
        return await self.adviser.explain(self.principal, request, denied, view=view)

    def _check_declared(self, action: Permission) -> None:
        # Fail closed: a route does what it says, or nothing.
        if action not in self.declared:
            raise ConfigurationError(
                f"the route asks for `{action}`, but states {sorted(self.declared)}"
            )

    def _request(
        self,
        action: Permission,
        entities: tuple[Entity, ...],
        purpose: Purpose,
        *,
        now: datetime | None = None,
    ) -> AuthorizationRequest:
        return AuthorizationRequest.of(
            principal=EntityUid(USER, self.principal.entity_id),
            action=action,
            entities=entities,
            context=purpose.context(
                now or self.clock(), self.facts.source_ip, via=self.principal.via
            ),
        )

    async def _write(
        self,
        action: Permission,
        request: AuthorizationRequest,
        decision: Decision,
        purpose: Purpose,
    ) -> str:
        """Write a decision down; the id that it has there."""
        at = milliseconds(self.clock())
        record = AuditRecord(
            audit_id=new_ulid(at),
            at=at,
            tenant=self.principal.tenant.id,
            principal=self.principal.entity_id,
            action=action,
            resource=str(request.resource),
            decision=decision,
            request_id=self.facts.request_id,
            source_ip=self.facts.source_ip,
            emergency_reason=purpose.emergency_reason,
            subject=purpose.subject or purpose.command,
            person=self.principal.subject,
            of_person=purpose.person,
            about=purpose.about,
            question=Question(
                claims={
                    name: claim
                    for name, claim in self.principal.claims.items()
                    if name not in _OF_THE_TOKEN
                },
                context=request.json()["context"],
                entities=[entity.json() for entity in request.entities],
            ),
            change=purpose.change,
        )
        if purpose.artifact is not None:
            record = replace(record, subject=purpose.artifact.name)
        await self.audit.write(self.principal.tenant, record)
        return record.audit_id
