"""One record of a tenant's audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.cedar.decision import Decision


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """Who asked for what, and what the policies said.

    Attributes:
        audit_id: ULID.
        at: milliseconds since the epoch.
        principal: entity id in the policy store, or the device that enrols.
        action: of the schema, or `EnrolDevice`, which a code decides and no policy.
        resource: e.g. ``Fleet::Device::"press-07"``.
        subject: command name, artifact or groups, if the action has one.
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
