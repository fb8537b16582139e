"""What a tenant used, day by day, in DynamoDB: rows of the audit table, which ends them with it.

Rows::

    partition         sk            written by
    <tenant>--usage   <yyyy-mm-dd>  the worker, once
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.domain.usage import UsageDay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the audit table"


@dataclass(frozen=True, kw_only=True)
class DynamoUsageDays:
    """Answers ``ports.UsageDays`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def keep(self, tenant: Tenant, day: UsageDay) -> None:
        item = {
            "partition": _partition(tenant),
            "sk": {"S": day.day.isoformat()},
            "usage": {"S": day.text},
            "ttl": {"N": str(day.counted_at // 1000 + self.settings.audit_seconds)},
        }
        # Of two workers that counted it the first is believed.
        await put(self.aws.tenant(tenant, "dynamodb"), self.settings.audit_table, item, **ABSENT)

    @asks(_TABLE)
    async def newest(self, tenant: Tenant) -> UsageDay | None:
        found = await self._days(tenant, "0", "9", most=1, forward=False)
        return found[0] if found else None

    @asks(_TABLE)
    async def between(self, tenant: Tenant, *, first: date, last: date) -> Sequence[UsageDay]:
        return await self._days(tenant, first.isoformat(), last.isoformat())

    async def _days(
        self,
        tenant: Tenant,
        first: str,
        last: str,
        *,
        most: int | None = None,
        forward: bool = True,
    ) -> list[UsageDay]:
        rows: list[dict[str, Any]] = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=most,
            **({"Limit": most} if most else {}),
            TableName=self.settings.audit_table,
            KeyConditionExpression="#usage = :usage AND sk BETWEEN :first AND :last",
            ExpressionAttributeNames={"#usage": "partition"},
            ExpressionAttributeValues={
                ":usage": _partition(tenant),
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ConsistentRead=True,
            ScanIndexForward=forward,
        )
        return [UsageDay.read(row["usage"]["S"]) for row in rows]


def _partition(tenant: Tenant) -> dict[str, str]:
    return {"S": f"{tenant.id}--usage"}
