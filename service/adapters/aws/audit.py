"""The audit trail in DynamoDB: one partition per tenant and day, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.domain.decisions import Denied

if TYPE_CHECKING:
    from service.adapters.aws.calls import AwsCalls
    from service.adapters.aws.sessions import AwsSessions
    from service.domain.records import AuditRecord
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class DynamoAuditLog:
    """Answers ``ports.AuditLog`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions
    table: str
    keep_seconds: int

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        """See ``ports.AuditLog``."""
        await self.calls.run("the audit trail", self._write, tenant, record)

    def _write(self, tenant: Tenant, record: AuditRecord) -> None:
        day = datetime.fromtimestamp(record.at / 1000, UTC).date().isoformat()
        denied = record.decision if isinstance(record.decision, Denied) else None
        texts = {
            "partition": f"{record.tenant}--audit#{day}",
            "sk": record.audit_id,
            "principal": record.principal,
            "action": str(record.action),
            "resource": record.resource,
            "decision": "DENY" if denied else "ALLOW",
            "reason": str(denied.reason) if denied else "",
            "request_id": record.request_id,
            "source_ip": record.source_ip or "",
            "emergency_reason": record.emergency_reason or "",
            "subject": record.subject or "",
        }
        item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        item["policies"] = {"L": [{"S": name} for name in record.decision.policies]}
        item["at"] = {"N": str(record.at)}
        item["ttl"] = {"N": str(record.at // 1000 + self.keep_seconds)}
        self.sessions.tenant(tenant, "dynamodb").put_item(TableName=self.table, Item=item)
