"""A device of an earlier release, installed as it was, lives on with the platform of today."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cedarfleet_device.wire import MoveDocument

from infra.local import people
from infra.local.demo.tenant_app import TenantApp
from infra.local.processes import Child
from tests.infra.identities import identify
from tests.infra.releases.record import RELEASES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tests.infra.conftest import Project

WHEELS: Final = sorted(RELEASES.glob("*/cedarfleet_device-*.whl"))
DEVICE: Final = "press-71"
ARTIFACT: Final = "recipes/old-agents.bin"
CONTENT: Final = b"steel" * 100_000
RENEWAL: Final = {"renew-key": "MaintainDevice", "install-certificate": "MaintainDevice"}
UV: Final = Path(sys.executable).with_name("uv")
SECONDS: Final = 60
ATTEMPTS: Final = 3

HANDLERS: Final = """
import cedarfleet_device

def register(agent):
    @agent.command("run-diagnostics", idempotent=True)
    def measure(command):
        return {"program": cedarfleet_device.__file__, "asked": command.arguments}
"""


@dataclass(frozen=True, kw_only=True)
class OldDevice:
    """An agent that runs, and the API as a manager of its tenant has it."""

    package: Path
    folder: Path
    app: TenantApp

    def ended(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A command once it is over."""
        watch = self.app.accepted(
            f"/v1/devices/{DEVICE}/commands", {"name": name, "arguments": arguments}
        )
        done: dict[str, Any] = self.app.watch(watch, lambda view: view["is_final"], seconds=SECONDS)
        return done

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """The detail of a command that has succeeded."""
        done = self.ended(name, arguments or {})
        assert done["state"] == "succeeded", done
        return done["detail"]


@pytest.fixture(scope="module")
def manager(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantApp]:
    """The service of today as a process, for a tenant that lets managers renew certificates."""
    platform, acme = (project.engine.outputs(stack).outputs for stack in ("platform", "acme"))
    logs = tmp_path_factory.mktemp("service")
    settings = {
        "CEDARFLEET_JWKS_URL_TEMPLATE": (
            f"{project.cloud.endpoint_url}/{{pool}}/.well-known/jwks.json"
        ),
        "CEDARFLEET_WORK_QUEUE_URL": platform["work_queue"],
        "CEDARFLEET_TIMER_ROLE_ARN": platform["timer_role_arn"],
    }

    def program(name: str, *words: str) -> Child:
        role = platform[f"{name}_role_arn"]
        return Child(
            name=name,
            command=[sys.executable, "-m", "service", *words],
            environment=project.cloud.environment_of(role) | settings,
            log_file=logs / f"{name}.log",
        )

    with (
        renewing(project, acme["issuer"]),
        program("service") as service,
        program("worker", "worker"),
    ):
        url = str(service.await_event("service.listening", seconds=SECONDS)["url"])
        with TenantApp(url, signed_in(project, acme)) as app:
            yield app


@pytest.fixture(params=WHEELS, ids=lambda wheel: wheel.parent.name)
def old(
    request: pytest.FixtureRequest, project: Project, manager: TenantApp, tmp_path: Path
) -> Iterator[OldDevice]:
    """An agent of an earlier release: installed, with the identity that it had, and connected."""
    package = tmp_path / "package"
    words = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-index", "--target"]
    subprocess.run([UV, *words, package, request.param], check=True, timeout=SECONDS)
    folder = tmp_path / "device"
    install(project, folder)
    program = [sys.executable, "-P", "-m", "cedarfleet_device"]
    environment = {"PYTHONPATH": str(package)}
    agent = Child(
        name=f"agent {request.param.parent.name}",
        command=[
            *program,
            "run",
            f"--config={folder / 'device.toml'}",
            f"--handlers={folder / 'handlers.py'}",
        ],
        environment=environment,
        log_file=folder / "device.log",
    )
    with agent:
        agent.await_event("mqtt.connected", seconds=SECONDS)
        manager.watch(f"/v1/devices/{DEVICE}", lambda _: True)
        yield OldDevice(package=package, folder=folder, app=manager)


