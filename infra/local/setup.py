"""The set-up that `make demo` and `make up` share: stacks, people, artifacts, devices, service."""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from infra import names
from infra.local import console, devices, people
from infra.local.cloud.limits.table import CEDAR_POLICY
from infra.local.devices import Device
from infra.local.engine import Engine, Op
from infra.local.guarding import Guardrails
from infra.local.loopback import NO_AUTHORITIES
from infra.local.people import SignInPage
from infra.local.processes import Child, ChildError
from infra.local.resources import HANDLERS, INVOKES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.cloud import EmbeddedCloud
    from infra.local.engine import Result
    from infra.local.people import Person


@dataclass(frozen=True, kw_only=True)
class TenantDevice:
    """The one device that a tenant gets here.

    Attributes:
        device: id in the tenant.
        lines: groups of the tenant's file that it is put into.
        measure: the command of the tenant's file that measures it.
    """

    device: str
    lines: tuple[str, ...]
    measure: str


ROOT: Final = Path(__file__).parents[2]
PLATFORM: Final = names.PLATFORM_STACK
TENANTS: Final = {
    "acme": TenantDevice(
        device="press-07", lines=("line-press", "zone-hall-1"), measure="run-diagnostics"
    ),
    "globex": TenantDevice(device="pump-03", lines=("ward-5",), measure="self-test"),
}
GROUPS: Final = ("managers", "operators", "it-staff", "emergency-responders")
MIB: Final = 1024 * 1024
RECIPE: Final = "recipes/steel-240.bin"
RECIPE_BYTES: Final = 24 * MIB
FIRMWARE: Final = "firmware/press-2.1.0.bin"
_READY_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 15.0


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file in a tenant's bucket, as it was uploaded."""

    name: str
    size: int
    sha256: str


