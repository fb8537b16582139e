"""What a tenant used, day by day, in DynamoDB: rows of the audit table, which ends them with it.

Rows::

    partition         sk            written by
    <tenant>--usage   <yyyy-mm-dd>  the worker, once
    <tenant>--usage   told          the worker: up to which day all of them are told
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.domain.usage import USAGE_TOLD, UsageDay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the audit table"
_BUS: Final = "the event bus"
_SOURCE: Final = "cedarfleet.tenants"  # as the operator's commands say of a tenant's life
_TOLD: Final = {"S": "told"}
_NOT_LATER: Final = "attribute_not_exists(sk) OR #day < :day"


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

    @asks(_TABLE)
    async def told(self, tenant: Tenant) -> date | None:
        rows: list[dict[str, Any]] = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.audit_table,
            KeyConditionExpression="#usage = :usage AND sk = :told",
            ExpressionAttributeNames={"#usage": "partition"},
            ExpressionAttributeValues={":usage": _partition(tenant), ":told": _TOLD},
            ConsistentRead=True,
        )
        return date.fromisoformat(rows[0]["day"]["S"]) if rows else None

    @asks(_TABLE)
    async def note_told(self, tenant: Tenant, day: date) -> None:
        at = {"S": day.isoformat()}
        await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.audit_table,
            {"partition": _partition(tenant), "sk": _TOLD, "day": at},
            # Of two workers that told it the later is believed.
            ConditionExpression=_NOT_LATER,
            ExpressionAttributeNames={"#day": "day"},
            ExpressionAttributeValues={":day": at},
        )

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


@dataclass(frozen=True, kw_only=True)
class EventBridgeUsageEvents:
    """Answers ``ports.UsageEvents``: the account's default bus, by the worker's own credentials.

    Not by the tenant's: a role of a tenant could tell of another's usage, since IAM knows no key
    for what is in an event.
    """

    aws: AwsDoor

    @asks(_BUS)
    async def tell(self, tenant: Tenant, day: UsageDay) -> None:
        answer = await self.aws.own("events").call(
            "PutEvents",
            Entries=[
                {
                    "Source": _SOURCE,
                    "DetailType": USAGE_TOLD,
                    "Detail": json.dumps(day.told_of(tenant.id)),
                }
            ],
        )
        # Fail closed: an answer is 200 where the bus took nothing; what has an id is taken
        # (source: EventBridge API reference, PutEventsResultEntry).
        [entry] = answer["Entries"]
        _ = entry["EventId"]


def _partition(tenant: Tenant) -> dict[str, str]:
    return {"S": f"{tenant.id}--usage"}
