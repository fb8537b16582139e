"""Rows of commands: what is written is read again, and never another tenant's or a broken row."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import wire

from service.adapters.aws.commands import DynamoCommandRecords, reported_state
from service.domain.commands import MAX_STATES, CommandRecord, CommandRecordState, IfOffline
from service.domain.idempotency import IdempotencyKey
from service.domain.instants import new_ulid
from service.errors import UpstreamError
from service.settings import RecordSettings
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant

AT = 1_790_000_000_000
ID = "01JD0000000000000000000000"
RECORD = CommandRecord(
    command_id=ID,
    tenant="acme",
    device="press-07",
    name="reboot",
    arguments={"n": [1, {"ä": None}]},
    created_by="somebody",
    created_at=AT,
    expires_at=AT + 60_000,
)


@pytest.fixture(scope="module")
def table(embedded_cloud: EmbeddedCloud) -> str:
    """A table for all tests here; each has a command of its own."""
    name = f"commands-{uuid.uuid4().hex}"
    keys = {"thing": "HASH", "sk": "RANGE"}
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def records(embedded_cloud: EmbeddedCloud, table: str) -> DynamoCommandRecords:
    """The adapter, keeping rows for a day."""
    return DynamoCommandRecords(
        aws=RootDoor(embedded_cloud),
        settings=RecordSettings(commands_table=table, record_days=1),
    )


@pytest.fixture
def record() -> CommandRecord:
    """A command of this test alone."""
    return replace(RECORD, command_id=uuid.uuid4().hex)


def told(number: int, state: str = "running", **columns: Any) -> dict[str, Any]:
    """A row as the IoT rule writes it."""
    return {
        "sequence": {"S": f"{number:04}"},
        "state": {"S": state},
        "detail": {"S": base64.b64encode(b"{}").decode()},
        **columns,
    }


def test_a_record_is_read_as_it_was_written_and_settled(
    records: DynamoCommandRecords, acme: Tenant, record: CommandRecord
) -> None:
    """Each member, and after a failed publish its state with the reason."""
    record = replace(record, emergency_reason="fire")
    assert asyncio.run(records.create(acme, record, None)) == record
    found = asyncio.run(records.read(acme, record.command_id))
    assert found is not None
    assert (found.record, found.states, found.truncated) == (record, (), False)
    assert asyncio.run(records.claim(acme, record, now_ms=AT + 1))
    failed = replace(
        record, state=CommandRecordState.FAILED, failure="the broker refused it", claimed_at=AT + 1
    )
    asyncio.run(records.settle(acme, failed))
    found = asyncio.run(records.read(acme, record.command_id))
    assert found is not None
    assert found.record == failed


def test_a_canceled_record_is_claimed_by_nobody(
    records: DynamoCommandRecords, acme: Tenant, record: CommandRecord
) -> None:
    """The first cancel counts; whoever read the record before it finds it changed."""
    asyncio.run(records.create(acme, record, None))
    canceled = asyncio.run(records.cancel(acme, record, now_ms=AT + 1))
    assert canceled == replace(record, canceled_at=AT + 1)
    assert asyncio.run(records.cancel(acme, record, now_ms=AT + 2)) == canceled
    for read in (record, canceled):
        assert not asyncio.run(records.claim(acme, read, now_ms=AT + 3))
    found = asyncio.run(records.read(acme, record.command_id))
    assert found is not None
    assert found.record == canceled


def test_the_table_takes_nothing_back(records: DynamoCommandRecords, acme: Tenant) -> None:
    """Of every pair of states exactly what the domain says may follow, of each claim."""

    async def scenario() -> None:
        for before, after, claimed_at in itertools.product(
            CommandRecordState, CommandRecordState, (AT, AT + 1)
        ):
            stands = replace(RECORD, command_id=new_ulid(AT), state=before, claimed_at=AT)
            await records.create(acme, stands, None)
            told = replace(stands, state=after, claimed_at=claimed_at)
            try:
                await records.settle(acme, told)
            except UpstreamError:
                assert not stands.may_become(told), (before, after, claimed_at)
                told = stands
            else:
                assert stands.may_become(told), (before, after, claimed_at)
            found = await records.read(acme, stands.command_id)
            assert found is not None
            assert found.record == told

    asyncio.run(scenario())


def test_one_of_many_claims_a_command(
    records: DynamoCommandRecords,
    embedded_cloud: EmbeddedCloud,
    acme: Tenant,
    record: CommandRecord,
) -> None:
    """As it was read; also a row of before, which knows no claims."""

    async def scenario() -> list[bool]:
        claims = (records.claim(acme, record, now_ms=AT + number) for number in range(1, 6))
        return await asyncio.gather(*claims)

    asyncio.run(records.create(acme, record, None))
    embedded_cloud.client("dynamodb").update_item(
        TableName=records.settings.commands_table,
        Key={"thing": {"S": record.thing}, "sk": {"S": f"{record.command_id}#record"}},
        UpdateExpression="REMOVE claimed_at",
    )
    assert sorted(asyncio.run(scenario())) == [False] * 4 + [True]
    found = asyncio.run(records.read(acme, record.command_id))
    assert found is not None
    assert found.record.state is CommandRecordState.PUBLISHING
    assert AT < found.record.claimed_at <= AT + 5
    assert asyncio.run(records.claim(acme, found.record, now_ms=AT + 70_000))


def test_unanswered_commands_are_of_the_hour_and_device(
    records: DynamoCommandRecords, embedded_cloud: EmbeddedCloud, acme: Tenant
) -> None:
    """The oldest first; without those that the device spoke of, and those of before."""
    before, first, had, second, other = (
        replace(
            RECORD,
            command_id=new_ulid(at_ms),
            device=device,
            created_at=at_ms,
            if_offline=IfOffline.REFUSE,
        )
        for device, at_ms in (
            *[("press-09", AT - 1), ("press-09", AT), ("press-09", AT + 1)],
            *[("press-09", AT + 2), ("press-10", AT)],
        )
    )
    for record in (before, first, had, second, other):
        asyncio.run(records.create(acme, record, None))
    row = {"thing": {"S": had.thing}, "sk": {"S": f"{had.command_id}#status#0001"}}
    embedded_cloud.client("dynamodb").put_item(
        TableName=records.settings.commands_table, Item=row | told(1, "received")
    )
    found = asyncio.run(records.unanswered(acme, "press-09", since_ms=AT))
    assert found == [first, second]


def test_rows_end_by_themselves(
    records: DynamoCommandRecords,
    embedded_cloud: EmbeddedCloud,
    acme: Tenant,
    record: CommandRecord,
) -> None:
    """Record and pointer carry the second at which DynamoDB drops them."""
    asyncio.run(records.create(acme, record, None))
    client = embedded_cloud.client("dynamodb")
    for thing, sk in (
        (record.thing, f"{record.command_id}#record"),
        (f"acme--command#{record.command_id}", "pointer"),
    ):
        row = client.get_item(
            TableName=records.settings.commands_table, Key={"thing": {"S": thing}, "sk": {"S": sk}}
        )["Item"]
        assert row["ttl"] == {"N": str(AT // 1000 + 86_400)}


def test_a_command_that_is_not_there_is_none(
    records: DynamoCommandRecords, acme: Tenant, record: CommandRecord
) -> None:
    """Nothing can be settled either: a settled row would be a command that nobody made."""
    assert asyncio.run(records.read(acme, record.command_id)) is None
    with pytest.raises(UpstreamError):
        asyncio.run(records.settle(acme, record))
    assert asyncio.run(records.read(acme, record.command_id)) is None


def test_a_pointer_to_another_tenants_thing_shows_nothing(
    records: DynamoCommandRecords,
    embedded_cloud: EmbeddedCloud,
    acme: Tenant,
    record: CommandRecord,
) -> None:
    """Also if IAM let such a row be read."""
    globex = replace(record, tenant="globex")
    asyncio.run(records.create(replace(acme, id="globex"), globex, None))
    pointer = {"thing": {"S": f"acme--command#{record.command_id}"}, "sk": {"S": "pointer"}}
    embedded_cloud.client("dynamodb").put_item(
        TableName=records.settings.commands_table, Item=pointer | {"target": {"S": globex.thing}}
    )
    assert asyncio.run(records.read(acme, record.command_id)) is None


def test_one_key_answers_the_first_record(
    records: DynamoCommandRecords, acme: Tenant, record: CommandRecord
) -> None:
    """A second command under the same key is the first, as it stands now."""
    key = IdempotencyKey.of(
        tenant="acme", principal="somebody", key=record.command_id, request="reboot"
    )
    assert asyncio.run(records.create(acme, record, key)) == record
    published = replace(record, state=CommandRecordState.PUBLISHED)
    asyncio.run(records.settle(acme, published))
    again = replace(record, command_id=uuid.uuid4().hex)
    assert asyncio.run(records.create(acme, again, key)) == published
    assert asyncio.run(records.read(acme, again.command_id)) is None


@pytest.mark.parametrize("number", [MAX_STATES, MAX_STATES + 1])
def test_the_last_states_are_read_and_the_record_behind_them(
    records: DynamoCommandRecords,
    embedded_cloud: EmbeddedCloud,
    acme: Tenant,
    record: CommandRecord,
    number: int,
) -> None:
    """However many states stand before it; whether some were left out is told."""
    asyncio.run(records.create(acme, record, None))
    rows = [
        {
            "thing": {"S": record.thing},
            "sk": {"S": f"{record.command_id}#status#{each:04}"},
            **told(each),
        }
        for each in range(number)
    ]
    client = embedded_cloud.client("dynamodb")
    for start in range(0, number, 25):
        puts = [{"PutRequest": {"Item": row}} for row in rows[start : start + 25]]
        client.batch_write_item(RequestItems={records.settings.commands_table: puts})
    found = asyncio.run(records.read(acme, record.command_id))
    assert found is not None
    assert found.record == record
    sequences = sorted(state.sequence for state in found.states)
    assert sequences == list(range(number))[-MAX_STATES:]
    assert found.earlier_left_out is (number > MAX_STATES)


@pytest.mark.parametrize(
    ("columns", "detail", "left_out"),
    [
        ({"detail": {"S": base64.b64encode(b'{"a": 1}').decode()}}, {"a": 1}, False),
        ({"detail": {"S": base64.b64encode(b"[1]").decode()}}, {}, True),
        ({"detail": {"S": base64.b64encode(b'{"a": NaN}').decode()}}, {}, True),
        ({"detail": {"S": base64.b64encode(b"no JSON").decode()}}, {}, True),
        ({"detail": {"S": base64.b64encode(b"[" * 5000).decode()}}, {}, True),
        ({"detail": {"S": "A" * (4 * wire.MAX_DETAIL_BYTES + 1)}}, {}, True),
    ],
)
def test_a_state_stands_whatever_its_detail_is(
    columns: dict[str, Any], detail: dict[str, Any], left_out: bool
) -> None:
    """A detail that breaks the wire's bounds is left out, and that is told; the state is not."""
    state = reported_state(told(7, **columns))
    assert state is not None
    assert (state.sequence, state.state) == (7, wire.CommandState.RUNNING)
    assert (state.detail, state.detail_left_out) == (detail, left_out)


