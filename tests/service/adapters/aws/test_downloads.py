"""Rows of downloads: what one release stores, the other reads."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import Signed

from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.downloads import DownloadRecord, DownloadRecordState, TargetKind
from service.domain.idempotency import IdempotencyKey
from service.errors import UpstreamError
from service.settings import RecordSettings
from tests.service.adapters.aws.answered_line import Refusal
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

RECORD = DownloadRecord(
    download_id="01JD0000000000000000000000",
    tenant="acme",
    target_kind=TargetKind.DEVICE,
    target="press-07",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=1_790_000_000_000,
)
KEY = {"thing": {"S": f"acme--download#{RECORD.download_id}"}, "sk": {"S": "record"}}
# As release 0.1.0 wrote it, once the job was created.
ROW_OF_0_1_0: dict[str, Any] = {
    **KEY,
    "download_id": {"S": RECORD.download_id},
    "target_kind": {"S": "device"},
    "target": {"S": "press-07"},
    "artifact": {"S": "recipes/steel.json"},
    "sha256": {"S": "ab" * 32},
    "etag": {"S": '"e"'},
    "created_by": {"S": "somebody"},
    "state": {"S": "published"},
    "failure": {"S": ""},
    "emergency_reason": {"S": ""},
    "size": {"N": "20"},
    "created_at": {"N": "1790000000000"},
    "members": {"L": []},
    "ttl": {"N": "1797776000"},
}


@pytest.fixture
def tenant() -> Tenant:
    """The tenant whose downloads they are."""
    return MemoryUserPool("acme").tenant


@pytest.fixture
def records(embedded_cloud: EmbeddedCloud) -> DynamoDownloadRecords:
    """A table of its own."""
    table = f"downloads-{uuid.uuid4().hex}"
    embedded_cloud.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "thing", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "thing", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoDownloadRecords(
        aws=RootDoor(embedded_cloud), settings=RecordSettings(commands_table=table)
    )


def test_a_row_of_release_0_1_0_reads_as_started(
    records: DynamoDownloadRecords, embedded_cloud: EmbeddedCloud, tenant: Tenant
) -> None:
    """A download that the release before called `published` is one whose job was created."""
    embedded_cloud.client("dynamodb").put_item(
        TableName=records.settings.commands_table, Item=ROW_OF_0_1_0
    )
    read = asyncio.run(records.read(tenant, RECORD.download_id))
    assert read == replace(RECORD, state=DownloadRecordState.STARTED, devices=0)


def test_a_started_download_is_stored_as_release_0_1_0_reads_it(
    records: DynamoDownloadRecords, embedded_cloud: EmbeddedCloud, tenant: Tenant
) -> None:
    """Created and settled, the row is in each column the one that the release before wrote."""
    asyncio.run(records.create(tenant, RECORD, None))
    asyncio.run(records.settle(tenant, replace(RECORD, state=DownloadRecordState.STARTED)))
    client = embedded_cloud.client("dynamodb")
    row = client.get_item(TableName=records.settings.commands_table, Key=KEY)["Item"]
    assert ROW_OF_0_1_0.items() <= row.items(), "columns that it does not know it does not read"
    read = asyncio.run(records.read(tenant, RECORD.download_id))
    assert read is not None
    assert read.state is DownloadRecordState.STARTED


def test_what_the_maker_signed_is_kept_word_for_word(
    records: DynamoDownloadRecords, tenant: Tenant
) -> None:
    """The worker makes the later jobs of the row."""
    signed = Signed(text='{"wire":1, "version":"2.0"}', signatures={"0" * 64: "AAAA"})
    asyncio.run(records.create(tenant, replace(RECORD, manifest=signed), None))
    read = asyncio.run(records.read(tenant, RECORD.download_id))
    assert read is not None
    assert read.manifest == signed


def test_a_key_claimed_by_release_0_1_0_still_stands(
    records: DynamoDownloadRecords, embedded_cloud: EmbeddedCloud, tenant: Tenant
) -> None:
    """A caller who repeats a request across an update gets the download that was made before it."""
    key = IdempotencyKey.of(
        tenant="acme", principal="somebody", key="download k", request='["device", "press-07"]'
    )
    client = embedded_cloud.client("dynamodb")
    claim = {
        "thing": {
            "S": "acme--replay#b67a1fc660056098ebf84e07ad7f9e9689f6cc5b43e8c3e4066319ba50d733c5"
        },
        "sk": {"S": "record"},
        "request": {"S": "1393354ff6603a80f5a90a37ca407d2db956797b3c837b0dc07550ffe3515501"},
        "made": {"S": RECORD.download_id},
        "ttl": {"N": "1790086400"},
    }
    client.put_item(TableName=records.settings.commands_table, Item=claim)
    client.put_item(TableName=records.settings.commands_table, Item=ROW_OF_0_1_0)
    other = replace(RECORD, download_id="01JD0000000000000000000001")
    made = asyncio.run(records.create(tenant, other, key))
    assert made.download_id == RECORD.download_id


def test_what_a_look_found_is_stored_beside_what_others_changed(
    door: AnsweredDoor, tenant: Tenant
) -> None:
    """When it was asked last, by each look; when it was first looked at, by the first alone."""
    records = DynamoDownloadRecords(aws=door, settings=RecordSettings())
    seen = replace(RECORD, begun_at=5, settled_at=7, why="it failed", told=frozenset({"begun"}))
    asyncio.run(records.settle(tenant, seen))
    asyncio.run(records.settle(tenant, RECORD))
    full, plain = (call.arguments for call in door.calls)
    assert ", settled_at = :settled_at" in full["UpdateExpression"]
    assert "begun_at = if_not_exists(begun_at, :begun_at)" in full["UpdateExpression"]
    assert full["ExpressionAttributeValues"][":settled_at"] == {"N": "7"}
    assert {":why", ":told"} <= full["ExpressionAttributeValues"].keys()
    for name in ("settled_at", "begun_at", "why", "told"):
        assert f":{name}" not in plain["ExpressionAttributeValues"], name


def test_a_pause_is_set_once_and_taken_away(door: AnsweredDoor, tenant: Tenant) -> None:
    """Of a download that is closed, or no more, neither; what AWS refused is no answer."""
    records = DynamoDownloadRecords(aws=door, settings=RecordSettings())
    assert asyncio.run(records.pause(tenant, RECORD, at_ms=9))
    assert asyncio.run(records.pause(tenant, RECORD, at_ms=None))
    paused, resumed = (call.arguments for call in door.calls)
    assert paused["UpdateExpression"] == "SET paused_at = if_not_exists(paused_at, :at)"
    assert paused["ExpressionAttributeValues"] == {":at": {"N": "9"}}
    assert resumed["UpdateExpression"] == "REMOVE paused_at"
    for one in (paused, resumed):
        assert "attribute_not_exists(closing)" in one["ConditionExpression"]
    door.answer = lambda _: Refusal("ConditionalCheckFailedException")
    assert not asyncio.run(records.pause(tenant, RECORD, at_ms=9))
    door.answer = lambda _: Refusal("AccessDeniedException", 403)
    with pytest.raises(UpstreamError):
        asyncio.run(records.pause(tenant, RECORD, at_ms=9))
