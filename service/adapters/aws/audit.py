"""The audit trail in DynamoDB: one partition per tenant and day, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.cedar.decision import Denied

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.audit import AuditRecord
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings


@dataclass(frozen=True, kw_only=True)
class DynamoAuditLog:
    """Answers ``ports.AuditLog`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks("the audit trail")
    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
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
            "decided_by": str(record.decision.by),
        }
        item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        item["policies"] = {"L": [{"S": name} for name in record.decision.policies]}
        item["at"] = {"N": str(record.at)}
        item["ttl"] = {"N": str(record.at // 1000 + self.settings.audit_seconds)}
        try:
            await self.aws.tenant(tenant, "dynamodb").call(
                "PutItem",
                TableName=self.settings.audit_table,
                Item=item,
                # A trail is added to, never written over.
                ConditionExpression="attribute_not_exists(sk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except AwsRefusalError as error:
            # A put whose answer was lost is repeated: then the row in the way is this very one.
            if error.code != "ConditionalCheckFailedException" or error.members.get("Item") != item:
                raise
