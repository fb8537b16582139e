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
from cedarfleet_device import DeviceConfig
from cedarfleet_device.wire import Manifest, MoveDocument

from infra.commands import moves, revocation
from infra.commands.freezing import freeze, thaw
from infra.commands.suspension import Tenant
from infra.commands.tenant_archive.archive import Archive, ArchiveError, sha256_of
from infra.commands.tenant_archive.arrival import OPERATORS_PARTITION
from infra.commands.tenant_archive.audit_lines import linked_in
from infra.local.demo.tenant_app import TenantApp
from infra.local.people import add_person
from infra.policies.store.deployed import granted, read
from service.cedar.granted import is_granted
from service.domain.instants import first_ulid
from tests.device_sdk.connection.named_relay import NamedRelay
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud
from tests.service.adapters.on_the_embedded_cloud.second_cell import (
    ONE,
    SECONDS,
    TWO,
    Cells,
    agent,
    lets_in,
)
from tests.service.adapters.on_the_embedded_cloud.second_cell import ended as told_of
from tests.service.adapters.on_the_embedded_cloud.test_files import digest, ended, sent, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infra.commands.suspension import Aws
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

EMAIL = "moving@acme.example"
MANAGER = "manager@acme.example"
MOVED, AWAY, STAYS = "press-81", "press-82", "infusion-81"
ARTIFACT = "recipes/moved.bin"
CONTENT = b"steel" * 50_000
WISH = "/v1/groups/moving/wanted-versions/alloys"


