"""Records that every operation shares: the audit trail and the keys that make a repeated request harmless."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.cedar.decision import Decision
    from service.domain.permissions import Permission


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """Who asked for what, and what the policies said.

    Attributes:
        audit_id: ULID.
        at: milliseconds since the epoch.
        principal: entity id in the policy store.
        resource: e.g. ``Fleet::Device::"press-07"``.
        subject: command name or artifact, if the action has one.
    """

    audit_id: str
    at: int
    tenant: str
    principal: str
    action: Permission
    resource: str
    decision: Decision
    request_id: str
    source_ip: str | None
    emergency_reason: str | None = None
    subject: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReplayKey:
    """An idempotency key, bound to its caller, with the digest of the request that it stands for."""

    tenant: str
    digest: str
    request_digest: str

    @classmethod
    def of(cls, *, tenant: str, principal: str, key: str, request: str) -> ReplayKey:
        """Bind the caller's ``key`` to the caller and to the canonical text of the request."""
        bound = hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()
        return cls(
            tenant=tenant, digest=bound, request_digest=hashlib.sha256(request.encode()).hexdigest()
        )
