"""``python -m infra devices``: what IoT Core knows is taken over once, and compared at any time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from infra import names
from infra.commands import devices
from infra.commands.device_rows import DeviceTable
from service.adapters.aws.devices import DynamoDeviceFacts
from service.adapters.aws.enrolment_rows import enrolment_item, enrolment_of
from service.domain.enrolments import Enrolment, code_digest, new_code
from service.settings import RecordSettings
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud
    from service.domain.devices import Device
    from service.domain.tenants import Tenant

ROOT = Path(__file__).parents[3]


class Fleet:
    """A tenant whose devices stand in IoT Core as release 0.1.0 left them, and an empty table."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.id = f"t{uuid.uuid4().hex[:12]}"
        self.table = f"devices-{self.id}"
        self.groups: dict[str, tuple[str, ...]] = {"line-press": (), "zone-hall-1": ()}
        self.iot, self.dynamodb = cloud.client("iot"), cloud.client("dynamodb")
        keys = {"partition": "HASH", "sk": "RANGE"}
        self.dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        for line in ("line-press", "zone-hall-1"):
            self.iot.create_thing_group(thingGroupName=f"{self.id}--{line}")

    def add(self, device: str, *lines: str, **attributes: str) -> str:
        """A thing; its id."""
        thing = f"{self.id}--{device}"
        payload = {"attributes": attributes | {"claimed_by": "a-certificate"}}
        made: str = self.iot.create_thing(thingName=thing, attributePayload=payload)["thingId"]
        for line in lines:
            self.iot.add_thing_to_thing_group(thingGroupName=f"{self.id}--{line}", thingName=thing)
        return made

    def remove(self, device: str) -> None:
        """Delete the thing."""
        self.iot.delete_thing(thingName=f"{self.id}--{device}")

    def read(self, device: str) -> Device | None:
        """The device as the service sees it."""
        facts = DynamoDeviceFacts(
            aws=RootDoor(self.cloud),
            settings=RecordSettings(devices_table=self.table),
        )
        return asyncio.run(facts.find(cast("Tenant", self), device))

    def take_over(self, *, dry: bool = False) -> list[str]:
        """What is told while it is taken over."""
        return list(devices.take_over(self.iot, self.rows, by="operator", dry=dry))

    def differences(self) -> list[str]:
        """What is told of both."""
        return list(devices.differences(self.iot, self.rows))

    @property
    def rows(self) -> DeviceTable:
        """The table as the operator's command has it."""
        return DeviceTable(client=self.dynamodb, name=self.table, tenant=self.id)


@pytest.fixture
def fleet(embedded_cloud: EmbeddedCloud) -> Iterator[Fleet]:
    """A fleet of its own."""
    made = Fleet(embedded_cloud)
    yield made
    for thing in made.iot.list_things()["things"]:
        if thing["thingName"].startswith(f"{made.id}--"):
            made.iot.delete_thing(thingName=thing["thingName"])


def test_what_0_1_0_left_is_taken_over(fleet: Fleet) -> None:
    """Attributes and lines as the service of 0.1.0 read them, for the thing that has the name."""
    thing = fleet.add("press-07", "line-press", "zone-hall-1", kind="press", utc_offset="02:00")
    fleet.add("press-08", utc_offset="-05:30")
    fleet.add("bare")
    assert len(fleet.differences()) == 3
    fleet.take_over()
    press = fleet.read("press-07")
    assert press is not None
    assert press.attributes == {"kind": "press", "utc_offset": "+02:00"}
    assert (press.groups, press.origin) == (("line-press", "zone-hall-1"), thing)
    west, bare = fleet.read("press-08"), fleet.read("bare")
    assert west is not None
    assert west.attributes == {"utc_offset": "-05:30"}
    assert bare is not None
    assert (bare.attributes, bare.version) == ({}, 0)
    assert fleet.differences() == []


def test_taking_over_again_restores_nothing(fleet: Fleet) -> None:
    """What the service changed since stays: a revoked group does not come back."""
    fleet.add("press-07", "line-press", kind="press")
    fleet.take_over()
    key = {"partition": {"S": f"{fleet.id}--devices"}, "sk": {"S": "press-07#facts"}}
    fleet.dynamodb.update_item(
        TableName=fleet.table,
        Key=key,
        UpdateExpression="SET #g = :none, #v = :two",
        ExpressionAttributeNames={"#g": "groups", "#v": "version"},
        ExpressionAttributeValues={":none": {"L": []}, ":two": {"N": "2"}},
    )
    told = ["press-07: is there already", "0 devices were taken over"]
    assert fleet.take_over() == told
    press = fleet.read("press-07")
    assert press is not None
    assert (press.groups, press.version) == ((), 2)


def test_a_dry_run_writes_nothing(fleet: Fleet) -> None:
    """It says what would be written."""
    fleet.add("press-07", "line-press", kind="press")
    assert fleet.take_over(dry=True) == [
        "press-07: kind=press, groups=line-press",
        "1 devices would be taken over",
    ]
    assert fleet.read("press-07") is None


