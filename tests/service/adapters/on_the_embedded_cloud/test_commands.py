"""A command is published under the tenant's role, and read with the states of its device."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cedarfleet_device import wire

from infra import names
from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

COMMANDS = "/v1/devices/press-01/commands"


def status_row(
    command_id: str, number: int, detail: bytes, *, state: str = "running"
) -> dict[str, Any]:
    """A row as the IoT rule writes it."""
    return {
        "thing": {"S": "acme--press-01"},
        "sk": {"S": f"{command_id}#status#{number:04}"},
        "command_id": {"S": command_id},
        "sequence": {"S": f"{number:04}"},
        "state": {"S": state},
        "detail": {"S": base64.b64encode(detail).decode()},
        "device_time": {"N": "1790000000000"},
        "received_at": {"N": "1790000000001"},
    }


@contextmanager
def connected(deployed: DeployedService, thing: str) -> Generator[RawDevice]:
    """A device of acme with a certificate of its own, on the line."""
    cloud = deployed.setup.cloud
    iot = cloud.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    iot.attach_policy(policyName=names.device_policy("acme"), target=made["certificateArn"])
    with RawDevice(
        port=cloud.mqtt_port,
        ca_file=cloud.ca_file,
        certificate=made["certificatePem"],
        key=made["keyPair"]["PrivateKey"],
    ) as device:
        assert device.connect(thing) == 0
        yield device


def test_a_command_is_read_with_the_states_of_its_device(deployed: DeployedService) -> None:
    """The record stands beside what the IoT rule writes; the device's last state is the answer."""
    answer = deployed.call(
        "POST", COMMANDS, json={"name": "reboot", "arguments": {"n": 1}, "timeout_seconds": 120}
    )
    assert answer.status_code == 202, answer.text
    command = answer.json()
    assert deployed.call("GET", command["url"]).json()["state"] == "published"
    table = deployed.setup.stacks["platform"]["commands_table"]
    for sequence, state, detail in ((1, "received", {}), (2, "failed", {"reason": "no power"})):
        row = status_row(command["id"], sequence, json.dumps(detail).encode(), state=state)
        deployed.setup.cloud.client("dynamodb").put_item(TableName=table, Item=row)
    seen = deployed.call("GET", command["url"]).json()
    assert (seen["state"], seen["is_final"], seen["detail"]) == (
        "failed",
        True,
        {"reason": "no power"},
    )
    assert [told["state"] for told in seen["history"]] == ["received", "failed"]
    assert deployed.call("GET", command["url"], tenant="globex").status_code == 404


def test_a_connected_device_decides_where_its_command_stands(deployed: DeployedService) -> None:
    """What it acknowledges is received; where it is silent, or gone, the command is published."""
    refuse = {"name": "reboot", "if_offline": "refuse"}
    with ThreadPoolExecutor(1) as pool, connected(deployed, "acme--press-01") as device:
        sent = pool.submit(deployed.call, "POST", COMMANDS, json=refuse)
        packet = device.read()
        device.acknowledge(packet)
        command = sent.result().json()
        assert (command["state"], json.loads(packet.payload)["command_id"]) == (
            "received",
            command["id"],
        )
        seen = deployed.call("GET", command["url"]).json()
        assert (seen["state"], seen["reported_by"]) == ("received", "device")
        silent = deployed.call("POST", COMMANDS, json={"name": "reboot"})
        assert (silent.status_code, silent.json()["state"]) == (202, "published")
        device.reset()
    away = deployed.call("POST", COMMANDS, json=refuse)
    assert (away.status_code, away.json()["type"].rpartition(":")[2]) == (
        409,
        "device-not-connected",
    )


def test_a_cancel_reaches_the_device_that_has_the_command(deployed: DeployedService) -> None:
    """On the command's own topic, under the tenant's role; the record says so too."""
    with ThreadPoolExecutor(1) as pool, connected(deployed, "acme--press-01") as device:
        device.subscribe(wire.command_filter("acme--press-01"))
        sent = pool.submit(deployed.call, "POST", COMMANDS, json={"name": "reboot"})
        # What was sent before it by another test may still wait for the device.
        while not sent.done():
            try:
                device.acknowledge(device.read(seconds=0.5))
            except TimeoutError:
                continue
        command = sent.result().json()
        canceled = deployed.call("POST", f"{command['url']}/cancel", json={})
        assert (canceled.status_code, canceled.json()["state"]) == (202, "received")
        cancel = None
        while not isinstance(cancel, wire.CancelMessage):  # the command may come more than once
            packet = device.read()
            device.acknowledge(packet)
            cancel = wire.command_or_cancel(packet.payload)
        assert cancel.command_id == command["id"]
        device.reset()
    seen = deployed.call("GET", command["url"]).json()
    assert (seen["state"], seen["is_final"]) == ("received", False)
    assert seen["cancel_requested_at"] is not None
    listed = deployed.call("GET", "/v1/commands?name=reboot&limit=100").json()["commands"]
    assert command["id"] in {one["id"] for one in listed}


