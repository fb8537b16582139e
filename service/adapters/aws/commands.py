"""Command records in DynamoDB, beside the states that the IoT rule writes.

Rows of the commands table::

    thing                    sk                         written by
    <thing>                  <command id>#record        the service
    <thing>                  <command id>#status#<seq>  the IoT rule, from the device's messages
    <tenant>--command#<id>   pointer                    the service: which thing has it
    <tenant>--commands       <command id>               the service: for lists (``listed_rows``)
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.idempotency import create_once
from service.adapters.aws.listed_rows import listed_item
from service.domain.commands import (
    FOR_GOOD,
    LEFT,
    MAX_STATES,
    CommandRecord,
    CommandRecordState,
    IfOffline,
    RecordedCommand,
    ReportedState,
)
from service.domain.instants import first_ulid
from service.domain.json_limits import problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_BEFORE_LEFT: Final = frozenset(CommandRecordState) - FOR_GOOD
_TABLE: Final = "the commands table"
# Characters: in base64, where IoT Core has escaped every character.
_MAX_ENCODED: Final = 4 * wire.MAX_DETAIL_BYTES
# Rows that are read of a device's last hour: a usual one has a handful, a broken one thousands.
_MOST_ROWS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class DynamoCommandRecords:
    """Answers ``ports.CommandRecords`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def create(
        self, tenant: Tenant, record: CommandRecord, key: IdempotencyKey | None
    ) -> CommandRecord:
        ttl = {"N": str(record.created_at // 1000 + self.settings.record_seconds)}
        pointer = {**_pointer(tenant, record.command_id), "target": {"S": record.thing}, "ttl": ttl}
        made = await create_once(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[
                {**_item(record), "ttl": ttl},
                pointer,
                {**_listed(tenant, record), "ttl": ttl},
            ],
            made=record.command_id,
            now_ms=record.created_at,
            key=key,
        )
        earlier = await self.read(tenant, made) if made != record.command_id else None
        return earlier.record if earlier else record

    @asks(_TABLE)
    async def claim(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> bool:
        claimed = replace(record, state=CommandRecordState.PUBLISHING, claimed_at=now_ms)
        values = {
            ":read": {"S": str(record.state)},
            ":earlier": {"N": str(record.claimed_at)},
            ":none": {"N": "0"},
        }
        try:
            await self._write_state(
                tenant,
                claimed,
                # A row of before has no claim.
                "attribute_not_exists(canceled_at) AND #state = :read AND (claimed_at = :earlier"
                " OR (attribute_not_exists(claimed_at) AND :earlier = :none))",
                values,
            )
        except AwsRefusalError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        # As `CommandRecord.may_become` says.
        if record.state in LEFT:
            # Fail closed: of a state that a later release wrote nobody here knows what follows it.
            values = {f":{state}": {"S": str(state)} for state in _BEFORE_LEFT}
            condition = f"#state IN ({', '.join(sorted(values))})"
        else:
            values = {":publishing": {"S": str(CommandRecordState.PUBLISHING)}}
            condition = "#state = :publishing AND claimed_at = :claimed"
        await self._write_state(tenant, record, condition, values)

    @asks(_TABLE)
    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> CommandRecord:
        answer = await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key={"thing": {"S": record.thing}, "sk": {"S": f"{record.command_id}#record"}},
            UpdateExpression="SET canceled_at = if_not_exists(canceled_at, :now)",
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeValues={":now": {"N": str(now_ms)}},
            ReturnValues="ALL_NEW",
        )
        return record_of(answer["Attributes"])

    async def _write_state(
        self, tenant: Tenant, record: CommandRecord, condition: str, values: dict[str, Any]
    ) -> None:
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key={"thing": {"S": record.thing}, "sk": {"S": f"{record.command_id}#record"}},
            UpdateExpression="SET #state = :state, failure = :failure, claimed_at = :claimed",
            ConditionExpression=f"attribute_exists(thing) AND {condition}",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": {"S": str(record.state)},
                ":failure": {"S": record.failure or ""},
                ":claimed": {"N": str(record.claimed_at)},
                **values,
            },
        )

    @asks(_TABLE)
    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        calls = self.aws.tenant(tenant, "dynamodb")
        found = await calls.call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_pointer(tenant, command_id),
            ConsistentRead=True,
        )
        if "Item" not in found:
            return None
        thing, record = found["Item"]["target"], f"{command_id}#record"
        rows = await self._last_rows(calls, thing, command_id)
        item = next((row for row in rows if row["sk"]["S"] == record), None)
        # The record stands behind more states than are read.
        if item is None:
            key = {"thing": thing, "sk": {"S": record}}
            found = await calls.call(
                "GetItem", TableName=self.settings.commands_table, Key=key, ConsistentRead=True
            )
            item = found.get("Item")
        if item is None or (made := record_of(item)).tenant != tenant.id:
            return None
        told = [row for row in rows if row["sk"]["S"].startswith(f"{command_id}#status#")]
        states = (reported_state(row) for row in told[:MAX_STATES])
        return RecordedCommand(
            record=made,
            states=tuple(state for state in states if state),
            earlier_left_out=len(told) > MAX_STATES,
        )

    @asks(_TABLE)
    async def unanswered(
        self, tenant: Tenant, device_id: str, *, since_ms: int
    ) -> list[CommandRecord]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=_MOST_ROWS,
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND sk >= :since",
            ExpressionAttributeValues={
                ":thing": {"S": wire.thing_name(tenant.id, device_id)},
                ":since": {"S": first_ulid(since_ms)},
            },
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        answered = {
            row["sk"]["S"].partition("#")[0] for row in rows if "#status#" in row["sk"]["S"]
        }
        records = [record_of(row) for row in rows if row["sk"]["S"].endswith("#record")]
        return [record for record in reversed(records) if record.command_id not in answered]

    async def _last_rows(
        self, calls: Calls, thing: Mapping[str, Any], command_id: str
    ) -> list[dict[str, Any]]:
        """The last states and, unless they are more than ``MAX_STATES``, the record before them."""
        return await calls.rows(
            "Query",
            most=MAX_STATES + 1,
            Limit=MAX_STATES + 1,
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":thing": thing, ":prefix": {"S": f"{command_id}#"}},
            ConsistentRead=True,
            ScanIndexForward=False,
        )


def reported_state(item: Mapping[str, Any]) -> ReportedState | None:
    """A state of its row, or ``None`` for a row that no rule of ours would write.

    The state stands also where its detail breaks the wire's bounds or cannot be said again: then it
    says that the detail was left out.
    """
    try:
        detail = _detail(item["detail"]["S"]) if "detail" in item else {}
        return ReportedState(
            sequence=int(item["sequence"]["S"]),
            state=wire.CommandState(item["state"]["S"]),
            detail=detail or {},
            device_time=_whole(item.get("device_time")),
            received_at=_whole(item.get("received_at")),
            detail_left_out=detail is None,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        log.warning("command.unreadable_state", sk=str(item.get("sk"))[:80])
        return None


def _detail(encoded: str) -> dict[str, Any] | None:
    """A status's detail, or ``None`` if it is no object of the wire."""
    if len(encoded) > _MAX_ENCODED:
        return None
    try:
        document: object = json.loads(base64.b64decode(encoded))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or problem_of(cast("object", document)):
        return None
    # As the wire measures it.
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return cast("dict[str, Any]", document) if len(text.encode()) <= wire.MAX_DETAIL_BYTES else None


def _whole(attribute: Mapping[str, str] | None) -> int | None:
    text = (attribute or {}).get("N")
    return None if text is None else int(float(text))


def _pointer(tenant: Tenant, command_id: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--command#{command_id}"}, "sk": {"S": "pointer"}}


def _listed(tenant: Tenant, record: CommandRecord) -> dict[str, Any]:
    facts = {"device": record.device, "name": record.name, "created_by": record.created_by}
    return listed_item(tenant, "commands", record.command_id, facts)


def _item(record: CommandRecord) -> dict[str, Any]:
    # Left out where nobody gave any: most rows stay as those of the release before.
    more = {"reason": record.reason, "campaign": record.campaign}
    return {
        **{name: {"S": text} for name, text in more.items() if text is not None},
        "thing": {"S": record.thing},
        "sk": {"S": f"{record.command_id}#record"},
        "command_id": {"S": record.command_id},
        "name": {"S": record.name},
        "arguments": {"S": json.dumps(record.arguments)},
        "created_by": {"S": record.created_by},
        "created_at": {"N": str(record.created_at)},
        "expires_at": {"N": str(record.expires_at)},
        "state": {"S": str(record.state)},
        "claimed_at": {"N": str(record.claimed_at)},
        "failure": {"S": record.failure or ""},
        "emergency_reason": {"S": record.emergency_reason or ""},
        "if_offline": {"S": str(record.if_offline)},
    }


def record_of(item: Mapping[str, Any]) -> CommandRecord:
    """A command of its row."""
    tenant, device = wire.split_thing_name(item["thing"]["S"])
    return CommandRecord(
        command_id=item["command_id"]["S"],
        tenant=tenant,
        device=device,
        name=item["name"]["S"],
        arguments=json.loads(item["arguments"]["S"]),
        created_by=item["created_by"]["S"],
        created_at=int(item["created_at"]["N"]),
        expires_at=int(item["expires_at"]["N"]),
        state=CommandRecordState.of_row(item["state"]["S"]),
        claimed_at=int(item.get("claimed_at", {}).get("N", 0)),
        failure=item["failure"]["S"] or None,
        emergency_reason=item["emergency_reason"]["S"] or None,
        reason=item.get("reason", {}).get("S"),
        campaign=item.get("campaign", {}).get("S"),
        if_offline=_if_offline(item),
        canceled_at=int(item["canceled_at"]["N"]) if "canceled_at" in item else None,
    )


def _if_offline(item: Mapping[str, Any]) -> IfOffline:
    """A row of 0.1.0 knew no other way than to wait; one of a later release may know more."""
    said = item.get("if_offline", {}).get("S", IfOffline.QUEUE)
    # Fail closed: a way that is not known here does not wait for its device.
    return IfOffline(said) if said in set(IfOffline) else IfOffline.REFUSE
