"""A device on the stamped resources: from status to row, and for nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from cedarfleet_device import wire
from cedarfleet_device.config import DeviceConfig

from infra import names
from infra.stacks.platform_stack import status_rule
from tests.infra.identities import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.conftest import Project

DEVICE = "press-41"
COMMAND = "01JD0000000000000000000000"
OTHER_COMMAND = "01JD0000000000000000000001"
LARGE_COMMAND = "01JD0000000000000000000002"
SECONDS = 20


@pytest.fixture(scope="module")
def onboarded(project: Project, tmp_path_factory: pytest.TempPathFactory) -> DeviceConfig:
    """A device of acme with an identity of its own."""
    folder = tmp_path_factory.mktemp("device")
    identify(project.cloud.client("iot"), folder, tenant="acme", device=DEVICE)
    config = folder / "device.toml"
    config.write_text(
        f"""
        thing = "{wire.thing_name("acme", DEVICE)}"
        endpoint = "localhost"
        port = {project.cloud.mqtt_port}
        ca_file = "{project.cloud.ca}"
        certificate_file = "device.pem"
        key_file = "device.key"
        state_dir = "state"
        download_dir = "downloads"
        """
    )
    return DeviceConfig.load(config)


@pytest.fixture
def client(onboarded: DeviceConfig) -> Iterator[mqtt5.Client]:
    """That device's MQTT connection."""
    connected: Future[None] = Future()
    stopped: Future[None] = Future()

    def failed(data: mqtt5.LifecycleConnectFailureData) -> None:
        if not connected.done():
            connected.set_exception(data.exception)

    made = mqtt5_client_builder.mtls_from_path(
        endpoint=onboarded.endpoint,
        port=onboarded.port,
        cert_filepath=str(onboarded.certificate_file),
        pri_key_filepath=str(onboarded.key_file),
        ca_filepath=str(onboarded.ca_file),
        client_id=onboarded.thing,
        on_lifecycle_connection_success=lambda _: connected.set_result(None),
        on_lifecycle_connection_failure=failed,
        on_lifecycle_stopped=lambda _: stopped.set_result(None),
    )
    made.start()
    connected.result(SECONDS)
    yield made
    made.stop()
    stopped.result(SECONDS)


def publish(client: mqtt5.Client, topic: str, payload: bytes) -> mqtt5.PubackReasonCode:
    """Publish with QoS 1 and return the broker's verdict."""
    packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
    return client.publish(packet).result(SECONDS).puback.reason_code


def states(project: Project, thing: str, command: str) -> list[dict[str, Any]]:
    """What the rule has written for a command, in order."""
    answer = project.cloud.client("dynamodb").query(
        TableName="cedarfleet-commands",
        KeyConditionExpression="thing = :t AND begins_with(sk, :c)",
        ExpressionAttributeValues={":t": {"S": thing}, ":c": {"S": f"{command}#status#"}},
        ConsistentRead=True,
    )
    return answer["Items"]


def test_the_fleet_index_is_asked_for_nothing(project: Project) -> None:
    """Nothing reads it, and AWS takes money for what it keeps: the stack does not switch it on."""
    indexed = project.cloud.client("iot").get_indexing_configuration()["thingIndexingConfiguration"]
    assert indexed["thingIndexingMode"] == "OFF"


def test_a_reported_state_becomes_a_row_beside_the_command(
    project: Project, client: mqtt5.Client
) -> None:
    """The rule writes what the wire says under the topic's thing; the same sequence overwrites."""
    thing = f"acme--{DEVICE}"
    for sequence, state in (
        (1, wire.CommandState.RECEIVED),
        (2, wire.CommandState.INTERRUPTED),
        (2, "interrupted"),
    ):
        message = wire.StatusMessage(
            sequence=sequence,
            state=wire.CommandState(state),
            detail={"why": "power"},
            at=1_700_000_000_000,
        )
        assert (
            publish(client, wire.status_topic(thing, COMMAND), message.encode())
            == mqtt5.PubackReasonCode.SUCCESS
        )

    rows = asyncio.run(_until(lambda: states(project, thing, COMMAND), 2))
    assert [row["sk"]["S"] for row in rows] == [f"{COMMAND}#status#0001", f"{COMMAND}#status#0002"]
    assert rows[1]["state"] == {"S": "interrupted"}
    assert rows[1]["device_time"] == {"N": "1700000000000"}
    assert rows[1]["command_id"] == {"S": COMMAND}
    assert set(rows[1]) == {
        "thing", "sk", "command_id", "sequence", "state", "detail", "device_time", "received_at",
        "ttl",
    }  # fmt: skip
    assert (
        int(rows[1]["ttl"]["N"])
        == int(rows[1]["received_at"]["N"]) // 1000 + status_rule.KEEP_SECONDS
    )


