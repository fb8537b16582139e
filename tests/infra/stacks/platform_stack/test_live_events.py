"""The SQL of the live events: each message is one that the worker reads, of its own tenant."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import wire

from infra import names
from infra.stacks.platform_stack import live_events
from service.domain.events import EventType
from service.domain.instants import new_ulid
from service.domain.work import Work, WorkKind
from service.operations.event_telling import event_of_rule
from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice

if TYPE_CHECKING:
    from tests.infra.conftest import Project

DEVICE = "live-9"
THING = f"acme--{DEVICE}"


@pytest.mark.parametrize("rule", live_events.RULES)
def test_every_member_is_named_and_whole(rule: str) -> None:
    """Nothing of a payload becomes a member by itself; a rule's name says what it tells."""
    sql = live_events.RULES[rule]
    selected = sql.partition("SELECT ")[2].partition(" FROM ")[0]
    assert not selected.startswith("*")
    assert f"'{EventType(rule.replace('_', '.', 1))}' AS happened" in selected
    assert {"version", "kind", "tenant", "thing", "at"} <= set(re.findall(r" AS (\w+)", selected))
    # `$` stands before a final line break too; what matches is compared with all of it instead.
    assert not re.search(r"\$'(?!, '')", sql)


def test_what_devices_tell_is_read_by_the_worker(project: Project) -> None:
    """A thing is made, comes, says a state and goes: four events, each as it was."""
    cloud = project.cloud
    iot = cloud.client("iot")
    iot.create_thing(thingName=THING)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName=THING, principal=made["certificateArn"])
    iot.attach_policy(policyName=names.device_policy("acme"), target=made["certificateArn"])
    command = new_ulid(int(time.time() * 1000))
    topic = wire.status_topic(THING, command)
    said = {"sequence": "0002", "state": "running", "detail": {"a": 1}, "at": 1, "kind": "other"}
    with RawDevice(
        port=cloud.mqtt_port,
        ca_file=Path(cloud.ca),
        certificate=made["certificatePem"],
        key=made["keyPair"]["PrivateKey"],
    ) as device:
        assert device.connect(THING) == 0
        for wrong in ({"state": "bored"}, {"sequence": "2"}, {"state": "running\n"}):
            device.publish(topic, json.dumps(said | wrong).encode())
        device.publish(topic, json.dumps(said).encode())
        device.ping(seconds=10)
    sqs, queue = cloud.client("sqs"), project.engine.outputs("platform").outputs["work_queue"]
    found: dict[str, tuple[str | None, dict[str, str]]] = {}
    while EventType.DEVICE_DISCONNECTED not in found or EventType.COMMAND_STATE not in found:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        assert answer.get("Messages"), f"nothing came within 20 s but {found}"
        for message in answer["Messages"]:
            work = Work.decode(message["Body"])
            if work.kind is WorkKind.TELL_EVENT and work.about["thing"] == THING:
                assert work.tenant == "acme"
                event = event_of_rule(work.tenant, work.about)
                assert abs(event.at - time.time() * 1000) < 60_000
                assert event.type not in found
                found[event.type] = (event.device, dict(event.data))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert found.keys() == {
        EventType.DEVICE_ENROLLED,
        EventType.DEVICE_CONNECTED,
        EventType.COMMAND_STATE,
        EventType.DEVICE_DISCONNECTED,
    }
    assert {device for device, _ in found.values()} == {DEVICE}
    assert found[EventType.COMMAND_STATE][1] == {
        "command": command,
        "sequence": "0002",
        "state": "running",
    }
    assert found[EventType.DEVICE_DISCONNECTED][1].keys() == {"connection", "reason"}
