"""Files as recorded: each version a row of the commands table, in the order of names.

Rows of the commands table::

    thing                 sk                  written by
    <tenant>--files       <name>#<file id>    the service, then the worker
    <tenant>--file#<id>   pointer             the service: which name has it
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import Signed

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import at, put
from service.adapters.aws.cursors import seal, token_of
from service.adapters.aws.idempotency import create_once
from service.domain.files import FilePage, FileState, FileVersion, Package
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_BEHIND: Final = "$"  # the character after `#`: behind a name's versions, before the next name
_PASSING: Final = frozenset({FileState.UPLOADING, FileState.REFUSED})
_TEXTS: Final = (
    *("file_id", "name", "sha256", "upload", "created_by"),
    *("problem", "etag", "version"),
)
_NUMBERS: Final = ("size", "part_size", "created_at", "changed_at", "revision")


@dataclass(frozen=True, kw_only=True)
class DynamoFileRecords:
    """Answers ``ports.FileRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def create(
        self, tenant: Tenant, record: FileVersion, key: IdempotencyKey | None
    ) -> FileVersion:
        pointer = {**_pointer(tenant, record.file_id), "target": {"S": record.name}}
        made = await create_once(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[self._item(tenant, record), pointer],
            made=record.file_id,
            now_ms=record.created_at,
            key=key,
        )
        earlier = await self.read(tenant, made) if made != record.file_id else None
        return earlier or record

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, record: FileVersion) -> None:
        item = self._item(tenant, record)
        item["revision"] = {"N": str(record.revision + 1)}
        if not await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.commands_table,
            item,
            **at("revision", record.revision),
        ):
            raise ConflictError(
                f"file `{record.file_id}` was changed meanwhile; read it and try again"
            )

    @asks(_TABLE)
    async def read(self, tenant: Tenant, file_id: str) -> FileVersion | None:
        pointer = await self._get(tenant, _pointer(tenant, file_id))
        if pointer is None:
            return None
        item = await self._get(tenant, _key(tenant, pointer["target"]["S"], file_id))
        return None if item is None else _file(tenant, item)

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, *, prefix: str, limit: int, cursor: str | None
    ) -> FilePage:
        scope = f"files:{tenant.id}:{prefix}"
        after = None if cursor is None else token_of(scope, cursor)
        # DynamoDB takes no empty text in a condition on a key.
        condition, values = (
            ("begins_with(sk, :prefix)", {":prefix": prefix}) if prefix else ("", {})
        )
        start = {} if after is None else {"ExclusiveStartKey": _row(tenant, after)}
        answer = await self.aws.tenant(tenant, "dynamodb").call(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression=" AND ".join(filter(None, ("thing = :files", condition))),
            ExpressionAttributeValues={
                name: {"S": text}
                for name, text in {":files": f"{tenant.id}--files", **values}.items()
            },
            Limit=limit,
            ConsistentRead=True,
            **start,
        )
        last = answer.get("LastEvaluatedKey")
        return FilePage(
            files=tuple(_file(tenant, item) for item in answer["Items"]),
            cursor=seal(scope, last["sk"]["S"] if last else None),
        )

    @asks(_TABLE)
    async def newest(self, tenant: Tenant, name: str) -> FileVersion | None:
        newest: FileVersion | None = None
        pages = self.aws.tenant(tenant, "dynamodb").pages(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :files AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":files": {"S": f"{tenant.id}--files"},
                ":first": {"S": f"{name}#"},
                ":last": {"S": f"{name}{_BEHIND}"},
            },
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        async for page in pages:
            for file in (_file(tenant, item) for item in page):
                if file.state is FileState.AVAILABLE:
                    return file
                newest = newest or file
        return newest

    async def _get(self, tenant: Tenant, key: dict[str, Any]) -> dict[str, Any] | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem", TableName=self.settings.commands_table, Key=key, ConsistentRead=True
        )
        return found.get("Item")

    def _item(self, tenant: Tenant, record: FileVersion) -> dict[str, Any]:
        texts = {name: getattr(record, name) for name in _TEXTS} | {"state": str(record.state)}
        packaged = {f"package_{one.name}": getattr(record.package, one.name) for one in _PACKAGE}
        item = {
            **_key(tenant, record.name, record.file_id),
            **{name: {"S": text} for name, text in (texts | packaged).items()},
            **{name: {"N": str(getattr(record, name))} for name in _NUMBERS},
        }
        if record.manifest is not None:
            item["manifest"] = {"S": json.dumps(asdict(record.manifest))}
        if record.state in _PASSING:
            until = record.changed_at // 1000 + self.settings.record_seconds
            item["ttl"] = {"N": str(until)}
        return item


_PACKAGE: Final = fields(Package)


def _key(tenant: Tenant, name: str, file_id: str) -> dict[str, Any]:
    return _row(tenant, f"{name}#{file_id}")


def _row(tenant: Tenant, sk: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--files"}, "sk": {"S": sk}}


def _pointer(tenant: Tenant, file_id: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--file#{file_id}"}, "sk": {"S": "pointer"}}


def _file(tenant: Tenant, item: Mapping[str, Any]) -> FileVersion:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    number = {name: int(item[name]["N"]) for name in _NUMBERS}
    return FileVersion(
        file_id=text["file_id"],
        tenant=tenant.id,
        name=text["name"],
        size=number["size"],
        sha256=text["sha256"],
        part_size=number["part_size"],
        upload=text["upload"],
        created_by=text["created_by"],
        created_at=number["created_at"],
        changed_at=number["changed_at"],
        package=Package(**{one.name: text.get(f"package_{one.name}", "") for one in _PACKAGE}),
        manifest=Signed.of(json.loads(text["manifest"])) if "manifest" in text else None,
        state=FileState.of_row(text["state"]),
        problem=text["problem"],
        etag=text["etag"],
        version=text["version"],
        revision=number["revision"],
    )
