"""Bills of materials in DynamoDB: rows of the commands table, of one tenant in one partition.

::

    thing                sk                             written by
    <tenant>--materials  bill#<file id>                 the worker: what an uploaded bill names
    <tenant>--materials  of#<package>#<version>#<file>  the worker: whose bill that file is
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.domain.materials import Materials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.materials import WantedComponent
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"


@dataclass(frozen=True, kw_only=True)
class DynamoBillsOfMaterials:
    """Answers ``ports.BillsOfMaterials`` with the tenant's own session; reads are consistent."""

    aws: AwsDoor
    settings: RecordSettings
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @asks(_TABLE)
    async def store(self, tenant: Tenant, materials: Materials) -> None:
        await self._put(
            tenant,
            f"bill#{materials.file_id}",
            {
                "name": {"S": materials.name},
                "size": {"N": str(materials.size)},
                "sha256": {"S": materials.sha256},
                "components": {"S": materials.packed()},
                "is_whole": {"BOOL": materials.is_whole},
            },
        )

    @asks(_TABLE)
    async def link(self, tenant: Tenant, *, package: str, version: str, file_id: str) -> None:
        of = {"package": {"S": package}, "version": {"S": version}, "file_id": {"S": file_id}}
        await self._put(tenant, f"of#{package}#{version}#{file_id}", of)

    @asks(_TABLE)
    async def of_package(
        self, tenant: Tenant, *, package: str, version: str, most: int
    ) -> Sequence[str]:
        rows: list[dict[str, Any]] = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=most,
            Limit=most,
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :of)",
            ExpressionAttributeValues={
                ":thing": {"S": _partition(tenant)},
                ":of": {"S": f"of#{package}#{version}#"},
            },
            ConsistentRead=True,
        )
        # A version may hold what parts it from the file.
        return [row["file_id"]["S"] for row in rows if row["version"]["S"] == version]

    @asks(_TABLE)
    async def read(
        self, tenant: Tenant, file_id: str, *, wanted: WantedComponent, most: int
    ) -> Materials | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key={"thing": {"S": _partition(tenant)}, "sk": {"S": f"bill#{file_id}"}},
            ConsistentRead=True,
        )
        row = found.get("Item")
        if row is None:
            return None
        packed = row["components"]["S"]
        # One at a time of all requests: each takes many times the memory of its text.
        async with self.room:
            components = await asyncio.to_thread(Materials.fitting_in, packed, wanted, most=most)
        return Materials(
            file_id=file_id,
            name=row["name"]["S"],
            size=int(row["size"]["N"]),
            sha256=row["sha256"]["S"],
            components=components,
            is_whole=row["is_whole"]["BOOL"],
        )

    async def _put(self, tenant: Tenant, sk: str, told: dict[str, Any]) -> None:
        key = {"thing": {"S": _partition(tenant)}, "sk": {"S": sk}}
        await self.aws.tenant(tenant, "dynamodb").call(
            "PutItem", TableName=self.settings.commands_table, Item={**key, **told}
        )


def _partition(tenant: Tenant) -> str:
    return f"{tenant.id}--materials"