@pytest.fixture(scope="module")
def cells(deployed: DeployedService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    """The cloud that the service is deployed on, and a second one with a platform and acme."""
    with running_cloud(tmp_path_factory.mktemp("second")) as cloud, NamedRelay() as relay:
        two = Project(copy_project(tmp_path_factory.mktemp("second-files")), cloud)
        two.change("platform", cell="two", device_endpoint=TWO)
        two.change("acme", cell="two")
        for stack in ("platform", "acme"):
            two.up(stack)
        one = deployed.setup.cloud
        relay.leads |= {f"{ONE}:443": one.mqtt_port, f"{TWO}:443": cloud.mqtt_port}
        yield Cells(one=one, two=two, relay=relay)


@pytest.fixture(scope="module")
def lived_in(
    deployed: DeployedService, cells: Cells, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What a tenant makes by the API: group, person, grant, command, file, wish, devices.

    Other files find no grant, group or wish of it.
    """
    folder = tmp_path_factory.mktemp("devices")
    of = {MOVED: "acme", AWAY: "acme", STAYS: "globex"}
    files = {one: cells.installed(tenant, one, folder / one) for one, tenant in of.items()}
    device = f"/v1/devices/{MOVED}"
    add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email=EMAIL,
        groups=["technicians"],
        region="eu-central",
    )

    def done(method: str, path: str, status: int, body: Any = None) -> dict[str, Any]:
        answer = deployed.call(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    group = {"id": "moving", "description": "those that move", "parents": ["line-press"]}
    done("POST", "/v1/groups", 201, group)
    for method, path, body in (
        ("PATCH", "", {"kind": "press"}),
        ("PUT", "/groups", {"groups": ["line-press"]}),
        ("PATCH", "/tags", {"tags": {"building": "7"}}),
        ("PUT", "/pins", {"packages": ["alloys"]}),
        ("PATCH", "/state", {"desired": {"lamp": {"value": 40, "version": 1}}}),
    ):
        done(method, f"{device}{path}", 200, body)
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    grant = {"template": "technician-for-line", "person": EMAIL, "device": MOVED, "until": until}
    grant = done("POST", "/v1/grants", 201, grant | {"reason": "moves with them"})
    command = done("POST", "/v1/devices/press-02/commands", 202, {"name": "reboot"})
    told = Manifest(
        name=ARTIFACT,
        size=len(CONTENT),
        sha256=digest(CONTENT),
        package="alloys",
        version="2.0",
    )
    file: dict[str, Any] = {"name": told.name, "size": told.size, "sha256": told.sha256}
    signatures = {"ab" * 32: "MEUCIQ=="}  # of no key that these devices are pinned to
    file |= {"manifest": {"text": told.encode().decode(), "signatures": signatures}}
    file |= {"package": {"name": "alloys", "version": "2.0"}}
    begun = done("POST", "/v1/files", 201, file)
    assert sent(signed(deployed, begun["id"], 1, CONTENT), CONTENT).status_code == 200
    assert ended(deployed, begun["id"])["state"] == "available"
    done("PUT", WISH, 200, {"file": begun["id"], "devices_per_hour": 60})
    for content in (b"old", b"new"):
        deployed.setup.upload("acme", "recipes/deleted.bin", content)
    bucket = deployed.setup.stacks["acme"]["bucket"]
    deployed.setup.cloud.client("s3").delete_object(Bucket=bucket, Key="recipes/deleted.bin")

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
    yield {"devices": files, "grant": grant, "command": command["id"], "file": begun["id"]}
    for path in (WISH, f"/v1/grants/{grant['id']}", "/v1/groups/moving"):
        done("DELETE", path, 200)


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
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}{done.stderr}"
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
    certificate = lived_in["devices"][MOVED].with_name("device.pem").read_text()
    assert devices[MOVED]["certificates"] == [certificate]
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
    exported = {line["sk"]["S"]: line for line in opened.lines("usage.jsonl")}
    # Up to which day the worker has told: it may be doing so now.
    assert {**exported, "told": None} == {**days, "told": None}


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


def arrived(cells: Cells, archive: Path, lived_in: dict[str, Any]) -> None:
    """People are invited anew, the grant is bound to whom has the address now, files are there."""
    cloud, outputs = cells.two.cloud, cells.outputs
    cognito = cloud.client("cognito-idp")
    person = {"UserPoolId": outputs["user_pool_id"], "Username": EMAIL}
    held = cognito.admin_get_user(**person)
    assert held["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    subject = next(one["Value"] for one in held["UserAttributes"] if one["Name"] == "sub")
    groups = cognito.admin_list_groups_for_user(**person)["Groups"]
    assert [group["GroupName"] for group in groups] == ["technicians"]
    ids = json.loads(archive.with_name("acme-ids.json").read_text())["people"]
    assert subject in ids.values()
    assert subject not in ids
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName="cedarfleet-audit")
    [noted] = [
        row
        for page in pages
        for row in page["Items"]
        if row["partition"]["S"] == OPERATORS_PARTITION
    ]
    assert {old: new["S"] for old, new in noted["people"]["M"].items()} == ids

    permissions, table = cloud.client("verifiedpermissions"), cloud.client("dynamodb")
    store, marks = outputs["policy_store_id"], granted(table, "acme")
    [ours] = granted_there(cells)
    assert f"{outputs['user_pool_id']}|{subject}" in ours
    assert f'@id("grant-{lived_in["grant"]["id"]}")' in ours
    assert len(marks) == 1
    assert not any(map(is_granted, read(permissions, store, grants=marks).static.values()))
    got = cloud.client("s3").get_object(Bucket=outputs["bucket"], Key="recipes/steel.json")
    assert got["Body"].read() == b'{"temperature": 900}'
    assert "sha256" in got["Metadata"]
    listed = cloud.client("s3").list_object_versions(
        Bucket=outputs["bucket"], Prefix="recipes/deleted.bin"
    )
    assert [one["IsLatest"] for one in listed["DeleteMarkers"]] == [True], "deleted there as well"
    assert len(listed["Versions"]) == 2


def granted_there(cells: Cells) -> list[str]:
    """Statements of the grants in the second cell's store."""
    permissions = cells.two.cloud.client("verifiedpermissions")
    store = cells.outputs["policy_store_id"]
    statements = [
        permissions.get_policy(policyStoreId=store, policyId=one["policyId"])["definition"]
        for page in permissions.get_paginator("list_policies").paginate(policyStoreId=store)
        for one in page["policies"]
    ]
    texts = [one["static"]["statement"] for one in statements if "static" in one]
    return [text for text in texts if is_granted(text)]


def works_there(cells: Cells, lived_in: dict[str, Any], url: str) -> None:
    """Facts, pins, state, grant, wish, command and file of a device, in the new cell."""
    device = f"/v1/devices/{MOVED}"
    with cells.app_two(url, MANAGER) as app:
        view = app.watch(device, lambda _: True)
        facts = {"groups": ["line-press"], "tags": {"building": "7"}, "pinned": ["alloys"]}
        assert {key: view[key] for key in facts} == facts
        assert view["attributes"]["kind"] == "press"
        assert app.get(f"{device}/state").json()["state"]["lamp"]["desired"]["value"] == 40
        answer = app.get(WISH)
        assert answer.status_code == 200, answer.text
        wish = answer.json()["wanted"]
        assert (wish["state"], wish["version"]) == ("stopped", "2.0")
        assert "moved here from another platform" in wish["why"]
        sent_there = {"name": "run-diagnostics", "arguments": {"a": 1}}
        watch = app.accepted(f"{device}/commands", sent_there)
        done = app.watch(watch, lambda one: one["is_final"], seconds=SECONDS)
        assert (done["state"], done["detail"]) == ("succeeded", {"asked": {"a": 1}})
        watch = app.accepted("/v1/downloads", {"device": MOVED, "file": lived_in["file"]})
        done = app.watch(watch, lambda one: one["state"] in {"succeeded", "failed"})
        assert done["state"] == "succeeded", done
    downloads = lived_in["devices"][MOVED].with_name("downloads")
    assert (downloads / ARTIFACT).read_bytes() == CONTENT
    with cells.app_two(url, EMAIL) as app:
        assert app.get(device).status_code == 200, "by the grant"
        assert app.get(f"/v1/devices/{AWAY}").status_code == 403


def test_a_tenant_moves_and_its_neighbour_stays(
    deployed: DeployedService,
    cells: Cells,
    archive: Path,
    lived_in: dict[str, Any],
    aws: Aws,
) -> None:
    """By its archive, then by a job that each device proves; the old cell lets nobody in then."""
    files, here, folder = lived_in["devices"], cells.here, archive.parent
    tenant, old = Tenant.find(aws, "acme"), deployed.token("acme", "managers")
    with agent(files[MOVED]) as moved, agent(files[STAYS]) as stays:
        for each in (moved, stays):
            each.await_event("mqtt.subscribed", seconds=SECONDS)
        # Before its certificate is known there, nobody goes: it is said why, and they work on.
        early = moves.tell(here, MoveDocument(endpoint=TWO, port=443), devices=[MOVED])
        assert f"acme--{MOVED}: FAILED: " in told_of(here, early, 1)

        freeze(tenant, group=None, by="test", reason="it moves", say=lambda _: None)
        try:
            assert "grants: 1 are given anew" in cells.bring(archive, folder / "first")
            arrived(cells, archive, lived_in)
            again = cells.bring(archive, folder / "again")
            assert any(line.startswith("people: 0 are invited") for line in again)
            assert "grants: 0 are given anew" in again

            job = moves.tell(here, MoveDocument(endpoint=TWO, port=443), devices=[])
            moved.await_event("move.proven", seconds=SECONDS)
            with agent(files[AWAY]) as away, cells.service_two(folder) as url:
                away.await_event("move.proven", seconds=SECONDS)
                # Things of other tests are in the group too, and nobody runs them.
                assert "2 SUCCEEDED" in told_of(here, job, 2)
                for each in (moved, away):
                    each.await_event("mqtt.subscribed", seconds=SECONDS)
                works_there(cells, lived_in, url)
                with TenantApp(url, old) as stranger:
                    assert stranger.get("/v1/me").status_code == 401

            # The end of the tenant in the old cell.
            command = {"name": "reboot"}
            refused = deployed.call("POST", f"/v1/devices/{MOVED}/commands", json=command)
            assert refused.status_code == 403
            # By which policy, the service reads within half a minute.
            assert refused.json()["reason"] == "forbidden"
            stranger = {"Authorization": f"Bearer {cells.sign_in_two(MANAGER)}"}
            assert deployed.http.get("/v1/me", headers=stranger).status_code == 401
        finally:
            thaw(tenant, group=None, say=lambda _: None)
        watched = revocation.Watch(quiet_seconds=0.2)
        for device in (MOVED, AWAY):
            thing = f"acme--{device}"
            assert revocation.revoke(aws.iot, aws.data, thing, watch=watched, say=lambda _: None)
        assert not lets_in(DeviceConfig.load(files[MOVED])), "the old cell still lets it in"

        assert "mqtt.disconnected" not in (files[STAYS].parent / "device.log").read_text()
        assert not (files[STAYS].parent / "state" / "endpoint.json").exists()
    assert lets_in(DeviceConfig.load(files[STAYS]))
    things = [each["thingName"] for each in cells.there.iot.list_things()["things"]]
    assert {each.partition("--")[0] for each in things} == {"acme"}


def test_a_revoked_grant_stays_revoked(
    archive: Path, lived_in: dict[str, Any], cells: Cells, tmp_path: Path
) -> None:
    """It was revoked on the new platform, and the import is repeated after that, by the command."""
    cloud = cells.two.cloud
    own = {"AWS_ENDPOINT_URL": cloud.endpoint_url, "AWS_REGION": cloud.region}
    permissions, table = cloud.client("verifiedpermissions"), cloud.client("dynamodb")
    cells.bring(archive, tmp_path)
    key = {"thing": {"S": "acme--grants"}, "sk": {"S": lived_in["grant"]["id"]}}
    row = table.get_item(TableName="cedarfleet-commands", Key=key)["Item"]
    permissions.delete_policy(
        policyStoreId=cells.outputs["policy_store_id"], policyId=row["policy_id"]["S"]
    )
    table.put_item(TableName="cedarfleet-commands", Item=row | {"state": {"S": "revoked"}})

    said = operator(cloud.environment | own, "import", "acme", str(archive))
    assert "grants: 0 are given anew" in said
    assert granted_there(cells) == []
    kept = table.get_item(TableName="cedarfleet-commands", Key=key)["Item"]
    assert kept["state"] == {"S": "revoked"}
