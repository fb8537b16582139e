"""Last values in DynamoDB: rows of the commands table that the tenant's telemetry rule writes.

A device's in one partition, beside no row of its commands::

    thing                         sk        written by
    <tenant>--telemetry#<device>  <topic>   the IoT rule
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.adapters.aws.client.failures import asks
from service.adapters.aws.cursors import seal, token_of
from service.domain.telemetry import LastValue, LastValues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"


@dataclass(frozen=True, kw_only=True)
class DynamoTelemetry:
    """Answers ``ports.Telemetry`` with the tenant's own session.

    The read is not consistent: a rule writes when it likes, so nobody waits for a value of now.
    """

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def last_values(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None
    ) -> LastValues:
        scope = f"telemetry:{tenant.id}:{device_id}"
        partition = {"S": f"{tenant.id}--telemetry#{device_id}"}
        after = None if cursor is None else token_of(scope, cursor)
        start = (
            {} if after is None else {"ExclusiveStartKey": {"thing": partition, "sk": {"S": after}}}
        )
        answer = await self.aws.tenant(tenant, "dynamodb").call(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :device",
            ExpressionAttributeValues={":device": partition},
            Limit=limit,
            **start,
        )
        last = answer.get("LastEvaluatedKey")
        return LastValues(
            values=tuple(_value(row) for row in answer["Items"]),
            cursor=seal(scope, last["sk"]["S"] if last else None),
        )


def _value(row: Mapping[str, Any]) -> LastValue:
    """Fail closed: the rule bounds what a device says, and says nothing of its kind."""
    return LastValue(
        topic=row["sk"]["S"],
        text=row.get("value", {}).get("S", ""),
        sequence=_number(row, "sequence", wire.MAX_SEQUENCE_OF_TELEMETRY),
        at=_number(row, "at", wire.MAX_SEQUENCE_OF_TELEMETRY),
        received_at=_number(row, "received_at", wire.MAX_SEQUENCE_OF_TELEMETRY),
    )


def _number(row: Mapping[str, Any], name: str, most: int) -> int | None:
    text = str(row.get(name, {}).get("N", ""))
    number = int(text) if text.isdecimal() else -1
    return number if 0 <= number <= most else None