def test_differences_are_told_by_name(fleet: Fleet) -> None:
    """A thing without row, a row without thing, and a name that another thing has now."""
    first = {device: fleet.add(device) for device in ("same", "gone", "anew")}
    fleet.take_over()
    fleet.remove("gone")
    fleet.remove("anew")
    second, _ = fleet.add("anew"), fleet.add("new")
    assert fleet.differences() == [
        f"anew: is thing {second} in IoT Core and thing {first['anew']} in the table",
        "gone: the table has it, IoT Core has no such thing",
        "new: IoT Core has it, the table does not: `devices take-over` writes it",
    ]


def test_the_command_says_by_its_exit_code_what_it_found(
    fleet: Fleet, embedded_cloud: EmbeddedCloud
) -> None:
    """0: no difference; 1: a difference, or no right to look, which is said in one line."""
    fleet.add("press-07", kind="press")
    own = embedded_cloud.environment() | {devices.TABLE: fleet.table}

    def command(*arguments: str, **changes: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "infra", "devices", *arguments],
            cwd=ROOT,
            env=os.environ | own | changes,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def counted(**dimensions: str) -> list[float]:
        """What CloudWatch was told, the least and the most of it."""
        now = datetime.now(UTC)
        found: Any = embedded_cloud.client("cloudwatch").get_metric_statistics(
            Namespace=names.METRICS,
            MetricName=names.DEVICES_THAT_DIFFER,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["Minimum", "Maximum"],
        )
        values = [point[name] for point in found["Datapoints"] for name in ("Minimum", "Maximum")]
        return [min(values), max(values)] if values else []

    assert command("compare", fleet.id, "--metric")[0] == 1
    assert counted(Tenant=fleet.id) == [1, 1]
    assert command("take-over", fleet.id)[1].splitlines()[0] == "press-07: kind=press"
    assert command("compare", fleet.id, "--metric") == (0, "", "")
    assert counted(Tenant=fleet.id) == counted() == [0, 1]
    code, told, words = command("compare", fleet.id, AWS_SECRET_ACCESS_KEY="wrong")
    assert (code, told, words.count("\n")) == (1, "", 1)
    assert words.startswith("cannot read or write what is known of devices")


def test_the_table_stands_where_the_program_makes_it() -> None:
    """Without a setting the operator's command takes the stack's table, as the service does."""
    assert RecordSettings().devices_table == names.DEVICES_TABLE
    table = DeviceTable(client=None, name=names.DEVICES_TABLE, tenant="acme")
    assert table._partition == {"S": "acme--devices"}


def test_a_registered_device_is_no_difference(fleet: Fleet) -> None:
    """It has no thing until it comes; then its thing is the one that its registration names."""
    own = {"partition": {"S": f"{fleet.id}--devices"}}
    registration = "01JD0000000000000000000000"
    facts = {
        **own,
        "sk": {"S": "press-91#facts"},
        "attributes": {"M": {}},
        "groups": {"L": []},
        "version": {"N": "1"},
        "origin": {"S": registration},
        "created_at": {"N": "1"},
        "changed_at": {"N": "1"},
        "changed_by": {"S": "somebody"},
    }
    enrolment = {**own, "sk": {"S": f"press-91#enrolment#{registration}"}}
    for item in (facts, enrolment):
        fleet.dynamodb.put_item(TableName=fleet.table, Item=item)
    assert fleet.differences() == []
    thing = fleet.add("press-91")
    assert fleet.differences() != []
    named = enrolment | {"thing_id": {"S": thing}}
    fleet.dynamodb.put_item(TableName=fleet.table, Item=named)
    assert fleet.differences() == []


def test_ended_codes_are_right_for_nobody(fleet: Fleet) -> None:
    """Of this device alone; an enrolment under way finds its row changed."""
    table = DeviceTable(client=fleet.dynamodb, name=fleet.table, tenant=fleet.id)
    code, rows = new_code(), dict[str, Enrolment]()
    for device in ("press-07", "press-071"):
        row = Enrolment(
            tenant=fleet.id,
            device=device,
            registration="01JD0000000000000000000000",
            code_digest=code_digest(fleet.id, device, code),
            expires_at=1,
            version=3,
        )
        fleet.dynamodb.put_item(TableName=fleet.table, Item=enrolment_item(row))
    assert table.end_codes("press-07") == 1
    assert table.end_codes("press-08") == 0
    for item in fleet.dynamodb.scan(TableName=fleet.table)["Items"]:
        found = enrolment_of(item)
        rows[found.device] = found
    assert rows["press-071"].is_proved_by(code)
    assert rows["press-071"].version == 3
    assert not rows["press-07"].is_proved_by(code)
    assert not rows["press-07"].is_proved_by("ended")
    assert rows["press-07"].version == 4
