"""The one door that every decision passes: asks the tenant's policies, audits, and lets through or refuses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from service.domain.decisions import Allowed, Question, Value
from service.domain.records import AuditRecord
from service.domain.ulids import new_ulid
from service.errors import ConfigurationError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from service.domain.decisions import Decision, Entity
    from service.domain.downloads import Artifact
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.ports import AuditLog, Authorizer

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class RequestFacts:
    """What the server knows of a request by itself; ``source_ip`` is an address in text, or ``None``."""

    request_id: str
    source_ip: str | None


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What the caller says of an action, for the policies' context.

    Attributes:
        command: name of the command.
        artifact: the file to deliver.
        emergency_reason: given only when the caller declares an emergency.
        members_allowed: the server's own finding that each member of the group that is asked for is allowed by itself.
    """

    command: str | None = None
    artifact: Artifact | None = None
    emergency_reason: str | None = None
    members_allowed: bool = False


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
    audit: AuditLog = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    granted: set[Permission] = field(default_factory=set["Permission"])

    async def require(
        self, action: Permission, entities: tuple[Entity, ...], purpose: Purpose | None = None
    ) -> None:
        """Go on only if the policies allow ``action`` on the first of ``entities``.

        A change is audited before it is made, so that nothing changes without a trace.

        Raises:
            PermissionDeniedError: the policies deny it; audited.
            ConfigurationError: the route does not state this action.
            UnavailableError: the policy store or the audit trail does not answer; nothing may be done.
        """
        self._check_declared(action)
        purpose = purpose or Purpose()
        question = self._question(action, entities, purpose)
        decision = await self.authorizer.decide(self.principal, question)
        log.info(
            "access.decided",
            action=action,
            resource=str(question.resource),
            allowed=isinstance(decision, Allowed),
            policies=decision.policies,
        )
        if not isinstance(decision, Allowed):
            await self._write(question, decision, purpose)
            raise PermissionDeniedError(action, decision)
        if action.changes_something:
            await self._write(question, decision, purpose)
        self.granted.add(action)

    async def allows_each(
        self, action: Permission, members: Sequence[tuple[Entity, ...]], purpose: Purpose
    ) -> bool:
        """Whether the policies allow ``action`` on each of ``members``; grants and audits nothing by itself.

        Raises:
            ConfigurationError: the route does not state this action.
            UnavailableError: the policy store does not answer.
        """
        self._check_declared(action)
        questions = [self._question(action, entities, purpose) for entities in members]
        decisions = await self.authorizer.decide_all(self.principal, questions)
        return bool(decisions) and all(isinstance(decision, Allowed) for decision in decisions)

    def _check_declared(self, action: Permission) -> None:
        if action not in self.declared:  # fail closed: a route does what it says, or nothing
            raise ConfigurationError(
                f"the route asks for `{action}`, but states {sorted(self.declared)}"
            )

    def _question(
        self, action: Permission, entities: tuple[Entity, ...], purpose: Purpose
    ) -> Question:
        now = self.clock()
        context: dict[str, Value] = {"now": now, "emergency": purpose.emergency_reason is not None}
        if self.facts.source_ip is not None:
            context["source_ip"] = ipaddress.ip_address(self.facts.source_ip)
        if purpose.emergency_reason is not None:
            context["reason"] = purpose.emergency_reason
        if purpose.command is not None:
            context["command"] = purpose.command
        if purpose.members_allowed:
            context["members_allowed"] = True
        if purpose.artifact is not None:
            context["artifact"] = purpose.artifact.uid
            entities = (*entities, purpose.artifact.entity())
        seen = tuple(entity.at(now) for entity in entities)
        return Question(action=action, resource=seen[0].uid, entities=seen, context=context)

    async def _write(self, question: Question, decision: Decision, purpose: Purpose) -> None:
        at = int(self.clock().timestamp() * 1000)
        record = AuditRecord(
            audit_id=new_ulid(at),
            at=at,
            tenant=self.principal.tenant.id,
            principal=self.principal.entity_id,
            action=question.action,
            resource=str(question.resource),
            decision=decision,
            request_id=self.facts.request_id,
            source_ip=self.facts.source_ip,
            emergency_reason=purpose.emergency_reason,
            subject=purpose.command,
        )
        if purpose.artifact is not None:
            record = replace(record, subject=purpose.artifact.name)
        await self.audit.write(self.principal.tenant, record)
