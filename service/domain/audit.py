"""One record of a tenant's audit trail, as it is made: who asked for what, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.decision import Decision


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the policies were asked, in Cedar's JSON forms: enough to ask it again.

    Attributes:
        claims: of the token, as far as policies could see them or a reader needs them.
        context: made by the service, ``now`` among it.
        entities: the resource, its ancestors and what the context names, as they were.
    """

    claims: Mapping[str, Any] = field(default_factory=dict[str, "Any"], repr=False)
    context: Mapping[str, Any] = field(default_factory=dict[str, "Any"])
    entities: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class AuditChange:
    """What is changed, in JSON: as it was, and as it would be; ``None``: it is not there."""

    before: Any = None
    after: Any = None


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """Who asked for what, and what the policies said.

    Attributes:
        audit_id: ULID; the decision's id.
        at: milliseconds since the epoch.
        principal: entity id in the policy store, or the device that enrols.
        person: whose pseudonym stands for ``principal``: the token's ``sub``; ``None``: a device.
        action: of the schema, or `EnrolDevice`, which a code decides and no policy.
        resource: e.g. ``Fleet::Device::"press-07"``.
        subject: command name, artifact or groups, if the action has one.
        of_person: whom the action is about; its pseudonym stands in the trail, and no ``subject``.
        about: ids of what comes of it: ``command``, ``download``.
        question: what the policies were asked; ``None``: no policy was.
        change: what is changed, if the action says it.
    """

    audit_id: str
    at: int
    tenant: str
    principal: str
    action: str
    resource: str
    decision: Decision
    request_id: str
    source_ip: str | None
    emergency_reason: str | None = None
    subject: str | None = None
    person: str | None = None
    of_person: str | None = None
    about: Mapping[str, str] = field(default_factory=dict[str, str])
    question: Question | None = None
    change: AuditChange | None = None
