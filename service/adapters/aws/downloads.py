"""Download records: rows ``<tenant>--download#<id>``, ``record`` of the commands table.

Beside each stands the row by which it is listed (``listed_rows``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import Signed

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.idempotency import create_once
from service.adapters.aws.listed_rows import listed_item, newest_first
from service.at_once import each
from service.domain.downloads import (
    EVERY_DOWNLOAD,
    Closing,
    DeliveryState,
    DownloadPage,
    DownloadRecord,
    DownloadRecordState,
    TargetKind,
)
from service.domain.rollouts import PlannedRollout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.downloads import DownloadFilter
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_NOUN: Final = "downloads"
_LISTED: Final = ("target_kind", "target", "artifact")
_NUMBERS: Final = ("size", "created_at", "devices")
_LATER_NUMBERS: Final = ("begun_at", "settled_at", "paused_at")
_WAVE: Final = "wave_at_"
# How release 0.1.0 stores and reads a started download. It stays so: while one release replaces
# the other, both read what both write.
_STORED_AS_STARTED: Final = "published"


@dataclass(frozen=True, kw_only=True)
class DynamoDownloadRecords:
    """Answers ``ports.DownloadRecords`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def create(
        self, tenant: Tenant, record: DownloadRecord, key: IdempotencyKey | None
    ) -> DownloadRecord:
        ttl = {"N": str(record.created_at // 1000 + self.settings.record_seconds)}
        made = await create_once(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[
                {**_key(tenant, record.download_id), **_columns(record), "ttl": ttl},
                {**_listed(tenant, record), "ttl": ttl},
            ],
            made=record.download_id,
            now_ms=record.created_at,
            key=key,
        )
        earlier = await self.read(tenant, made) if made != record.download_id else None
        return earlier or record

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        texts = {
            "state": _stored_state(record.state),
            "failure": record.failure or "",
            "counts": json.dumps({str(state): count for state, count in record.counts.items()}),
        }
        if record.told:
            texts["told"] = ",".join(sorted(record.told))
        if record.closing is not None:
            texts["closing"] = str(record.closing)
        if record.why is not None:
            texts["why"] = record.why
        values = {f":{name}": {"S": text} for name, text in texts.items()}
        parts = [f"#{name} = :{name}" for name in texts]
        names = {f"#{name}": name for name in texts} | {"#closing": "closing"}
        if record.begun_at is not None:
            # The first look counts, whatever another task has read before it.
            parts.append("begun_at = if_not_exists(begun_at, :begun_at)")
            values[":begun_at"] = {"N": str(record.begun_at)}
        if record.settled_at is not None:
            parts.append("settled_at = :settled_at")
            values[":settled_at"] = {"N": str(record.settled_at)}
        # A download that was closed stays so, also for a task that has read it before.
        closed = " OR #closing = :closing" if record.closing is not None else ""
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key=_key(tenant, record.download_id),
            UpdateExpression=f"SET {', '.join(parts)}",
            ConditionExpression="attribute_exists(thing)"
            f" AND (attribute_not_exists(#closing){closed})",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    @asks(_TABLE)
    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(tenant, download_id),
            ConsistentRead=True,
        )
        item = found.get("Item")
        return None if item is None else _record(tenant, item)

    @asks(_TABLE)
    async def close(
        self, tenant: Tenant, record: DownloadRecord, closing: Closing, *, why: str | None = None
    ) -> bool:
        told = {} if why is None else {":why": {"S": why}}
        return await self._change(
            tenant,
            record,
            "SET closing = :closing" + (", why = :why" if told else ""),
            values={":closing": {"S": str(closing)}, **told},
        )

    @asks(_TABLE)
    async def pause(self, tenant: Tenant, record: DownloadRecord, *, at_ms: int | None) -> bool:
        if at_ms is None:
            return await self._change(tenant, record, "REMOVE paused_at")
        paused = "SET paused_at = if_not_exists(paused_at, :at)"
        return await self._change(tenant, record, paused, values={":at": {"N": str(at_ms)}})

    @asks(_TABLE)
    async def approve(
        self, tenant: Tenant, record: DownloadRecord, *, by: str, groups: tuple[str, ...]
    ) -> bool:
        return await self._change(
            tenant,
            record,
            "SET approved_by = :by, approver_groups = :groups",
            "attribute_not_exists(approved_by)",
            values={":by": {"S": by}, ":groups": {"L": [{"S": group} for group in groups]}},
        )

    @asks(_TABLE)
    async def begin_wave(
        self, tenant: Tenant, record: DownloadRecord, wave: int, *, at_ms: int
    ) -> bool:
        name = f"{_WAVE}{wave}"
        return await self._change(
            tenant,
            record,
            f"SET {name} = :at",
            "attribute_not_exists(paused_at)",
            f"attribute_not_exists({name})",
            values={":at": {"N": str(at_ms)}},
        )

    async def _change(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        change: str,
        *conditions: str,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether an open download was changed; ``False``: it is closed, or a condition fails."""
        still = ("attribute_exists(thing)", "attribute_not_exists(closing)", *conditions)
        try:
            await self.aws.tenant(tenant, "dynamodb").call(
                "UpdateItem",
                TableName=self.settings.commands_table,
                Key=_key(tenant, record.download_id),
                UpdateExpression=change,
                ConditionExpression=" AND ".join(still),
                **({"ExpressionAttributeValues": dict(values)} if values else {}),
            )
        except AwsRefusalError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: DownloadFilter
    ) -> DownloadPage:
        rows, behind = await newest_first(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            tenant=tenant,
            noun=_NOUN,
            shows=lambda row: wanted.shows(
                TargetKind(row["target_kind"]), row["target"], row["artifact"]
            ),
            limit=limit,
            cursor=cursor,
            is_filtered=wanted != EVERY_DOWNLOAD,
        )
        found = await each(partial(self.read, tenant), [row["sk"] for row in rows])
        return DownloadPage(records=tuple(filter(None, found)), cursor=behind)


def _listed(tenant: Tenant, record: DownloadRecord) -> dict[str, Any]:
    facts = {name: str(getattr(record, name)) for name in _LISTED}
    return listed_item(tenant, _NOUN, record.download_id, facts)


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
    if record.manifest is not None:
        texts["manifest"] = json.dumps(asdict(record.manifest))
    if record.file_id is not None:
        texts["file_id"] = record.file_id
    if record.rollout is not None:
        texts["rollout"] = record.rollout.encode()
    if record.wish is not None:
        texts["wish"] = record.wish
    if record.decision is not None:
        texts["decision"] = record.decision
    numbers = {name: {"N": str(getattr(record, name))} for name in _NUMBERS}
    return {
        **{name: {"S": text} for name, text in texts.items()},
        **numbers,
        # Where release 0.1.0 looks for them; today's stand in rows of their own.
        "members": {"L": []},
    }


def _stored_state(state: DownloadRecordState) -> str:
    return _STORED_AS_STARTED if state is DownloadRecordState.STARTED else str(state)


def _state_of(stored: str) -> DownloadRecordState:
    if stored == _STORED_AS_STARTED:
        return DownloadRecordState.STARTED
    return DownloadRecordState(stored)


def _record(tenant: Tenant, item: Mapping[str, Any]) -> DownloadRecord:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    numbers = {name: int(item[name]["N"]) if name in item else None for name in _LATER_NUMBERS}
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
        manifest=Signed.of(json.loads(text["manifest"])) if "manifest" in text else None,
        file_id=text.get("file_id"),
        created_by=text["created_by"],
        created_at=int(item["created_at"]["N"]),
        state=_state_of(text["state"]),
        failure=text["failure"] or None,
        emergency_reason=text["emergency_reason"] or None,
        # Of a row without it an earlier release has made the one job.
        devices=int(item.get("devices", {}).get("N", "0")),
        begun_at=numbers["begun_at"],
        settled_at=numbers["settled_at"],
        closing=Closing(text["closing"]) if "closing" in text else None,
        rollout=PlannedRollout.decode(text["rollout"]) if "rollout" in text else None,
        paused_at=numbers["paused_at"],
        approved_by=text.get("approved_by"),
        approver_groups=tuple(group["S"] for group in item["approver_groups"]["L"])
        if "approver_groups" in item
        else None,
        waves_at={
            int(name.removeprefix(_WAVE)): int(value["N"])
            for name, value in item.items()
            if name.startswith(_WAVE)
        },
        why=text.get("why"),
        wish=text.get("wish"),
        decision=text.get("decision"),
        told=frozenset(filter(None, text.get("told", "").split(","))),
        counts={
            DeliveryState(state): int(count)
            for state, count in json.loads(text.get("counts") or "{}").items()
        },
    )
