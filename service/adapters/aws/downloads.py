"""Download records: rows ``<tenant>--download#<id>``, ``record`` of the commands table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.idempotency import create_once
from service.domain.downloads import DownloadRecord, DownloadRecordState, TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_NUMBERS: Final = ("size", "created_at")
# How release 0.1.0 stores and reads a started download. It stays so: while one release replaces
# the other, both read what both write.
_STORED_AS_STARTED: Final = "published"


@dataclass(frozen=True, kw_only=True)
class DynamoDownloadRecords:
    """Answers ``ports.DownloadRecords`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions
    settings: RecordSettings

    async def create(
        self, tenant: Tenant, record: DownloadRecord, key: IdempotencyKey | None
    ) -> DownloadRecord:
        return await self.calls.run(_TABLE, self._create, tenant, record, key)

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        await self.calls.run(_TABLE, self._settle, tenant, record)

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        return await self.calls.run(_TABLE, self._read, tenant, download_id)

    def _create(
        self, tenant: Tenant, record: DownloadRecord, key: IdempotencyKey | None
    ) -> DownloadRecord:
        ttl = {"N": str(record.created_at // 1000 + self.settings.record_seconds)}
        made = create_once(
            self.sessions.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[{**_key(tenant, record.download_id), **_columns(record), "ttl": ttl}],
            made=record.download_id,
            now_ms=record.created_at,
            key=key,
        )
        earlier = self._read(tenant, made) if made != record.download_id else None
        return earlier or record

    def _settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        self.sessions.tenant(tenant, "dynamodb").update_item(
            TableName=self.settings.commands_table,
            Key=_key(tenant, record.download_id),
            UpdateExpression="SET #state = :state, failure = :failure",
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": {"S": _stored_state(record.state)},
                ":failure": {"S": record.failure or ""},
            },
        )

    def _read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        client = self.sessions.tenant(tenant, "dynamodb")
        item = client.get_item(
            TableName=self.settings.commands_table,
            Key=_key(tenant, download_id),
            ConsistentRead=True,
        ).get("Item")
        return None if item is None else _record(tenant, item)


def _key(tenant: Tenant, download_id: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--download#{download_id}"}, "sk": {"S": "record"}}


def _columns(record: DownloadRecord) -> dict[str, Any]:
    texts = {
        "download_id": record.download_id,
        "target_kind": str(record.target_kind),
        "target": record.target,
        "artifact": record.artifact,
        "sha256": record.sha256,
        "etag": record.etag,
        "created_by": record.created_by,
        "state": _stored_state(record.state),
        "failure": record.failure or "",
        "emergency_reason": record.emergency_reason or "",
    }
    if record.version is not None:
        texts["version"] = record.version
    numbers = {name: {"N": str(getattr(record, name))} for name in _NUMBERS}
    members = {"L": [{"S": member} for member in record.members]}
    return {**{name: {"S": text} for name, text in texts.items()}, **numbers, "members": members}


def _stored_state(state: DownloadRecordState) -> str:
    return _STORED_AS_STARTED if state is DownloadRecordState.STARTED else str(state)


def _state_of(stored: str) -> DownloadRecordState:
    if stored == _STORED_AS_STARTED:
        return DownloadRecordState.STARTED
    return DownloadRecordState(stored)


def _record(tenant: Tenant, item: Mapping[str, Any]) -> DownloadRecord:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return DownloadRecord(
        download_id=text["download_id"],
        tenant=tenant.id,
        target_kind=TargetKind(text["target_kind"]),
        target=text["target"],
        artifact=text["artifact"],
        size=int(item["size"]["N"]),
        sha256=text["sha256"],
        etag=text["etag"],
        version=text.get("version"),  # rows of release 0.1.0 have none
        created_by=text["created_by"],
        created_at=int(item["created_at"]["N"]),
        state=_state_of(text["state"]),
        failure=text["failure"] or None,
        emergency_reason=text["emergency_reason"] or None,
        members=tuple(member["S"] for member in item["members"]["L"]),
    )
