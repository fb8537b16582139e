"""Revocations in DynamoDB: a row a subject in the tenant's own partition, for a day.

Rows of the commands table::

    thing                    sk          written by
    <tenant>--revocations    <subject>   the service
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.revocations import KEPT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.revocations import NotBefore
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_NEWER: Final = "attribute_not_exists(not_before) OR not_before < :not_before"
_OWN: Final = "not_before = :intent"


@dataclass(frozen=True, kw_only=True)
class DynamoRevocations:
    """Answers ``ports.RevocationRecords`` with the tenant's own session.

    A read is of all rows, 40 to each 4 KB that DynamoDB counts as one.
    """

    aws: AwsDoor
    settings: RecordSettings
    clock: Callable[[], float] = time.time

    @asks(_TABLE)
    async def revoked(self, tenant: Tenant) -> Mapping[str, NotBefore]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :own",
            ExpressionAttributeValues={":own": {"S": _partition(tenant)}},
            ConsistentRead=True,
        )
        return {row["sk"]["S"]: int(row["not_before"]["N"]) for row in rows}

    @asks(_TABLE)
    async def revoke(self, tenant: Tenant, subject: str, not_before: NotBefore) -> None:
        await self._set(tenant, subject, not_before, _NEWER, {})

    @asks(_TABLE)
    async def settle(
        self, tenant: Tenant, subject: str, *, intent: NotBefore, not_before: NotBefore
    ) -> None:
        await self._set(tenant, subject, not_before, _OWN, {":intent": {"N": str(intent)}})

    async def _set(
        self,
        tenant: Tenant,
        subject: str,
        not_before: NotBefore,
        condition: str,
        named: dict[str, Any],
    ) -> None:
        until = int(self.clock()) + KEPT_SECONDS
        try:
            await self.aws.tenant(tenant, "dynamodb").call(
                "UpdateItem",
                TableName=self.settings.commands_table,
                Key={"thing": {"S": _partition(tenant)}, "sk": {"S": subject}},
                UpdateExpression="SET not_before = :not_before, #ttl = :ttl",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":not_before": {"N": str(not_before)},
                    ":ttl": {"N": str(until)},
                    **named,
                },
            )
        except AwsRefusalError as error:
            # Somebody else's revocation stands, and refuses at least as much.
            if error.code != "ConditionalCheckFailedException":
                raise


def _partition(tenant: Tenant) -> str:
    return f"{tenant.id}--revocations"
