"""Revocations in DynamoDB: a row a subject in the tenant's own partition, for a day.

Rows of the commands table::

    thing                    sk          written by
    <tenant>--revocations    <subject>   the service
    <tenant>--revocations    #granted    service and worker (``grants``)

What counts within seconds stands together, so that one ``Query`` tells all of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.revocations import KEPT_SECONDS, RunTimeWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.revocations import NotBefore
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
GRANTED: Final = "#granted"
"""Of the row of grants; no subject is of this form."""
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
    async def word(self, tenant: Tenant) -> RunTimeWord:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :own",
            ExpressionAttributeValues={":own": {"S": partition(tenant)}},
            ConsistentRead=True,
        )
        known = {row["sk"]["S"]: row for row in rows}
        grants = known.pop(GRANTED, {})
        return RunTimeWord(
            tokens={subject: int(row["not_before"]["N"]) for subject, row in known.items()},
            granted=frozenset(grants.get("policies", {}).get("SS", ())),
            ended=frozenset(grants.get("ended", {}).get("SS", ())),
        )

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
                Key={"thing": {"S": partition(tenant)}, "sk": {"S": subject}},
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


def partition(tenant: Tenant) -> str:
    """Where all of a tenant stands that counts within seconds."""
    return f"{tenant.id}--revocations"
