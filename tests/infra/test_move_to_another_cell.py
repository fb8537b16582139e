"""One tenant's devices move to a second cloud; its neighbour's stay where they are.

Two embedded clouds, of a platform each, stamped by the same program. The name of each leads to its
broker through a proxy on loopback, since there is no DNS here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cedarfleet_device import DeviceConfig, wire
from cedarfleet_device.connection.client import (
    NotAcceptedError,
    device_connection,
    tls_context,
)
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.wire import MoveDocument

from infra.commands import moves, revocation
from infra.commands.device_rows import DeviceTable
from infra.local import people
from infra.local.demo.tenant_app import TenantApp
from infra.local.processes import Child, inherited
from tests.device_sdk.connection.named_relay import NamedRelay
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.commands.moves import Registry

ONE, TWO = "one.devices.cedarfleet.example", "two.devices.cedarfleet.example"
MOVED, AWAY, STAYS = "press-81", "press-82", "infusion-81"
ARTIFACT: Final = "recipes/moved.bin"
CONTENT: Final = b"steel" * 50_000
SECONDS: Final = 60
HANDLERS: Final = """
def register(agent):
    @agent.command("run-diagnostics", idempotent=True)
    def measure(command):
        return {"asked": command.arguments}
"""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Both clouds, and the names that lead to them."""

    one: Project
    two: Project
    relay: NamedRelay

    def registry(self, cell: Project, tenant: str) -> Registry:
        """A cell as its operator has it."""
        table = DeviceTable(
            client=cell.cloud.client("dynamodb"), name="cedarfleet-devices", tenant=tenant
        )
        return moves.Registry(iot=cell.cloud.client("iot"), table=table)


@pytest.fixture(scope="module")
def cells(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    """The cloud that all stacks stand in, and a second one with a platform and acme."""
    with running_cloud(tmp_path_factory.mktemp("cell-two")) as cloud, NamedRelay() as relay:
        two = Project(copy_project(tmp_path_factory.mktemp("cell-two-files")), cloud)
        two.change("platform", cell="two", device_endpoint=TWO)
        sign_in = {
            "domain_prefix": "cedarfleet-acme-two",
            "callback_urls": ["https://console.cedarfleet.example/callback"],
            "logout_urls": ["https://console.cedarfleet.example/"],
        }
        two.change("acme", cell="two", sign_in=sign_in)
        two.up("platform")
        two.up("acme")
        for host, cell in ((ONE, project), (TWO, two)):
            relay.leads[f"{host}:443"] = cell.cloud.mqtt_port
        yield Cells(one=project, two=two, relay=relay)


def installed(cells: Cells, tenant: str, device: str, folder: Path) -> Path:
    """A device of the first cell with its certificate, and its file."""
    iot, thing = cells.one.cloud.client("iot"), wire.thing_name(tenant, device)
    folder.mkdir()
    iot.create_thing(thingName=thing, thingTypeName="cedarfleet-device")
    iot.add_thing_to_thing_group(thingGroupName=tenant, thingName=thing)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=f"{tenant}-device", target=made["certificateArn"])
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    (folder / "device.pem").write_text(made["certificatePem"])
    (folder / "device.key").write_text(made["keyPair"]["PrivateKey"])
    (folder / "device.key").chmod(0o600)
    # On AWS one authority signs both names.
    authorities = [Path(cell.cloud.ca).read_text() for cell in (cells.one, cells.two)]
    (folder / "ca.pem").write_text("".join(authorities))
    (folder / "handlers.py").write_text(HANDLERS)
    settings = {
        "thing": thing,
        "endpoint": ONE,
        "port": 443,
        "ca_file": "ca.pem",
        "certificate_file": "device.pem",
        "key_file": "device.key",
        "state_dir": "state",
        "download_dir": "downloads",
        "connection.proxy": cells.relay.address,
        "connection.certificate_proof_seconds": 5,
        "downloads.allow_http": True,
    }
    file = folder / "device.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return file


def agent(file: Path) -> Child:
    """The device's agent as a process."""
    words = ["run", f"--config={file}", f"--handlers={file.parent / 'handlers.py'}"]
    return Child(
        name=file.parent.name,
        command=[sys.executable, "-m", "cedarfleet_device", *words],
        environment={},
        log_file=file.parent / "device.log",
    )


@pytest.fixture(scope="module")
def acme_two(cells: Cells, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantApp]:
    """The service of the second cell, for a manager of acme there."""
    platform, acme = (cells.two.engine.outputs(stack).outputs for stack in ("platform", "acme"))
    cloud, logs = cells.two.cloud, tmp_path_factory.mktemp("service-two")
    settings = {
        "CEDARFLEET_JWKS_URL_TEMPLATE": f"{cloud.endpoint_url}/{{pool}}/.well-known/jwks.json",
        "CEDARFLEET_DEVICE_ENDPOINT": f"{TWO}:443",
        "CEDARFLEET_WORK_QUEUE_URL": platform["work_queue"],
        "CEDARFLEET_TIMER_ROLE_ARN": platform["timer_role_arn"],
    }
    cognito = cloud.client("cognito-idp")
    person = people.add_person(
        cognito, acme["user_pool_id"], email="moved@acme.example", groups=["managers"]
    )
    page = people.SignInPage.of(
        cognito,
        at=cloud.endpoint_url,
        pool_id=acme["user_pool_id"],
        client_id=acme["client_id"],
    )

    def program(name: str, *words: str) -> Child:
        return Child(
            name=f"{name} two",
            command=[sys.executable, "-m", "service", *words],
            environment=cloud.environment_of(platform[f"{name}_role_arn"]) | settings,
            log_file=logs / f"{name}.log",
        )

    with program("service") as service, program("worker", "worker"):
        url = str(service.await_event("service.listening", seconds=SECONDS)["url"])
        with TenantApp(url, people.sign_in(page, person)) as app:
            yield app


