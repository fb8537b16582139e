"""A tenant's data goes into one file, over kills, and into the tenant of a second platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.commands.tenant_archive.archive import Archive, ArchiveError, sha256_of
from infra.commands.tenant_archive.audit_lines import linked_in
from infra.local.people import add_person
from infra.policies.store.deployed import granted, read
from service.cedar.granted import is_granted
from service.domain.instants import first_ulid
from tests.certificates import certified
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

EMAIL = "moving@acme.example"
SECONDS = 60


@pytest.fixture(scope="module")
def lived_in(deployed: DeployedService) -> Iterator[dict[str, Any]]:
    """What a tenant makes by the API: group, person, grant, command; and a device that came.

    Other files find no grant and no group of it.
    """
    iot = deployed.setup.cloud.client("iot")
    certificate = certified(iot)
    iot.attach_thing_principal(thingName="acme--press-02", principal=certificate["certificateArn"])
    add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email=EMAIL,
        groups=["technicians"],
        region="eu-central",
    )
    group = {"id": "moving", "description": "those that move", "parents": ["line-press"]}
    made = deployed.call("POST", "/v1/groups", json=group)
    assert made.status_code == 201, made.text
    grant = deployed.call(
        "POST",
        "/v1/grants",
        json={
            "template": "technician-for-line",
            "person": EMAIL,
            "device": "press-02",
            "until": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
            "reason": "moves with them",
        },
    )
    assert grant.status_code == 201, grant.text
    command = deployed.call("POST", "/v1/devices/press-02/commands", json={"name": "reboot"})
    assert command.status_code == 202, command.text
    deadline = time.monotonic() + 2 * SECONDS
    while True:  # a chain is signed a minute after its first link; nobody tells
        state = deployed.call("GET", "/v1/audit/chain").json()
        if state["signed"]:
            break
        assert time.monotonic() < deadline, state
        time.sleep(1)
    # The first link of a day has the day before counted; an archive made before that lacks the row.
    while not deployed.call("GET", "/v1/usage").json()["days"]:
        assert time.monotonic() < deadline, "nobody counted a day"
        time.sleep(1)
    pem = iot.describe_certificate(certificateId=certificate["certificateId"])
    yield {
        "pem": pem["certificateDescription"]["certificatePem"],
        "certificate": certificate["certificateId"],
        "grant": grant.json(),
        "command": command.json()["id"],
    }
    iot.detach_thing_principal(thingName="acme--press-02", principal=certificate["certificateArn"])
    for path in (f"/v1/grants/{grant.json()['id']}", "/v1/groups/moving"):
        gone = deployed.call("DELETE", path)
        assert gone.status_code == 200, gone.text


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Another platform with a fresh acme."""
    with running_cloud(tmp_path_factory.mktemp("second")) as cloud:
        made = Project(copy_project(tmp_path_factory.mktemp("second-files")), cloud)
        for stack in ("platform", "acme"):
            made.up(stack)
        yield made