def test_what_a_broken_device_reports_is_read_within_bounds(deployed: DeployedService) -> None:
    """Many large states, or a detail that no encoder can say, cost one bounded answer, no error."""
    command = deployed.call("POST", COMMANDS, json={"name": "reboot"}).json()
    dynamodb, table = (
        deployed.setup.cloud.client("dynamodb"),
        deployed.setup.stacks["platform"]["commands_table"],
    )
    details = [
        b'{"x":"\\ud800"}',
        b'{"x":NaN}',
        b'{"x":1e999}',
        b"[" * 5_000,
        b'{"x":"' + b"y" * 9_000 + b'"}',
    ]
    for start in range(1, 401, 25):
        rows = [
            status_row(command["id"], number, details[number % 5])
            for number in range(start, start + 25)
        ]
        dynamodb.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": row}} for row in rows]}
        )
    dynamodb.put_item(
        TableName=table, Item=status_row(command["id"], 401, b'{"ok":true}', state="succeeded")
    )
    answer = deployed.call("GET", command["url"])
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["state"], seen["detail"], seen["history_truncated"]) == (
        "succeeded",
        {"ok": True},
        True,
    )
    assert [told["sequence"] for told in seen["history"]] == list(range(202, 402))
    assert all(told["detail"] == {} for told in seen["history"][:-1])
    assert len(answer.content) < 64 * 1024


def test_a_refused_publish_is_visibly_failed(deployed: DeployedService) -> None:
    """If the broker refuses the tenant's role: 502 with the command's place, which is `failed`."""
    iam, role = (
        deployed.setup.cloud.client("iam"),
        deployed.setup.stacks["globex"]["role_arn"].rpartition("/")[2],
    )
    deny = {"Effect": "Deny", "Action": "iot:Publish", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName="no-publish", PolicyDocument=document)
    try:
        body = {"name": "pause-infusion"}
        answer = deployed.call("POST", "/v1/devices/pump-01/commands", tenant="globex", json=body)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="no-publish")
    assert (answer.status_code, answer.json()["type"]) == (
        502,
        "urn:cedarfleet:problem:command-not-published",
    )
    seen = deployed.call("GET", answer.headers["Location"], tenant="globex").json()
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("failed", True, "service")


def test_one_key_makes_one_command(deployed: DeployedService) -> None:
    """The idempotency key is claimed in the same transaction as the record."""
    headers = {"Idempotency-Key": "adapter-1"}
    first = deployed.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers)
    again = deployed.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers)
    assert first.status_code == again.status_code == 202, again.text
    assert first.json()["id"] == again.json()["id"]
    assert (
        deployed.call("POST", COMMANDS, json={"name": "stop"}, headers=headers).status_code == 422
    )


def test_a_key_past_its_time_makes_a_new_command(deployed: DeployedService) -> None:
    """DynamoDB deletes a row days after its `ttl`; a key counts no longer than that."""
    headers = {"Idempotency-Key": "adapter-late"}
    first = deployed.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers).json()["id"]
    dynamodb = deployed.setup.cloud.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName="cedarfleet-commands")
    (row,) = (item for page in pages for item in page["Items"] if item.get("made") == {"S": first})
    late = row | {"ttl": {"N": str(int(row["ttl"]["N"]) - 48 * 3600)}}
    dynamodb.put_item(TableName="cedarfleet-commands", Item=late)
    again = deployed.call("POST", COMMANDS, json={"name": "reboot"}, headers=headers)
    assert again.status_code == 202, again.text
    assert again.json()["id"] != first


def test_one_key_makes_one_command_also_at_once(deployed: DeployedService) -> None:
    """Eight requests at once under one key: each gets the one command, or is told to try again."""
    token = {
        "Authorization": f"Bearer {deployed.token('acme', 'managers')}",
        "Idempotency-Key": "adapter-2",
    }

    def send(_: int) -> httpx.Response:
        return deployed.http.post(COMMANDS, headers=token, json={"name": "reboot"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} <= {202, 503}
    made = {answer.json()["id"] for answer in (*answers, send(8)) if answer.status_code == 202}
    assert len(made) == 1