@dataclass(kw_only=True)
class Setup:
    """One embedded cloud with everything that is set up on it.

    Attributes:
        cloud: started.
        state_dir: where the stacks' state, the devices' folders and the logs are.
        stacks: outputs of each stamped stack.
    """

    cloud: EmbeddedCloud
    state_dir: Path
    stacks: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    _decides_at: float = 0.0

    def stamp(self, stack: str, *, refresh: bool = False) -> Result:
        """Run the Pulumi program for one stack, as `pulumi up -s STACK` (with `--refresh`) does."""
        stacks = self.state_dir / "stacks"
        engine = Engine(ROOT, stacks, self.cloud, HANDLERS, INVOKES, guard=Guardrails())
        result = engine.up(stack, refresh=refresh)
        self.stacks[stack] = result.outputs
        if any(change.op is not Op.READ for change in result.changes):
            limits = self.cloud.limits
            self._decides_at = limits.clock.now() + limits.seconds(CEDAR_POLICY)
        return result

    def _await_decisions(self) -> None:
        """Wait, for seconds at most, until the policies that were stamped last decide."""
        if (left := self._decides_at - self.cloud.limits.clock.now()) > 0:
            time.sleep(left)

    def add_people(
        self, tenant: str, passwords: Mapping[str, str] | None = None
    ) -> dict[str, Person]:
        """Add a person to each of `GROUPS`; by group.

        Args:
            tenant: whose people they are.
            passwords: e-mail address -> password of the last run; others get a new random one.
        """
        cognito = self.cloud.client("cognito-idp")
        pool = self.stacks[tenant]["user_pool_id"]
        known = passwords or {}
        addresses = {group: f"{group.removesuffix('s')}@{tenant}.example" for group in GROUPS}
        return {
            group: people.add_person(
                cognito,
                pool,
                email=address,
                groups=[group],
                region="eu-central",
                password=known.get(address),
            )
            for group, address in addresses.items()
        }

    def sign_in(self, tenant: str, person: Person) -> str:
        """The ID token that the tenant's sign-in page gives."""
        return people.sign_in(self._page(tenant), person)

    def _page(self, tenant: str) -> SignInPage:
        outputs = self.stacks[tenant]
        return SignInPage.of(
            self.cloud.client("cognito-idp"),
            at=self.cloud.endpoint_url,
            pool_id=outputs["user_pool_id"],
            client_id=outputs["client_id"],
        )

    def upload(self, tenant: str, name: str, content: bytes) -> Artifact:
        """Put a file into the tenant's bucket, with the digest that devices will check."""
        artifact = Artifact(
            name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        self.cloud.client("s3").put_object(
            Bucket=self.stacks[tenant]["bucket"],
            Key=name,
            Body=content,
            Metadata={"sha256": artifact.sha256},
        )
        return artifact

    def let_in(self, tenant: str, *, url: str, token: str) -> Device:
        """Register the tenant's device as a manager with this token does, and let it enroll.

        One that has its certificate, and that the cloud knows, stays as it is: a cloud that was
        killed may have lost what it did last.

        Raises:
            ChildError: the device's program was refused.
        """
        wanted = TENANTS[tenant]
        device = Device(
            tenant=tenant,
            device=wanted.device,
            folder=self.state_dir / "devices" / tenant / wanted.device,
        )
        devices.install(self.cloud, device)
        self._await_decisions()  # of whether the manager may
        known = _asked("GET", f"{url}/v1/devices/{device.device}", token)
        if known is not None and known["enrolled"] and device.has_certificate:
            return device
        devices.forget(device)
        if known is None:
            body = {"id": device.device, "groups": wanted.lines}
            made = _asked("POST", f"{url}/v1/devices", token, body)
        else:
            made = _asked("POST", f"{url}/v1/devices/{device.device}/enrolment-code", token)
        if made is None:
            raise ChildError(f"{device.thing} cannot be registered")
        devices.keep_code(device, made["code"])
        if (words := devices.enroll(device, url=url)) is not None:
            raise ChildError(f"{device.thing} was not let in:\n{words}")
        return device

    def start_device(self, device: Device) -> Child:
        """Run the device's agent as a process, and wait until it is connected."""
        child = devices.start(device)
        return _ready(child, "mqtt.connected")

    def start_service(
        self, name: str = "service", *, port: int = 0, **settings: str
    ) -> tuple[Child, str]:
        """Run the service as a process under its task role; gives it and the address of its API.

        Args:
            name: of its log.
            port: to listen on; 0 for any.
            settings: further variables of its environment.
        """
        environment = self._environment("service_role_arn") | {"CEDARFLEET_PORT": str(port)}
        environment |= settings
        child = self._program(name, [sys.executable, "-m", "service"], environment)
        try:
            return child, str(child.await_event("service.listening", seconds=_READY_SECONDS)["url"])
        except BaseException:
            child.stop()
            raise

    def open_console(self, tenant: str, *, api: str) -> str:
        """Let the tenant's console be used from the address of its API here; gives its address.

        A stack can name no port that is only known once the service listens, so that this is done
        to what it made.

        Args:
            tenant: whose console it is.
            api: URL of the API.
        """
        return console.open_console(self.cloud, self.stacks[tenant], api=api)

    def start_worker(self, name: str = "worker", **settings: str) -> Child:
        """Run the background worker as a process under its task role.

        Args:
            name: of its log.
            settings: further variables of its environment.
        """
        environment = self._environment("worker_role_arn") | settings
        command = [sys.executable, "-m", "service", "worker"]
        return _ready(self._program(name, command, environment), "worker.started")

    def _program(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        return Child(
            name=name,
            command=command,
            environment=environment,
            log_file=self.state_dir / f"{name}.log",
        )

    def _environment(self, role: str) -> dict[str, str]:
        """What the service's programs are told; `role` is the output that names the task role."""
        platform = self.stacks[PLATFORM]
        return self.cloud.environment(platform[role]) | {
            "CEDARFLEET_TENANTS_TABLE": platform["tenants_table"],
            "CEDARFLEET_DEVICES_TABLE": platform["devices_table"],
            "CEDARFLEET_IOT_DATA_ENDPOINT": platform["iot_data_endpoint"],
            # Our name has no DNS on a laptop.
            "CEDARFLEET_DEVICE_ENDPOINT": platform["iot_data_endpoint"],
            "CEDARFLEET_DEVICE_CA_FILE": str(self.cloud.ca_file.absolute()),
            "CEDARFLEET_COMMANDS_TABLE": platform["commands_table"],
            "CEDARFLEET_AUDIT_TABLE": platform["audit_table"],
            "CEDARFLEET_AUDIT_KEY": platform["audit_key"],
            "CEDARFLEET_WEBHOOK_KEY": platform["webhook_key"],
            "CEDARFLEET_JWKS_URL_TEMPLATE": self.cloud.jwks_url_template,
            "CEDARFLEET_WORK_QUEUE_URL": platform["work_queue"],
            "CEDARFLEET_TIMER_ROLE_ARN": platform["timer_role_arn"],
        }


def _asked(
    method: str, url: str, token: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """What the API answers; ``None``: there is no such thing."""
    answer = httpx.request(
        method,
        url,
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=_ANSWER_SECONDS,
        trust_env=False,
        verify=NO_AUTHORITIES,
    )
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def random_file(size: int) -> bytes:
    """Bytes that no compression and no cache can have seen before."""
    return secrets.token_bytes(size)


def _ready(child: Child, event: str) -> Child:
    try:
        child.await_event(event, seconds=_READY_SECONDS)
    except BaseException:
        # Nobody else holds the child yet, so nobody else would end it.
        child.stop()
        raise
    return child
