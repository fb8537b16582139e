"""The SQL of the device events: every row stands in its tenant's partition, or is not written."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import wire
from hypothesis import given
from hypothesis import strategies as st

from infra import names
from infra.stacks.platform_stack import device_events
from service.adapters.aws.devices import rows_of
from service.domain.instants import new_ulid
from service.domain.work import Work, WorkKind
from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.conftest import Project

SECONDS = 10
EVENT_DEVICE = "acme--event-9"


@pytest.fixture
def acme_device(project: Project) -> Iterator[RawDevice]:
    """A device of acme on the line."""
    iot = project.cloud.client("iot")
    iot.create_thing(thingName=EVENT_DEVICE)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName=EVENT_DEVICE, principal=made["certificateArn"])
    iot.attach_policy(policyName=names.device_policy("acme"), target=made["certificateArn"])
    with RawDevice(
        port=project.cloud.mqtt_port,
        ca_file=Path(project.cloud.ca),
        certificate=made["certificatePem"],
        key=made["keyPair"]["PrivateKey"],
    ) as device:
        assert device.connect(EVENT_DEVICE) == 0
        yield device


@pytest.mark.parametrize("event", device_events.RULES)
def test_every_column_is_named(event: str) -> None:
    """Nothing of a payload becomes a column by itself; name and times are bounded."""
    sql = device_events.RULES[event]
    selected = sql.partition("SELECT ")[2].partition(" FROM ")[0]
    assert not selected.startswith("*")
    columns = [item.rpartition(" AS ")[2] for item in re.split(r", (?=[a-zA-Z_]+\b)", selected)]
    assert {"partition", "sk", "at"} <= set(columns)
    assert "length(timestamp) <=" in sql
    # `$` stands before a final line break too; what matches is compared with all of it instead.
    assert not re.search(r"\$'", sql)


@given(st.from_regex(r"[A-Za-z0-9:_-]{1,128}", fullmatch=True) | st.text(max_size=40))
def test_a_rule_takes_the_names_of_devices_and_no_others(name: str) -> None:
    """What the rule's pattern takes as a whole is what the wire splits, into the same parts."""
    [pattern] = re.findall(
        r"regexp_substr\(topic\(4\), '([^']*)'\) = ", device_events.RULES["created"]
    )
    found = re.search(pattern, name)
    try:
        tenant, device = wire.split_thing_name(name)
    except wire.WireError:
        # A tenant's id has at least two characters and at most 32, which no pattern needs to say.
        assert found is None or found[0] != name or not 2 <= name.index("--") <= 32
        return
    assert found is not None
    assert found[0] == name
    prefix = re.search(pattern.partition("[A-Z")[0], name)
    assert prefix is not None
    assert (prefix[0], name[len(prefix[0]) :]) == (f"{tenant}--", device)


def rows(project: Project, tenant: str, device: str) -> list[dict[str, Any]]:
    """The rows under a device's name."""
    found = project.cloud.client("dynamodb").query(
        TableName="cedarfleet-devices",
        KeyConditionExpression="#p = :p AND begins_with(sk, :d)",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":p": {"S": f"{tenant}--devices"}, ":d": {"S": f"{device}#"}},
        ConsistentRead=True,
    )["Items"]
    return [{name: next(iter(value.values())) for name, value in row.items()} for row in found]


def test_a_thing_is_written_down_when_it_comes_and_goes(project: Project) -> None:
    """One row when it was made and one when it was deleted; a change in between writes none."""
    iot = project.cloud.client("iot")
    made = iot.create_thing(thingName="acme--event-1")["thingId"]
    iot.update_thing(thingName="acme--event-1", attributePayload={"attributes": {"a": "b"}})
    iot.delete_thing(thingName="acme--event-1")
    born, gone = rows(project, "acme", "event-1")
    assert set(born) == set(gone) == {"partition", "sk", "at", "thing_id"}
    assert (born["sk"], gone["sk"]) == (f"event-1#born#{made}", f"event-1#gone#{made}")
    assert time.time() * 1000 - SECONDS * 1000 < int(born["at"]) <= int(gone["at"])


