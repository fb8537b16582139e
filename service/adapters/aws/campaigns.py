"""Campaigns in DynamoDB: a record, and rows of its batches, of one campaign in one partition.

Rows of the commands table::

    thing                    sk          written by
    <tenant>--campaign#<id>  record      the service, then the worker; who cancels it
    <tenant>--campaign#<id>  batch#0007  the service: 25 devices; the worker: what became of each
    <tenant>--campaign#<id>  tally#0007  the worker, with the batch: how many are in which state

A tally is small, so that all of a campaign are read at once. Beside the record stands the row by
which the campaign is listed (``listed_rows``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.cursors import seal, token_of
from service.adapters.aws.idempotency import create_once
from service.adapters.aws.listed_rows import listed_item, newest_first
from service.at_once import each
from service.domain.campaigns import (
    BATCH_DEVICES,
    EVERY_CAMPAIGN,
    Batch,
    BatchPage,
    BatchTally,
    CampaignClosing,
    CampaignPage,
    CampaignRecord,
    decode_devices,
    encode_devices,
)
from service.domain.commands import IfOffline
from service.domain.selections import Selection
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.campaigns import (
        BatchDevice,
        CampaignFilter,
    )
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_NOUN: Final = "campaigns"
# Of one transaction, which may have 100 (source: DynamoDB API reference, TransactWriteItems). A
# partition takes 1,000 write units a second, a row of 25 long names 4 in a transaction.
_ROWS_AT_ONCE: Final = 50
_TEXTS: Final = ("campaign_id", "name", "created_by", "requester", "if_offline")
_MAYBE_TEXTS: Final = (
    "source_ip",
    "via",
    "machine",
    "reason",
    "emergency_reason",
    "why",
    "canceled_by",
)
_NUMBERS: Final = ("seconds", "send_before", "created_at", "devices")
_COUNTED: Final = ("sent", "taken", "looked", "looks", "step")
_LATER: Final = ("begun_at", "looked_at")
_TIMES: Final = ("prepared_at", "decided_at", "sent_at")
_MEMBERS: Final = frozenset(one.name for one in fields(CampaignRecord)) - {"tenant"}


@dataclass(frozen=True, kw_only=True)
class DynamoCampaignRecords:
    """Answers ``ports.CampaignRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def create(
        self, tenant: Tenant, record: CampaignRecord, key: IdempotencyKey | None
    ) -> CampaignRecord:
        ttl = {"N": str(record.created_at // 1000 + self.settings.record_seconds)}
        facts = {
            "name": record.name,
            "group": record.target.group or "",
            "created_by": record.created_by,
        }
        made = await create_once(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[
                {**campaign_item(record), "ttl": ttl},
                {**listed_item(tenant, _NOUN, record.campaign_id, facts), "ttl": ttl},
            ],
            made=record.campaign_id,
            now_ms=record.created_at,
            key=key,
        )
        earlier = await self.read(tenant, made) if made != record.campaign_id else None
        return earlier or record

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, record: CampaignRecord) -> None:
        later = {name: getattr(record, name) for name in (*_COUNTED, *_LATER)}
        told = {name: {"N": str(number)} for name, number in later.items() if number is not None}
        told["told"] = {"S": ",".join(sorted(record.told))}
        await self._change(
            tenant,
            record,
            "SET " + ", ".join(f"#{name} = :{name}" for name in told),
            "#step = :before",
            names={f"#{name}": name for name in told},
            values={
                ":before": {"N": str(record.step - 1)},
                **{f":{name}": number for name, number in told.items()},
            },
        )

    @asks(_TABLE)
    async def read(self, tenant: Tenant, campaign_id: str) -> CampaignRecord | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key={"thing": {"S": f"{tenant.id}--campaign#{campaign_id}"}, "sk": {"S": "record"}},
            ConsistentRead=True,
        )
        item = found.get("Item")
        return None if item is None else _record(tenant, item)

    @asks(_TABLE)
    async def begin_batch(
        self, tenant: Tenant, record: CampaignRecord, number: int, *, at_ms: int
    ) -> bool:
        return await self._change(
            tenant,
            record,
            "SET begun = :next, batch_at = :at",
            "attribute_not_exists(closing)",
            "begun IN (:number, :next)",
            values={
                ":number": {"N": str(number)},
                ":next": {"N": str(number + 1)},
                ":at": {"N": str(at_ms)},
            },
        )

    @asks(_TABLE)
    async def close(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        closing: CampaignClosing,
        *,
        why: str | None = None,
        by: str | None = None,
    ) -> bool:
        told = {"closing": str(closing), "why": why, "canceled_by": by}
        texts = {name: {"S": text} for name, text in told.items() if text is not None}
        return await self._change(
            tenant,
            record,
            "SET " + ", ".join(f"{name} = :{name}" for name in texts),
            "attribute_not_exists(closing)",
            values={f":{name}": text for name, text in texts.items()},
        )

    async def _change(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        change: str,
        *conditions: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> bool:
        """Whether a campaign was changed; ``False``: a condition fails."""
        try:
            await self.aws.tenant(tenant, "dynamodb").call(
                "UpdateItem",
                TableName=self.settings.commands_table,
                Key=_key(record, "record"),
                UpdateExpression=change,
                ConditionExpression=" AND ".join(("attribute_exists(thing)", *conditions)),
                ExpressionAttributeValues=dict(values),
                **({"ExpressionAttributeNames": dict(names)} if names else {}),
            )
        except AwsRefusalError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CampaignFilter
    ) -> CampaignPage:
        rows, behind = await newest_first(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            tenant=tenant,
            noun=_NOUN,
            shows=lambda row: wanted.shows(row["name"], row["group"], row["created_by"]),
            limit=limit,
            cursor=cursor,
            is_filtered=wanted != EVERY_CAMPAIGN,
        )
        found = await each(partial(self.read, tenant), [row["sk"] for row in rows])
        return CampaignPage(records=tuple(filter(None, found)), cursor=behind)


