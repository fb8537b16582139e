"""`python -m infra devices export|import|move`: what is taken along, and what is refused."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import wire

from infra.__main__ import main
from infra.commands import moves
from infra.commands.device_rows import DeviceTable

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

GOOD: dict[str, Any] = {
    "format": 1,
    "tenant": "acme",
    "device": "press-07",
    "thing_type": "",
    "certificates": [],
}


class Nobody:
    """An account that must not be asked."""


class Rows:
    """A table whose one page of rows is given."""

    def __init__(self, rows: tuple[dict[str, Any], ...]) -> None:
        self._rows = list(rows)

    def get_paginator(self, _operation: str) -> Rows:
        """Itself."""
        return self

    def paginate(self, **_asked: object) -> list[dict[str, Any]]:
        """One page."""
        return [{"Items": self._rows}]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"tenant": "globex"}, "line 1: must be of format 1 and tenant `acme`, is of 1 and `glo"),
        ({"format": 2}, "line 1: must be of format 1 and tenant `acme`, is of 2 and `acme`"),
        ({"device": "a/b"}, "line 1: no line of an export: WireError"),
        ({"certificates": None}, "line 1: no line of an export: TypeError"),
        (
            {"certificates": ["-----BEGIN EC PRIVATE KEY-----"]},
            "line 1: has a private key, which must not leave its device",
        ),
    ],
    ids=str,
)
def test_what_is_no_export_of_the_tenant_is_refused(odd: dict[str, Any], words: str) -> None:
    """Before the account is asked for anything."""
    nobody: Any = Nobody()
    there = moves.Registry(
        iot=nobody, data=nobody, table=DeviceTable(client=nobody, name="devices", tenant="acme")
    )
    with pytest.raises(moves.ExportError, match=f"^{words}"):
        list(moves.imported(there, [json.dumps(GOOD | odd)], by="operator"))
    with pytest.raises(moves.ExportError, match=r"^line 1: no line of an export: "):
        list(moves.imported(there, ["{"], by="operator"))


@pytest.mark.parametrize(
    ("to", "words"), [("localhost", "`endpoint` is not of its form"), ("a.example:x", "invalid")]
)
def test_a_name_that_is_none_tells_nobody(
    to: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator is told what is wrong with it."""
    with pytest.raises(SystemExit, match="2"):
        main(["devices", "move", "acme", "--to", to])
    assert f"--to: `{to}`: " in (said := capsys.readouterr().err)
    assert words in said