def test_what_is_no_device_writes_nothing(project: Project) -> None:
    """Names that a claim may make, or anybody else, stand in no tenant's partition."""
    iot = project.cloud.client("iot")
    odd = ("acme", "acme--a:b", "acme---bad", "acme--", "claim:acme:x", "-acme--x", "Acme--x")
    for name in odd:
        iot.create_thing(thingName=name)
        iot.delete_thing(thingName=name)
    table = project.cloud.client("dynamodb").scan(TableName="cedarfleet-devices")["Items"]
    assert {row["partition"]["S"] for row in table} <= {"acme--devices", "globex--devices"}
    for device in ("a:b", "-bad", "", "x"):
        assert rows(project, "acme", device) == []


def test_a_device_that_subscribes_is_work(project: Project, acme_device: RawDevice) -> None:
    """To its commands alone; what the rule sends is what the worker reads."""
    jobs = f"$aws/things/{EVENT_DEVICE}/jobs/notify"
    for identifier, topic in enumerate((f"{jobs}-next", jobs), start=1):
        acme_device.subscribe(topic, identifier=identifier)
    acme_device.subscribe(wire.command_filter(EVENT_DEVICE), identifier=3)
    sqs = project.cloud.client("sqs")
    queue = project.engine.outputs("platform").outputs["work_queue"]
    wanted = Work(
        kind=WorkKind.REDELIVER_COMMANDS, issuer="", tenant="acme", about={"thing": EVENT_DEVICE}
    )
    found: list[Work] = []
    while wanted not in found:  # the last one comes last
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        assert answer.get("Messages"), f"nothing came within 20 s but {found}"
        for message in answer["Messages"]:
            found.append(Work.decode(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    # Others of this cloud have work too, and what happens to devices is told (test_live_events).
    mine = [work for work in found if EVENT_DEVICE in work.about.values()]
    assert [work for work in mine if work.kind is not WorkKind.TELL_EVENT] == [wanted]


def test_what_a_device_says_of_its_versions_is_a_row(
    project: Project, acme_device: RawDevice
) -> None:
    """The last word counts; what is of another form, or told elsewhere, writes nothing."""
    topic, device = wire.versions_topic(EVENT_DEVICE), EVENT_DEVICE.partition("--")[2]

    def said() -> dict[str, Any] | None:
        found = rows(project, "acme", device)
        return next((row for row in found if row["sk"] == f"{device}#versions"), None)

    def told(message: wire.VersionsMessage) -> dict[str, Any]:
        acme_device.publish(topic, message.encode())
        until = time.monotonic() + SECONDS
        while (row := said()) is None or row["agent"] != message.agent:
            assert time.monotonic() < until, f"no row of {message.agent}, but {row}"
            time.sleep(0.05)
        return row

    told(wire.VersionsMessage(agent="0.1.0", packages={"firmware": "1.4.1"}))
    packages = {"firmware": "1.4.2", "recipes": "7"}
    good = wire.VersionsMessage(agent="0.2.0", packages=packages)
    row = told(good)
    assert set(row) == {"partition", "sk", "at", "agent", "packages"}
    item = {name: {"N" if name == "at" else "S": text} for name, text in row.items()}
    seen = rows_of([item]).versions
    assert seen is not None
    assert (seen.agent, seen.packages) == ("0.2.0", packages)
    odd = json.loads(good.encode()) | {"agent": "0.9.0"}
    for document in (
        odd | {"wire": 2},
        odd | {"agent": "0.9.0\n"},
        odd | {"agent": "x" * 65},
        {"wire": 1, "agent": "0.9.0"},
        odd | {"packages": {"x": "y" * 4 * wire.MAX_VERSIONS_BYTES}},
        [odd],
    ):
        acme_device.publish(topic, json.dumps(document).encode())
    acme_device.publish(wire.status_topic(EVENT_DEVICE, "presence"), json.dumps(odd).encode())
    # Of one device the rules are run in the order of its messages: what comes behind is the proof.
    command_id = new_ulid(0)
    state = wire.StatusMessage(sequence=1, state=wire.CommandState.SUCCEEDED, at=1)
    acme_device.publish(wire.status_topic(EVENT_DEVICE, command_id), state.encode())
    key = {"thing": {"S": EVENT_DEVICE}, "sk": {"S": f"{command_id}#status#0001"}}
    until = time.monotonic() + SECONDS
    table = project.cloud.client("dynamodb")
    while "Item" not in table.get_item(TableName="cedarfleet-commands", Key=key):
        assert time.monotonic() < until, "the last message came to no row"
        time.sleep(0.05)
    assert said() == row
