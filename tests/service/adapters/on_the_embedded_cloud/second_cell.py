"""A second cell beside the deployed one: a cloud, its service, and devices that know both names.

The name of each cell leads to its broker through a proxy on loopback, since there is no DNS here.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from cedarfleet_device import DeviceConfig, wire
from cedarfleet_device.connection.client import (
    NotAcceptedError,
    device_connection,
    tls_context,
)
from cedarfleet_device.identity.credentials import load_credentials

from infra.commands import moves
from infra.commands.account import Account
from infra.commands.device_rows import DeviceTable
from infra.commands.tenant_archive.archive import Archive
from infra.commands.tenant_archive.arrival import Arrival
from infra.local import people
from infra.local.demo.tenant_app import TenantApp
from infra.local.people import Person, SignInPage
from infra.local.processes import Child
from tests.certificates import certified

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from infra.commands.moves import Registry
    from infra.local.cloud import EmbeddedCloud
    from tests.device_sdk.connection.named_relay import NamedRelay
    from tests.infra.conftest import Project

ONE, TWO = "one.devices.cedarfleet.example", "two.devices.cedarfleet.example"
SECONDS: Final = 60
_NEW: Final = "Aa1-a-password-of-the-new-cell"
HANDLERS: Final = """
def register(agent):
    @agent.command("run-diagnostics", idempotent=True)
    def measure(command):
        return {"asked": command.arguments}


def install(path):
    pass
"""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Both clouds, and the names that lead to them."""

    one: EmbeddedCloud
    two: Project
    relay: NamedRelay

    @property
    def here(self) -> Registry:
        """Acme in the first cell, as its operator has it."""
        return _registry(self.one)

    @property
    def there(self) -> Registry:
        """Acme in the second one."""
        return _registry(self.two.cloud)

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Of acme's stack in the second cell."""
        return self.two.engine.outputs("acme").outputs

    def bring(self, archive: Path, folder: Path) -> list[str]:
        """Import acme's archive into the second cell; what is said of it."""
        cloud, said = self.two.cloud, list[str]()
        session = boto3.Session(
            aws_access_key_id=cloud.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=cloud.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=cloud.region,
        )
        account = Account.of(session, endpoint_url=cloud.endpoint_url)
        Arrival(
            account=account,
            tenant=account.tenant("acme"),
            archive=Archive.opened(archive, folder),
            ids=archive.with_name("acme-ids.json"),
            by="operator",
            say=said.append,
        ).run()
        return said

    def installed(self, tenant: str, device: str, folder: Path) -> Path:
        """A device of the first cell with its certificate, and its file."""
        iot, thing = self.one.client("iot"), wire.thing_name(tenant, device)
        folder.mkdir(parents=True)
        iot.create_thing(thingName=thing, thingTypeName="cedarfleet-device")
        iot.add_thing_to_thing_group(thingGroupName=tenant, thingName=thing)
        made = certified(iot)
        iot.attach_policy(policyName=f"{tenant}-device", target=made["certificateArn"])
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        (folder / "device.pem").write_text(made["certificatePem"])
        (folder / "device.key").write_text(made["keyPair"]["PrivateKey"])
        (folder / "device.key").chmod(0o600)
        # On AWS one authority signs both names.
        authorities = (self.one.ca_file, Path(self.two.cloud.ca))
        (folder / "ca.pem").write_text("".join(one.read_text() for one in authorities))
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
            "connection.proxy": self.relay.address,
            "connection.certificate_proof_seconds": 5,
            "downloads.allow_http": True,
        }
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
        (folder / "device.toml").write_text("".join(lines))
        return folder / "device.toml"

    @contextmanager
    def service_two(self, logs: Path) -> Generator[str]:
        """Service and worker of the second cell; the address of its API."""
        cloud, platform = self.two.cloud, self.two.engine.outputs("platform").outputs
        settings = {
            "CEDARFLEET_JWKS_URL_TEMPLATE": f"{cloud.endpoint_url}/{{pool}}/.well-known/jwks.json",
            "CEDARFLEET_DEVICE_ENDPOINT": f"{TWO}:443",
            "CEDARFLEET_WORK_QUEUE_URL": platform["work_queue"],
            "CEDARFLEET_TIMER_ROLE_ARN": platform["timer_role_arn"],
        }

        def program(name: str, *words: str) -> Child:
            return Child(
                name=f"{name} two",
                command=[sys.executable, "-m", "service", *words],
                environment=cloud.environment_of(platform[f"{name}_role_arn"]) | settings,
                log_file=logs / f"{name}.log",
            )

        with program("service") as service, program("worker", "worker"):
            yield str(service.await_event("service.listening", seconds=SECONDS)["url"])

    def sign_in_two(self, email: str) -> str:
        """The ID token of somebody who was invited to the second cell, with a password by mail."""
        cloud, pool = self.two.cloud, self.outputs["user_pool_id"]
        cognito, person = cloud.client("cognito-idp"), Person(email=email, groups=(), password=_NEW)
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=email, Password=person.password, Permanent=True
        )
        page = SignInPage.of(
            cognito, at=cloud.endpoint_url, pool_id=pool, client_id=self.outputs["client_id"]
        )
        return people.sign_in(page, person)

    @contextmanager
    def app_two(self, url: str, email: str) -> Generator[TenantApp]:
        """The API of the second cell, as one of its people sees it."""
        with TenantApp(url, self.sign_in_two(email)) as app:
            yield app


def agent(file: Path) -> Child:
    """The device's agent as a process."""
    words = ["run", f"--config={file}", f"--handlers={file.parent / 'handlers.py'}"]
    return Child(
        name=file.parent.name,
        command=[sys.executable, "-m", "cedarfleet_device", *words],
        environment={},
        log_file=file.parent / "device.log",
    )


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


def _registry(cloud: Any) -> Registry:
    table = DeviceTable(client=cloud.client("dynamodb"), name="cedarfleet-devices", tenant="acme")
    return moves.Registry(iot=cloud.client("iot"), data=cloud.client("iot-data"), table=table)