def operator(environment: Mapping[str, str], *words: str) -> list[str]:
    """What `python -m infra tenants` says on one of the clouds."""
    done = subprocess.run(
        [sys.executable, "-m", "infra", "tenants", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def archive(
    deployed: DeployedService, lived_in: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Made by a run that was killed as soon as it had written something, and by one after it."""
    del lived_in
    folder = tmp_path_factory.mktemp("export")
    environment = deployed.setup.cloud.environment()
    command = [sys.executable, "-m", "infra", "tenants", "export", "acme", "--to", str(folder)]
    parts = folder / "acme.parts"
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment) as run:
        while not (parts / "devices.jsonl").exists():
            assert run.poll() is None
            time.sleep(0.01)  # a file system tells nobody
        run.kill()
    assert not (folder / "acme.tar").exists()
    before = (parts / "audit.jsonl").stat()
    said = operator(environment, "export", "acme", "--to", str(folder))
    assert any(line.startswith("audit.jsonl: verified: ") for line in said), said
    assert said[-1].endswith(sha256_of(folder / "acme.tar"))
    assert not parts.exists()
    with tarfile.open(folder / "acme.tar") as tar:
        assert tar.getmember("audit.jsonl").size == before.st_size  # whole, so not read again
    return folder / "acme.tar"


def test_an_archive_holds_the_tenant_and_no_key(
    deployed: DeployedService, archive: Path, lived_in: dict[str, Any], tmp_path: Path
) -> None:
    """Devices, people, groups, grants, policies, commands and files; the trail verifies alone."""
    opened = Archive.opened(archive, tmp_path)
    devices = {line["device"]: line for line in opened.lines("devices.jsonl")}
    assert devices["press-02"]["certificates"] == [lived_in["pem"]]
    people = {line["email"]: line for line in opened.lines("people.jsonl")}
    assert people[EMAIL]["groups"] == ["technicians"]
    assert "moving" in {line["sk"]["S"] for line in opened.lines("groups.jsonl")}
    assert lived_in["grant"]["id"] in {line["sk"]["S"] for line in opened.lines("grants.jsonl")}
    history = (tmp_path / "history.jsonl").read_text()
    assert f"{lived_in['command']}#record" in history
    files = {line["key"]: line for line in opened.lines("files.jsonl")}
    steel = files["recipes/steel.json"]
    assert steel["metadata"]["sha256"] == steel["sha256"]
    assert (tmp_path / "files" / steel["sha256"]).read_bytes() == b'{"temperature": 900}'
    for part in tmp_path.glob("*.jsonl"):
        text = part.read_text()
        assert "PRIVATE KEY" not in text
        assert "globex" not in text
    assert "acme--people" not in history
    check = [sys.executable, "-m", "service", "verify-audit", str(tmp_path / "audit.jsonl")]
    done = subprocess.run(check, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    linked = linked_in(tmp_path / "audit.jsonl")
    assert len(linked) == int(done.stdout.split()[1]) >= 3
    tail = {line["sk"]["S"] for line in opened.lines("audit-open.jsonl")}
    assert not tail & linked
    pages = deployed.setup.cloud.client("dynamodb").get_paginator("scan")
    rows = [row for page in pages.paginate(TableName="cedarfleet-audit") for row in page["Items"]]
    of_acme = {row["sk"]["S"] for row in rows if row["partition"]["S"].startswith("acme--audit#")}
    began = datetime.fromisoformat(opened.manifest["began_at"])
    before = {one for one in of_acme if one < first_ulid(int(began.timestamp() * 1000))}
    assert before <= tail | linked <= of_acme, "not an entry is lost"
    days = {row["sk"]["S"]: row for row in rows if row["partition"]["S"] == "acme--usage"}
    assert days
    assert {line["sk"]["S"]: line for line in opened.lines("usage.jsonl")} == days


def test_an_archive_that_was_changed_is_refused(archive: Path, tmp_path: Path) -> None:
    """One letter of one part, which its manifest does not know."""
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "parts", filter="data")
    part = tmp_path / "parts" / "people.jsonl"
    part.write_text(part.read_text().replace("technicians", "managers   "))
    with tarfile.open(tmp_path / "changed.tar", "w") as tar:
        for file in sorted((tmp_path / "parts").rglob("*")):
            if file.is_file():
                tar.add(file, arcname=str(file.relative_to(tmp_path / "parts")))
    with pytest.raises(ArchiveError, match=r"people.jsonl is missing, or not what"):
        Archive.opened(tmp_path / "changed.tar", tmp_path / "opened")


def test_a_tenant_arrives_on_a_second_platform(
    archive: Path, lived_in: dict[str, Any], second: Project
) -> None:
    """People invited anew, grants bound to them, devices and files as they were; twice is once."""
    cloud = second.cloud
    own = {"AWS_ENDPOINT_URL": cloud.endpoint_url, "AWS_REGION": cloud.region}
    environment = cloud.environment | own
    outputs = second.engine.outputs("acme").outputs
    first = operator(environment, "import", "acme", str(archive))
    assert "grants: 1 are given anew" in first
    again = operator(environment, "import", "acme", str(archive))
    assert any(line.startswith("people: 0 are invited") for line in again)
    assert "grants: 0 are given anew" in again

    cognito = cloud.client("cognito-idp")
    person = {"UserPoolId": outputs["user_pool_id"], "Username": EMAIL}
    held = cognito.admin_get_user(**person)
    assert held["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    subject = next(one["Value"] for one in held["UserAttributes"] if one["Name"] == "sub")
    groups = cognito.admin_list_groups_for_user(**person)["Groups"]
    assert [group["GroupName"] for group in groups] == ["technicians"]
    ids = json.loads(archive.with_name("acme-ids.json").read_text())
    assert subject in ids["people"].values()
    assert subject not in ids["people"]

    permissions, table = cloud.client("verifiedpermissions"), cloud.client("dynamodb")
    store, marks = outputs["policy_store_id"], granted(table, "acme")
    assert len(marks) == 1
    statements = [
        permissions.get_policy(policyStoreId=store, policyId=one["policyId"])["definition"]
        for page in permissions.get_paginator("list_policies").paginate(policyStoreId=store)
        for one in page["policies"]
    ]
    ours = [
        one["static"]["statement"]
        for one in statements
        if "static" in one and is_granted(one["static"]["statement"])
    ]
    assert len(ours) == 1
    assert f"{outputs['user_pool_id']}|{subject}" in ours[0]
    assert f'@id("grant-{lived_in["grant"]["id"]}")' in ours[0]
    assert not any(map(is_granted, read(permissions, store, grants=marks).static.values()))

    described = cloud.client("iot").describe_certificate(certificateId=lived_in["certificate"])
    assert described["certificateDescription"]["status"] == "ACTIVE"
    facts = table.get_item(
        TableName="cedarfleet-devices",
        Key={"partition": {"S": "acme--devices"}, "sk": {"S": "press-02#facts"}},
    )["Item"]
    assert facts["attributes"]["M"]["kind"] == {"S": "press"}
    key = {"partition": {"S": "acme--groups"}, "sk": {"S": "moving"}}
    assert "Item" in table.get_item(TableName="cedarfleet-devices", Key=key)
    got = cloud.client("s3").get_object(Bucket=outputs["bucket"], Key="recipes/steel.json")
    assert got["Body"].read() == b'{"temperature": 900}'
    assert "sha256" in got["Metadata"]


def test_a_revoked_grant_stays_revoked(
    archive: Path, lived_in: dict[str, Any], second: Project
) -> None:
    """It was revoked on the new platform, and the import is repeated after that."""
    cloud = second.cloud
    own = {"AWS_ENDPOINT_URL": cloud.endpoint_url, "AWS_REGION": cloud.region}
    permissions, table = cloud.client("verifiedpermissions"), cloud.client("dynamodb")
    store = second.engine.outputs("acme").outputs["policy_store_id"]
    operator(cloud.environment | own, "import", "acme", str(archive))
    key = {"thing": {"S": "acme--grants"}, "sk": {"S": lived_in["grant"]["id"]}}
    row = table.get_item(TableName="cedarfleet-commands", Key=key)["Item"]
    permissions.delete_policy(policyStoreId=store, policyId=row["policy_id"]["S"])
    table.put_item(TableName="cedarfleet-commands", Item=row | {"state": {"S": "revoked"}})

    said = operator(cloud.environment | own, "import", "acme", str(archive))
    assert "grants: 0 are given anew" in said
    pages = permissions.get_paginator("list_policies").paginate(policyStoreId=store)
    held = [one["definition"].get("static", {}) for page in pages for one in page["policies"]]
    assert not [one for one in held if one.get("description", "").startswith("grant ")]
    kept = table.get_item(TableName="cedarfleet-commands", Key=key)["Item"]
    assert kept["state"] == {"S": "revoked"}