def test_a_file_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its path, before any credentials are looked for."""
    missing = tmp_path / "acme.jsonl"
    with pytest.raises(SystemExit, match="2"):
        main(["devices", "import", "acme", str(missing)])
    assert f"`{missing}` cannot be read: " in capsys.readouterr().err


def test_what_was_revoked_or_replaced_stays_behind(embedded_cloud: EmbeddedCloud) -> None:
    """No certificate but an active one is exported, and no facts of a thing that is no more."""
    tenant, iot = f"t{uuid.uuid4().hex[:12]}", embedded_cloud.client("iot")
    data = embedded_cloud.client("iot-data")
    thing = iot.create_thing(thingName=f"{tenant}--press-07")
    kept, revoked = (iot.create_keys_and_certificate(setAsActive=True) for _ in range(2))
    for each in (kept, revoked):
        iot.attach_thing_principal(
            thingName=f"{tenant}--press-07", principal=each["certificateArn"]
        )
    iot.update_certificate(certificateId=revoked["certificateId"], newStatus="REVOKED")

    def exported(*rows: dict[str, Any]) -> dict[str, Any]:
        table = DeviceTable(client=Rows(rows), name="devices", tenant=tenant)
        (line,) = moves.exported(moves.Registry(iot=iot, data=data, table=table))
        return json.loads(line)

    facts = {"sk": {"S": "press-07#facts"}, "attributes": {"M": {}}}
    line = exported({**facts, "origin": {"S": "another thing"}})
    assert line["certificates"] == [kept["certificatePem"]]
    assert "facts" not in line
    assert exported({**facts, "origin": {"S": thing["thingId"]}})["facts"] == {
        "attributes": {"M": {}}
    }
    registration = {
        "sk": {"S": "press-07#enrolment#R1"},
        "thing_id": {"S": thing["thingId"]},
    }
    assert "facts" in exported({**facts, "origin": {"S": "R1"}}, registration)


def test_pins_and_state_are_taken_along(embedded_cloud: EmbeddedCloud) -> None:
    """What a device is pinned to, what is desired of it and what it answered; once, not again."""
    tenant, iot = f"t{uuid.uuid4().hex[:12]}", embedded_cloud.client("iot")
    data, name = embedded_cloud.client("iot-data"), f"{tenant}--press-07"
    shadow = {"thingName": name, "shadowName": "state"}
    origin = iot.create_thing(thingName=name)["thingId"]
    iot.create_thing_group(thingGroupName=tenant)
    state = {"desired": {"lamp": {"value": "1"}}, "reported": {"lamp": {"value": "0"}}}
    data.update_thing_shadow(**shadow, payload=json.dumps({"state": state}).encode())
    facts = {
        "sk": {"S": "press-07#facts"},
        "attributes": {"M": {}},
        "pinned": {"L": [{"S": "firmware"}]},
        "origin": {"S": origin},
    }
    here = moves.Registry(
        iot=iot, data=data, table=DeviceTable(client=Rows((facts,)), name="devices", tenant=tenant)
    )
    (line,) = moves.exported(here)
    assert json.loads(line)["facts"]["pinned"] == facts["pinned"]
    assert json.loads(line)["state"] == state

    bare = json.dumps({**json.loads(line), "facts": {}})
    iot.delete_thing(thingName=name)
    data.delete_thing_shadow(**shadow)
    assert list(moves.imported(here, [bare], by="operator"))
    arrived = json.loads(data.get_thing_shadow(**shadow)["payload"].read())["state"]
    assert {key: arrived[key] for key in state} == state
    newer = {"state": {"desired": {"lamp": {"value": "2"}}}}
    data.update_thing_shadow(**shadow, payload=json.dumps(newer).encode())
    assert list(moves.imported(here, [bare], by="operator"))
    kept = json.loads(data.get_thing_shadow(**shadow)["payload"].read())["state"]
    assert kept["desired"]["lamp"]["value"] == "2", "what is there already stays"


def test_another_tenants_certificate_is_not_taken(embedded_cloud: EmbeddedCloud) -> None:
    """Its public part is no secret; whoever puts it into their file gets nothing attached to it."""
    tenant, iot = f"t{uuid.uuid4().hex[:12]}", embedded_cloud.client("iot")
    data = embedded_cloud.client("iot-data")
    theirs = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_thing(thingName=f"other{tenant}--pump-01")
    iot.attach_thing_principal(
        thingName=f"other{tenant}--pump-01", principal=theirs["certificateArn"]
    )
    table = DeviceTable(client=Rows(()), name="devices", tenant=tenant)
    line = GOOD | {"tenant": tenant, "certificates": [theirs["certificatePem"]]}
    registry = moves.Registry(iot=iot, data=data, table=table)
    with pytest.raises(moves.ExportError, match="is held by a thing of somebody else"):
        list(moves.imported(registry, [json.dumps(line)], by="operator"))
    held = iot.list_principal_things(principal=theirs["certificateArn"])["things"]
    assert held == [f"other{tenant}--pump-01"]
    policies = iot.list_attached_policies(target=theirs["certificateArn"])["policies"]
    assert policies == []


class Jobs:
    """IoT Core whose job has come so far on each thing, and which notes the jobs that are made."""

    def __init__(self, **statuses: str) -> None:
        self._statuses = statuses
        self.made: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> Jobs:
        """Itself."""
        assert operation == "list_job_executions_for_job"
        return self

    def paginate(self, *, jobId: str) -> list[dict[str, Any]]:  # noqa: N803
        """A page for each thing."""
        return [
            {
                "executionSummaries": [
                    {
                        "thingArn": f"arn:aws:iot:eu-central-1:1:thing/{jobId}--{thing}",
                        "jobExecutionSummary": {"status": status},
                    }
                ]
            }
            for thing, status in self._statuses.items()
        ]

    def describe_job_execution(self, *, jobId: str, thingName: str) -> dict[str, Any]:  # noqa: N803
        """With the reason that the thing of that name alone has told."""
        told = {"detailsMap": {"reason": "no way"}} if thingName == f"{jobId}--told" else None
        return {"execution": {"statusDetails": told} if told else {}}

    def describe_thing(self, *, thingName: str) -> dict[str, str]:  # noqa: N803
        """Of each one that is asked for."""
        return {"thingArn": f"thing/{thingName}"}

    def describe_thing_group(self, *, thingGroupName: str) -> dict[str, str]:  # noqa: N803
        """Likewise."""
        return {"thingGroupArn": f"group/{thingGroupName}"}

    def create_job(self, **asked: Any) -> None:
        """Noted."""
        self.made.append(asked)


def of_jobs(jobs: Any) -> moves.Registry:
    """An account of which nothing else is asked."""
    table = DeviceTable(client=Nobody(), name="devices", tenant="acme")
    return moves.Registry(iot=jobs, data=Nobody(), table=table)


@pytest.mark.parametrize(
    ("devices", "targets"),
    [
        (["press-01", "press-02"], ["thing/acme--press-01", "thing/acme--press-02"]),
        ([], ["group/acme"]),
    ],
    ids=["named", "all"],
)
def test_a_move_is_told_to_whom_it_is_for(devices: list[str], targets: list[str]) -> None:
    """The devices that are named, else all that are the tenant's now."""
    jobs, document = Jobs(), wire.MoveDocument(endpoint="b.example", port=443)
    job = moves.tell(of_jobs(jobs), document, devices=devices)
    (made,) = jobs.made
    assert (made["jobId"], made["targets"]) == (job, targets)
    assert made["targetSelection"] == "SNAPSHOT", "a device that comes later stays"
    assert wire.MoveDocument.decode(json.loads(made["document"])) == document


def test_devices_that_stay_are_told_with_their_reason() -> None:
    """And of all the others how many; of nobody at all that too."""
    jobs = Jobs(
        told="REJECTED", silent="FAILED", late="TIMED_OUT", a="SUCCEEDED", b="SUCCEEDED", c="QUEUED"
    )
    assert list(moves.progress(of_jobs(jobs), "j")) == [
        "j--told: REJECTED: no way",
        "j--silent: FAILED: no reason was told",
        "j--late: TIMED_OUT: no reason was told",
        "1 FAILED, 1 QUEUED, 1 REJECTED, 2 SUCCEEDED, 1 TIMED_OUT",
    ]
    assert list(moves.progress(of_jobs(Jobs()), "j")) == ["nobody yet"]
