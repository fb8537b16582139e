"""The log of events in DynamoDB: rows of the commands table, of one tenant in one partition.

::

    thing             sk         written by
    <tenant>--events  <number>   the worker, once: a page of at most 100 events

A page is put on the condition that its number is free: of two workers one makes it. It leaves by
``ttl``. Every read is consistent, so no page is seen before the one that was stored before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.domain.events import EventPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"


@dataclass(frozen=True, kw_only=True)
class DynamoEventLog:
    """Answers ``ports.EventLog`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def last(self, tenant: Tenant) -> EventPage | None:
        pages = await self._pages(tenant, first=0, most=1, forward=False)
        return pages[0] if pages else None

    @asks(_TABLE)
    async def append(self, tenant: Tenant, page: EventPage) -> bool:
        item = {
            "thing": {"S": _partition(tenant)},
            "sk": {"S": _sk(page.number)},
            "page": {"S": page.text},
            "ttl": {"N": str(page.made_at // 1000 + self.settings.event_seconds)},
        }
        calls = self.aws.tenant(tenant, "dynamodb")
        return await put(calls, self.settings.commands_table, item, **ABSENT)

    @asks(_TABLE)
    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[EventPage]:
        return await self._pages(tenant, first=number, most=most)

    async def _pages(
        self, tenant: Tenant, *, first: int, most: int, forward: bool = True
    ) -> list[EventPage]:
        rows: list[dict[str, Any]] = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=most,
            Limit=most,
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :events AND sk >= :first",
            ExpressionAttributeValues={
                ":events": {"S": _partition(tenant)},
                ":first": {"S": _sk(first)},
            },
            ConsistentRead=True,
            ScanIndexForward=forward,
        )
        return [EventPage.read(row["page"]["S"]) for row in rows]


def _partition(tenant: Tenant) -> str:
    return f"{tenant.id}--events"


def _sk(number: int) -> str:
    return f"{number:015d}"