def test_a_detail_is_measured_as_the_wire_measures_it() -> None:
    """Up to its bound a detail is read, also escaped by the rule; one byte more is left out."""
    for more, kept in ((0, True), (1, False)):
        text = "ä" * ((wire.MAX_DETAIL_BYTES - 8) // 2) + "x" * more
        document = {"x": text}
        encoded = base64.b64encode(json.dumps(document, separators=(",", ":")).encode())
        state = reported_state(told(1, detail={"S": encoded.decode()}))
        assert state is not None
        assert state.detail == (document if kept else {})
        assert state.detail_left_out is not kept


def test_a_row_that_no_rule_writes_is_no_state() -> None:
    """Without a sequence, with another word for a state, or a time that is none."""
    whole = told(1, device_time={"N": "1.79e12"}, received_at={"N": "7"})
    state = reported_state(whole)
    assert state is not None
    assert (state.device_time, state.received_at) == (1_790_000_000_000, 7)
    without_detail = {name: value for name, value in whole.items() if name != "detail"}
    plain = reported_state(without_detail)
    assert plain is not None
    assert (plain.detail, plain.detail_left_out) == ({}, False)
    for broken in (
        {"sequence": {"S": "x"}},
        {"sequence": {}},
        {"state": {"S": "exploded"}},
        {"device_time": {"N": "inf"}},
        {"received_at": {"N": "x"}},
    ):
        assert reported_state(whole | broken) is None
