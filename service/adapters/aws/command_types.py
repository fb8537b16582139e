"""Commands declared at run time in DynamoDB: a row each, in a partition beside the devices'.

Rows of the devices table::

    partition                  sk        written by
    <tenant>--command-types    <name>    the service
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.domain.command_rules import rules_of
from service.domain.command_types import CommandTypeRecord
from service.domain.permissions import COMMANDING, Permission
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the devices table"


@dataclass(frozen=True, kw_only=True)
class DynamoCommandTypes:
    """Answers ``ports.CommandTypeRecords`` with the tenant's session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def named(self, tenant: Tenant, names: Iterable[str]) -> tuple[CommandTypeRecord, ...]:
        asked = (self._rows(tenant, " AND sk = :name", name) for name in names)
        found = await asyncio.gather(*asked)
        return tuple(_record(tenant, item) for items in found for item in items)

    @asks(_TABLE)
    async def every(self, tenant: Tenant) -> tuple[CommandTypeRecord, ...]:
        return tuple(_record(tenant, item) for item in await self._rows(tenant, "", None))

    @asks(_TABLE)
    async def put(self, tenant: Tenant, record: CommandTypeRecord) -> CommandTypeRecord | None:
        stored = replace(record, version=record.version + 1)
        if not await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.devices_table,
            command_type_item(stored),
            **(at("version", record.version) if record.version else ABSENT),
        ):
            return None
        return stored

    async def _rows(self, tenant: Tenant, condition: str, name: str | None) -> list[dict[str, Any]]:
        values = {} if name is None else {":name": {"S": name}}
        return await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.devices_table,
            KeyConditionExpression=f"#partition = :own{condition}",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={":own": {"S": _partition(tenant.id)}, **values},
            ConsistentRead=True,
        )


def _partition(tenant: str) -> str:
    return f"{tenant}--command-types"


def command_type_item(record: CommandTypeRecord) -> dict[str, Any]:
    """The row of a command type."""
    return {
        "partition": {"S": _partition(record.tenant)},
        "sk": {"S": record.name},
        "action": {"S": str(record.action)},
        "rules": {"S": json.dumps(record.rules.document())},
        "changed_by": {"S": record.changed_by},
        "changed_at": {"N": str(record.changed_at)},
        "ended": {"BOOL": record.ended},
        "version": {"N": str(record.version)},
    }


def _record(tenant: Tenant, item: Mapping[str, Any]) -> CommandTypeRecord:
    """A command type of its row.

    Raises:
        UpstreamError: it is not of its form, or of a later release: fail closed, what its sender
            must be held to is not known.
    """
    try:
        action = Permission(item["action"]["S"])
        if action not in COMMANDING:
            raise ValueError(f"`{action}` sends no command")  # noqa: TRY301 - as all that can be
        return CommandTypeRecord(
            tenant=tenant.id,
            name=item["sk"]["S"],
            action=action,
            rules=rules_of(json.loads(item["rules"]["S"])),
            changed_by=item["changed_by"]["S"],
            changed_at=int(item["changed_at"]["N"]),
            ended=item["ended"]["BOOL"],
            version=int(item["version"]["N"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UpstreamError("the row of a command type is not of its form") from error