def test_the_largest_detail_of_the_wire_is_kept(project: Project, client: mqtt5.Client) -> None:
    """The rule's bound is wide enough for any text that the wire allows, however it is written."""
    thing, message = f"acme--{DEVICE}", "é" * ((wire.MAX_DETAIL_BYTES - len('{"why":""}')) // 2)
    status = wire.StatusMessage(
        sequence=1, state=wire.CommandState.FAILED, detail={"why": message}, at=1
    )
    assert (
        publish(client, wire.status_topic(thing, LARGE_COMMAND), status.encode())
        == mqtt5.PubackReasonCode.SUCCESS
    )

    (row,) = asyncio.run(_until(lambda: states(project, thing, LARGE_COMMAND), 1))
    assert json.loads(base64.b64decode(row["detail"]["S"])) == {"why": message}


async def _until(look: Callable[[], list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + SECONDS
    while len(rows := await asyncio.to_thread(look)) < count:
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.05)  # DynamoDB has no call that waits for an item
    return rows


@pytest.mark.parametrize(
    "payload",
    [
        b'{"wire":1,"sequence":"record","state":"failed","detail":{},"at":1}',
        b'{"wire":1,"sequence":3,"state":"failed","detail":{},"at":1}',
        b'{"wire":1,"sequence":"0003","state":"won","detail":{},"at":1}',
        b'{"wire":1,"sequence":"0003","state":"failed","thing":"globex--pump-03","sk":"x"',
        b'{"wire":1,"sequence":"0003","state":"failed","detail":"' + b"x" * 100_000 + b'","at":1}',
        b'{"wire":1,"sequence":"0003","state":"failed","detail":{},"at":"' + b"x" * 100_000 + b'"}',
        b'{"wire":1,"sequence":"0003","state":"failed","detail":{},"at":' + b"1" * 4_000 + b"}",
        b"\xff\xfe",
        # `$` of a regular expression also matches before a line end.
        b'{"wire":1,"sequence":"0003\\n","state":"failed","detail":{},"at":1}',
        b'{"wire":1,"sequence":"0003","state":"failed\\n","detail":{},"at":1}',
    ],
    ids=[
        "sequence",
        "number",
        "state",
        "torn",
        "detail",
        "time",
        "digits",
        "bytes",
        "sequence-line",
        "state-line",
    ],
)
def test_what_is_no_status_writes_nothing(
    project: Project, client: mqtt5.Client, payload: bytes
) -> None:
    """A device writes neither the service's record nor another's row; nothing is retried."""
    thing = f"acme--{DEVICE}"
    topic = wire.status_topic(thing, OTHER_COMMAND)
    publish(client, topic, payload)
    # A good message behind it: messages of one connection are taken in order, so once it is a row
    # the bad one is done.
    publish(
        client,
        topic,
        wire.StatusMessage(sequence=9, state=wire.CommandState.RUNNING, at=1).encode(),
    )

    rows = asyncio.run(_until(lambda: states(project, thing, OTHER_COMMAND), 1))
    assert [row["sk"]["S"] for row in rows] == [f"{OTHER_COMMAND}#status#0009"]


@pytest.mark.parametrize(
    "topic",
    [
        wire.status_topic("globex--pump-03", COMMAND),
        wire.status_topic("acme--press-07", COMMAND),
        wire.command_topic(f"acme--{DEVICE}", COMMAND),
        "$aws/things/acme--press-07/jobs/start-next",
        "$aws/rules/cedarfleet_command_status",
    ],
)
def test_a_device_speaks_for_nobody_else(client: mqtt5.Client, topic: str) -> None:
    """Status, command and job topics of others are refused by the stamped policy."""
    assert publish(client, topic, b"{}") == mqtt5.PubackReasonCode.NOT_AUTHORIZED


def last_values(project: Project, tenant: str, device: str) -> dict[str, dict[str, Any]]:
    """What telemetry rules have written of a device, by topic."""
    rows = project.cloud.client("dynamodb").query(
        TableName="cedarfleet-commands",
        KeyConditionExpression="thing = :t",
        ExpressionAttributeValues={":t": {"S": f"{tenant}--telemetry#{device}"}},
    )["Items"]
    return {row["sk"]["S"]: row for row in rows}


def lines(project: Project, tenant: str) -> list[dict[str, Any]]:
    """What Firehose has written into a tenant's bucket."""
    s3, bucket = project.cloud.client("s3"), project.engine.outputs(tenant).outputs["bucket"]
    found = s3.list_objects_v2(Bucket=bucket, Prefix=names.TELEMETRY_PREFIX).get("Contents", [])
    texts = (s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found)
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_what_a_device_measures_is_a_row_and_a_line(project: Project, client: mqtt5.Client) -> None:
    """The last value of a topic stands in the table, every one in the tenant's own bucket."""
    thing = f"acme--{DEVICE}"
    for sequence, value in ((1, "20.50"), (2, "21.00")):
        message = wire.TelemetryMessage(sequence=sequence, at=1_700_000_000_000, value=value)
        topic = wire.telemetry_topic("acme", thing, "motor/left")
        assert publish(client, topic, message.encode()) == mqtt5.PubackReasonCode.SUCCESS

    written = asyncio.run(_until(lambda: lines(project, "acme"), 2))
    assert sorted(line["value"] for line in written) == ["20.50", "21.00"]
    assert {(line["device"], line["topic"], line["at"]) for line in written} == {
        (DEVICE, "motor/left", 1_700_000_000_000)
    }
    row = last_values(project, "acme", DEVICE)["motor/left"]
    assert (row["value"], row["sequence"]) == ({"S": "21.00"}, {"N": "2"})
    assert int(row["ttl"]["N"]) > int(row["received_at"]["N"]) // 1000
    assert lines(project, "globex") == []


@pytest.mark.parametrize(
    ("tenant", "thing", "topic", "taken"),
    [
        ("globex", f"acme--{DEVICE}", "speed", False),
        ("acme", "acme--press-42", "speed", False),
        ("acme", "globex--pump-03", "speed", False),
        ("acme", f"acme--{DEVICE}", "a/b/c/d/e", True),
        ("acme", f"acme--{DEVICE}", "a b", True),
    ],
    ids=["rule", "neighbour", "tenant", "deep", "blank"],
)
def test_a_device_measures_for_nobody_else(
    project: Project, client: mqtt5.Client, *, tenant: str, thing: str, topic: str, taken: bool
) -> None:
    """The policy refuses another's rule and thing, and the rule drops what is no topic of ours."""
    message = wire.TelemetryMessage(sequence=1, at=1, value="1").encode()
    answer = publish(client, wire.telemetry_topic(tenant, thing, topic), message)
    expected = mqtt5.PubackReasonCode.SUCCESS if taken else mqtt5.PubackReasonCode.NOT_AUTHORIZED
    assert answer == expected
    assert not {"speed", topic} & set(last_values(project, "acme", DEVICE))
    assert not last_values(project, "globex", "pump-03")


def test_a_payload_chooses_no_row(project: Project, client: mqtt5.Client) -> None:
    """Keys, a kind of value and a wire version of its own write nothing that it chose."""
    thing = f"acme--{DEVICE}"
    topic = wire.telemetry_topic("acme", thing, "chosen")
    for payload in (
        b'{"wire":1,"sequence":1,"at":1,"value":{"a":1},"thing":"globex--telemetry#pump-03"}',
        b'{"wire":2,"sequence":1,"at":1,"value":"1"}',
        b'{"wire":1,"sequence":1,"at":1}',
        b"no json",
    ):
        publish(client, topic, payload)
    good = wire.telemetry_topic("acme", thing, "behind")
    publish(client, good, wire.TelemetryMessage(sequence=9, at=1, value="1").encode())
    found = asyncio.run(
        _until(
            lambda: [row for row in [last_values(project, "acme", DEVICE).get("behind")] if row], 1
        )
    )
    assert found
    row = last_values(project, "acme", DEVICE).get("chosen")
    assert row is None or row["thing"] == {"S": f"acme--telemetry#{DEVICE}"}
    assert not last_values(project, "globex", "pump-03")