def test_an_old_agent_works_on(old: OldDevice, project: Project) -> None:
    """It runs a command, downloads a file, renews its certificate, and runs a command again."""
    told = old.command("run-diagnostics", {"deep": True})
    assert told["asked"] == {"deep": True}
    assert Path(told["program"]).is_relative_to(old.package), "it is not the agent of the release"

    bucket = project.engine.outputs("acme").outputs["bucket"]
    project.cloud.client("s3").put_object(
        Bucket=bucket,
        Key=ARTIFACT,
        Body=CONTENT,
        Metadata={"sha256": hashlib.sha256(CONTENT).hexdigest()},
    )
    watch = old.app.accepted("/v1/downloads", {"device": DEVICE, "artifact": ARTIFACT})
    done = old.app.watch(watch, lambda view: view["state"] in {"succeeded", "failed"})
    assert done["state"] == "succeeded", done
    assert (old.folder / "downloads" / ARTIFACT).read_bytes() == CONTENT

    assert "missing or unknown member" in refused_move(project)

    former = certificate = (old.folder / "device.pem").read_text()
    for _ in range(ATTEMPTS):
        certificate = signed(project, old.command("renew-key")["request"])
        ended = old.ended("install-certificate", {"certificate": certificate})
        if ended["state"] == "succeeded":
            break
        # What a busy machine's broker has not let in within its time gives way to the former.
        assert "the former one is in use again" in ended["detail"]["reason"], ended["detail"]
    assert (old.folder / "device.pem").read_text() == certificate != former
    assert old.command("run-diagnostics")["asked"] == {}


def test_every_release_left_its_agent() -> None:
    """A recorded release without its wheel would not be tried."""
    assert {wheel.parent.name for wheel in WHEELS} == {
        state.parent.name for state in RELEASES.glob("*/platform.json")
    }


def install(project: Project, folder: Path) -> None:
    """Write what an installer of that time wrote, and what the claim of that time left."""
    folder.mkdir()
    settings = {
        "thing": f"acme--{DEVICE}",
        "endpoint": "localhost",
        "port": project.cloud.mqtt_port,
        "ca_file": project.cloud.ca,
        "certificate_file": "device.pem",
        "key_file": "device.key",
        "state_dir": "state",
        "download_dir": "downloads",
        "provisioning.template": "acme-devices",
        "provisioning.device": DEVICE,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    # The embedded cloud serves S3 over plain HTTP.
    (folder / "device.toml").write_text("\n".join([*lines, "downloads.allow_http = true", ""]))
    (folder / "handlers.py").write_text(HANDLERS)
    identify(project.cloud.client("iot"), folder, tenant="acme", device=DEVICE)


def refused_move(project: Project) -> str:
    """Why the device does not follow a job that names another endpoint; it works on."""
    iot, thing = project.cloud.client("iot"), f"acme--{DEVICE}"
    job_id = f"acme--move-{secrets.token_hex(4)}"
    iot.create_job(
        jobId=job_id,
        targets=[iot.describe_thing(thingName=thing)["thingArn"]],
        document=MoveDocument(endpoint="two.devices.cedarfleet.example").encode(),
    )
    deadline = time.monotonic() + SECONDS
    while True:
        told = iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
        if told["status"] not in {"QUEUED", "IN_PROGRESS"}:
            assert told["status"] == "REJECTED"
            return told["statusDetails"]["detailsMap"]["reason"]
        assert time.monotonic() < deadline, told
        time.sleep(0.1)  # who made the job is told nothing


def signed(project: Project, request: str) -> str:
    """The certificate that an operator has made of a device's request, as the docs say."""
    iot = project.cloud.client("iot")
    made = iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
    iot.attach_policy(policyName="acme-device", target=made["certificateArn"])
    iot.attach_thing_principal(thingName=f"acme--{DEVICE}", principal=made["certificateArn"])
    return made["certificatePem"]


def signed_in(project: Project, acme: Mapping[str, Any]) -> str:
    """The ID token of a manager of acme."""
    cognito = project.cloud.client("cognito-idp")
    person = people.add_person(
        cognito, acme["user_pool_id"], email="old-agents@acme.example", groups=["managers"]
    )
    page = people.SignInPage.of(
        cognito,
        at=project.cloud.endpoint_url,
        pool_id=acme["user_pool_id"],
        client_id=acme["client_id"],
    )
    return people.sign_in(page, person)


@contextmanager
def renewing(project: Project, issuer: str) -> Generator[None]:
    """Let acme's managers renew certificates: its row maps the two commands, its file does not."""
    table, name = project.cloud.client("dynamodb"), "cedarfleet-tenants"
    row = table.get_item(TableName=name, Key={"issuer": {"S": issuer}})["Item"]
    mapped = row["commands"]["M"] | {command: {"S": action} for command, action in RENEWAL.items()}
    table.put_item(TableName=name, Item=row | {"commands": {"M": mapped}})
    try:
        yield
    finally:
        table.put_item(TableName=name, Item=row)
