"""Groups made at run time in DynamoDB: a row each, in a partition beside that of the devices.

Rows of the devices table::

    partition           sk         written by
    <tenant>--groups    <group>    the service
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.domain.group_records import GroupRecord, GroupState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the devices table"


@dataclass(frozen=True, kw_only=True)
class DynamoGroups:
    """Answers ``ports.GroupRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def named(self, tenant: Tenant, groups: Iterable[str]) -> tuple[GroupRecord, ...]:
        found = await asyncio.gather(*(self._one(tenant, group) for group in groups))
        return tuple(record for records in found for record in records)

    @asks(_TABLE)
    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int | None
    ) -> tuple[GroupRecord, ...]:
        found: list[GroupRecord] = []
        condition, values = "", {}
        if after is not None:
            condition, values = " AND sk > :after", {":after": {"S": after}}
        size = {} if limit is None else {"Limit": limit}
        async for page in self._query(tenant, condition, values, **size):
            for item in page:
                record = _record(tenant, item)
                if limit is None or record.counts:
                    found.append(record)
                if len(found) == limit:
                    return tuple(found)
        return tuple(found)

    @asks(_TABLE)
    async def put(self, tenant: Tenant, record: GroupRecord) -> GroupRecord | None:
        stored = replace(record, version=record.version + 1)
        if not await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.devices_table,
            group_item(stored),
            **(at("version", record.version) if record.version else ABSENT),
        ):
            return None
        return stored

    async def _one(self, tenant: Tenant, group: str) -> list[GroupRecord]:
        pages = self._query(tenant, " AND sk = :group", {":group": {"S": group}})
        return [_record(tenant, item) async for page in pages for item in page]

    def _query(
        self, tenant: Tenant, condition: str, values: Mapping[str, Any], **size: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        return self.aws.tenant(tenant, "dynamodb").pages(
            "Query",
            TableName=self.settings.devices_table,
            KeyConditionExpression=f"#partition = :own{condition}",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={":own": {"S": _partition(tenant.id)}, **values},
            ConsistentRead=True,
            **size,
        )


def _partition(tenant: str) -> str:
    return f"{tenant}--groups"


def group_item(record: GroupRecord) -> dict[str, Any]:
    """The row of a group."""
    key = {} if record.made_by_key is None else {"made_by_key": _names(record.made_by_key)}
    return {
        **key,
        "partition": {"S": _partition(record.tenant)},
        "sk": {"S": record.id},
        "description": {"S": record.description},
        "parents": _names(record.parents),
        "above": {"M": {group: _names(parents) for group, parents in record.above.items()}},
        "created_by": {"S": record.created_by},
        "created_at": {"N": str(record.created_at)},
        "changed_at": {"N": str(record.changed_at)},
        "state": {"S": str(record.state)},
        "version": {"N": str(record.version)},
    }


def _names(groups: Iterable[str]) -> dict[str, Any]:
    return {"L": [{"S": group} for group in groups]}


def _record(tenant: Tenant, item: Mapping[str, Any]) -> GroupRecord:
    def groups(names: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(name["S"] for name in names["L"])

    key = groups(item["made_by_key"]) if "made_by_key" in item else None
    return GroupRecord(
        tenant=tenant.id,
        id=item["sk"]["S"],
        description=item["description"]["S"],
        parents=groups(item["parents"]),
        above={group: groups(names) for group, names in item["above"]["M"].items()},
        created_by=item["created_by"]["S"],
        created_at=int(item["created_at"]["N"]),
        changed_at=int(item["changed_at"]["N"]),
        state=GroupState(item["state"]["S"]),
        version=int(item["version"]["N"]),
        made_by_key=(key[0], key[1]) if key else None,
    )