@dataclass(frozen=True, kw_only=True)
class DynamoCampaignBatches:
    """Answers ``ports.CampaignBatches`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def plan(self, tenant: Tenant, record: CampaignRecord, batches: Sequence[Batch]) -> None:
        for start in range(0, len(batches), _ROWS_AT_ONCE):
            some = batches[start : start + _ROWS_AT_ONCE]
            await self._put(tenant, [self._item(record, batch) for batch in some])

    @asks(_TABLE)
    async def read(self, tenant: Tenant, record: CampaignRecord, number: int) -> Batch | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(record, _batch(number)),
            ConsistentRead=True,
        )
        item = found.get("Item")
        return None if item is None else _batch_of(number, item)

    @asks(_TABLE)
    async def prepare(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> Batch:
        first = {"ConditionExpression": "attribute_not_exists(prepared_at)"}
        try:
            await self._put(tenant, [self._item(record, batch), self._tally(record, batch)], first)
        except AwsRefusalError as error:
            if error.code != "TransactionCanceledException":
                raise
            # Somebody else was first, or this very call, of which the answer was lost.
            stored = await self.read(tenant, record, batch.number)
            if stored is None or stored.prepared_at is None:
                raise
            return stored
        return batch

    @asks(_TABLE)
    async def store(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> None:
        await self._put(tenant, [self._item(record, batch), self._tally(record, batch)])

    @asks(_TABLE)
    async def tallies(self, tenant: Tenant, record: CampaignRecord) -> Sequence[BatchTally]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":thing": _key(record, "")["thing"],
                ":prefix": {"S": "tally#"},
            },
            ConsistentRead=True,
        )
        return [
            BatchTally(
                number=int(row["sk"]["S"].removeprefix("tally#")),
                counts=json.loads(row["counts"]["S"]),
                is_over=row["is_over"]["BOOL"],
            )
            for row in rows
        ]

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, record: CampaignRecord, *, limit: int, cursor: str | None
    ) -> BatchPage:
        scope = f"campaign:{tenant.id}:{record.campaign_id}"
        token = "0" if cursor is None else token_of(scope, cursor)
        if not token.isdecimal():
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        at = int(token[:9])
        shown: list[BatchDevice] = []
        while len(shown) < limit and at < record.devices:
            batch = await self.read(tenant, record, at // BATCH_DEVICES)
            if batch is None:
                break
            some = batch.devices[at % BATCH_DEVICES :][: limit - len(shown)]
            shown += some
            at += len(some)
        more = str(at) if at < record.devices and shown else None
        return BatchPage(devices=tuple(shown), cursor=seal(scope, more))

    async def _put(
        self,
        tenant: Tenant,
        items: Sequence[dict[str, Any]],
        first: Mapping[str, Any] | None = None,
    ) -> None:
        """Put rows together, the first of them on a condition if there is one."""
        table = {"TableName": self.settings.commands_table}
        puts: list[dict[str, Any]] = [{"Put": {**table, "Item": item}} for item in items]
        puts[0]["Put"].update(first or {})
        await self.aws.tenant(tenant, "dynamodb").call("TransactWriteItems", TransactItems=puts)

    def _item(self, record: CampaignRecord, batch: Batch) -> dict[str, Any]:
        return {**batch_item(record, batch), "ttl": self._ttl(record)}

    def _tally(self, record: CampaignRecord, batch: Batch) -> dict[str, Any]:
        return {
            **_key(record, f"tally#{batch.number:04}"),
            "counts": {"S": json.dumps(batch.counts)},
            "is_over": {"BOOL": batch.is_over},
            "ttl": self._ttl(record),
        }

    def _ttl(self, record: CampaignRecord) -> dict[str, str]:
        return {"N": str(record.created_at // 1000 + self.settings.record_seconds)}


def _key(record: CampaignRecord, sk: str) -> dict[str, Any]:
    return {"thing": {"S": f"{record.tenant}--campaign#{record.campaign_id}"}, "sk": {"S": sk}}


def _batch(number: int) -> str:
    return f"batch#{number:04}"


def _batch_of(number: int, row: Mapping[str, Any]) -> Batch:
    times = {name: int(row[name]["N"]) if name in row else None for name in _TIMES}
    return Batch(number=number, devices=decode_devices(row["devices"]["S"]), **times)


def campaign_item(record: CampaignRecord) -> dict[str, Any]:
    """The row of a campaign; the caller adds its end."""
    texts = {name: str(getattr(record, name)) for name in _TEXTS}
    texts |= {name: text for name in _MAYBE_TEXTS if (text := getattr(record, name)) is not None}
    texts["arguments"] = json.dumps(record.arguments)
    texts["target"] = json.dumps(record.target.document())
    if record.machine is not None:
        texts["scopes"] = " ".join(record.scopes)
    numbers = (*_NUMBERS, *_COUNTED, "begun", "batch_at")
    return {
        **_key(record, "record"),
        **{name: {"S": text} for name, text in texts.items()},
        **{name: {"N": str(getattr(record, name))} for name in numbers},
    }


def batch_item(record: CampaignRecord, batch: Batch) -> dict[str, Any]:
    """The row of a batch; the caller adds its end."""
    times = {name: getattr(batch, name) for name in _TIMES}
    return {
        **_key(record, _batch(batch.number)),
        "devices": {"S": encode_devices(batch.devices)},
        **{name: {"N": str(at)} for name, at in times.items() if at is not None},
    }


def _record(tenant: Tenant, item: Mapping[str, Any]) -> CampaignRecord:
    told: dict[str, Any] = {name: value["S"] for name, value in item.items() if "S" in value}
    told |= {name: int(value["N"]) for name, value in item.items() if "N" in value}
    said = {name: told[name] for name in told.keys() & _MEMBERS}
    way, closing = said.pop("if_offline"), said.pop("closing", None)
    # Fail closed: why a later release closed it is not known here, and still it is closed.
    known = closing if closing in (None, *CampaignClosing) else CampaignClosing.STOPPED
    return CampaignRecord(
        tenant=tenant.id,
        arguments=json.loads(said.pop("arguments")),
        target=Selection.of(json.loads(said.pop("target"))),
        # Fail closed: a machine's without any is stopped.
        scopes=tuple(said.pop("scopes", "").split()),
        told=frozenset(filter(None, said.pop("told", "").split(","))),
        # Fail closed: a way that is not known here does not wait for its device.
        if_offline=IfOffline(way) if way in set(IfOffline) else IfOffline.REFUSE,
        closing=None if known is None else CampaignClosing(known),
        **said,
    )