def ended(registry: Registry, job_id: str, devices: int) -> str:
    """What is told of a job once so many devices have ended it: nobody runs some others."""
    deadline = time.monotonic() + SECONDS
    while True:
        told = registry.iot.describe_job(jobId=job_id)["job"]["jobProcessDetails"]
        if told.get("numberOfSucceededThings", 0) + told.get("numberOfFailedThings", 0) == devices:
            return "\n".join(moves.progress(registry, job_id))
        assert time.monotonic() < deadline, told
        time.sleep(0.1)  # who made the job is told nothing


def lets_in(config: DeviceConfig) -> bool:
    """Whether the endpoint of the file lets the device in."""
    tls = tls_context(*load_credentials(config))
    try:
        with device_connection(config, tls=tls, seconds=10):
            return True
    except NotAcceptedError:
        return False


def operator(cell: Project, *words: str) -> str:
    """What `python -m infra devices` says, run as an operator of a cell."""
    own = {"AWS_ENDPOINT_URL": cell.cloud.endpoint_url, "AWS_REGION": cell.cloud.region}
    done = subprocess.run(
        [sys.executable, "-m", "infra", "devices", *words],
        cwd=ROOT,
        env=inherited() | cell.cloud.environment | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_tenant_moves_and_its_neighbour_stays(
    cells: Cells, acme_two: TenantApp, tmp_path: Path
) -> None:
    """Told by a job, a device that is there and one that was away go over; nothing else does."""
    files = {
        device: installed(cells, tenant, device, tmp_path / device)
        for tenant, device in (("acme", MOVED), ("acme", AWAY), ("globex", STAYS))
    }
    here, there = (cells.registry(cell, "acme") for cell in (cells.one, cells.two))
    here.table.write_facts(
        MOVED,
        {
            "attributes": {"M": {"kind": {"S": "press"}}},
            "groups": {"L": [{"S": "line-press"}]},
            "tags": {"M": {"building": {"S": "7"}}},
            "origin": {"S": here.iot.describe_thing(thingName=f"acme--{MOVED}")["thingId"]},
        },
        by="operator",
        now_ms=1,
    )
    with agent(files[MOVED]) as moved, agent(files[STAYS]) as stays:
        moved.await_event("mqtt.subscribed", seconds=SECONDS)
        stays.await_event("mqtt.subscribed", seconds=SECONDS)

        # Before its certificate is known there, nobody goes: it is said why, and they work on.
        document = MoveDocument(endpoint=TWO, port=443)
        early = moves.tell(here, document, devices=[MOVED])
        assert f"acme--{MOVED}: FAILED: " in ended(here, early, 1)

        export = tmp_path / "acme.jsonl"
        export.write_text(operator(cells.one, "export", "acme"))
        assert "PRIVATE KEY" not in export.read_text()
        for new in (1, 0):  # again is safe
            said = operator(cells.two, "import", "acme", str(export))
            assert f"{MOVED}: {new} of 1 certificates are new" in said
        job = operator(cells.one, "move", "acme", "--to", f"{TWO}:443").split()[1]
        moved.await_event("move.proven", seconds=SECONDS)
        with agent(files[AWAY]) as away:
            away.await_event("move.proven", seconds=SECONDS)
            assert "2 SUCCEEDED" in ended(here, job, 2)
            for each in (moved, away):
                each.await_event("mqtt.subscribed", seconds=SECONDS)

        # Commands and files come from the new cell, where its facts are.
        view = acme_two.watch(f"/v1/devices/{MOVED}", lambda _: True)
        facts = {
            "groups": ["line-press"],
            "attributes": {"kind": "press"},
            "tags": {"building": "7"},
        }
        assert {key: view[key] for key in facts} == facts
        watch = acme_two.accepted(
            f"/v1/devices/{MOVED}/commands", {"name": "run-diagnostics", "arguments": {"a": 1}}
        )
        done = acme_two.watch(watch, lambda one: one["is_final"], seconds=SECONDS)
        assert (done["state"], done["detail"]) == ("succeeded", {"asked": {"a": 1}})
        cells.two.cloud.client("s3").put_object(
            Bucket=cells.two.engine.outputs("acme").outputs["bucket"],
            Key=ARTIFACT,
            Body=CONTENT,
            Metadata={"sha256": hashlib.sha256(CONTENT).hexdigest()},
        )
        watch = acme_two.accepted("/v1/downloads", {"device": MOVED, "artifact": ARTIFACT})
        done = acme_two.watch(watch, lambda one: one["state"] in {"succeeded", "failed"})
        assert done["state"] == "succeeded", done
        assert (files[MOVED].parent / "downloads" / ARTIFACT).read_bytes() == CONTENT

        # The end of the tenant in the old cell.
        config = DeviceConfig.load(files[MOVED])
        data = cells.one.cloud.client("iot-data")
        watched = revocation.Watch(quiet_seconds=0.2)
        for device in (MOVED, AWAY):
            assert revocation.revoke(
                here.iot, data, f"acme--{device}", watch=watched, say=lambda _: None
            )
        assert not lets_in(config), "the old cell still lets it in"

        assert "mqtt.disconnected" not in (files[STAYS].parent / "device.log").read_text()
        assert not (files[STAYS].parent / "state" / "endpoint.json").exists()
    assert lets_in(DeviceConfig.load(files[STAYS]))
    things = [each["thingName"] for each in there.iot.list_things()["things"]]
    assert {each.partition("--")[0] for each in things} == {"acme"}
