"""What the steps of one demo hand to each other, and the steps that set it up."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from infra.local.demo.report import StepError
from infra.local.demo.tenant_app import TenantApp
from infra.local.engine import Op
from infra.local.setup import (
    FIRMWARE,
    MIB,
    PLATFORM,
    RECIPE,
    RECIPE_BYTES,
    TENANTS,
    Setup,
    random_file,
)

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    import httpx

    from infra.local.demo.report import Report
    from infra.local.devices import Device
    from infra.local.people import Person
    from infra.local.processes import Child
    from infra.local.setup import Artifact

_PRIVATE: Final = 0o600


@dataclass(kw_only=True)
class DemoRun:
    """One run of the demo.

    Attributes:
        setup: the embedded cloud with what is stamped on it.
        report: takes each step and prints it.
        processes: ends every process when it is left.
        url: of the API.
        people: tenant -> group -> person.
        apps: (tenant, group) -> the API as that person sees it.
        tokens: (tenant, group) -> ID token.
        recipes: tenant -> the file that is to reach the device.
        devices: tenant -> device.
        children: tenant -> the device's process.
        guest: the API as the person sees it whom acme's manager invites.
        guest_id: that person.
        uploaded: the id of the version that the manager uploaded.
        rollout: id of acme's rollout in waves.
        pictures: where pictures of the console are put; ``None``: nowhere.
    """

    setup: Setup
    report: Report
    processes: ExitStack
    url: str = ""
    people: dict[str, dict[str, Person]] = field(default_factory=dict[str, "dict[str, Person]"])
    apps: dict[tuple[str, str], TenantApp] = field(default_factory=dict[tuple[str, str], TenantApp])
    tokens: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    recipes: dict[str, Artifact] = field(default_factory=dict[str, "Artifact"])
    devices: dict[str, Device] = field(default_factory=dict[str, "Device"])
    children: dict[str, Child] = field(default_factory=dict[str, "Child"])
    guest: TenantApp = field(default_factory=lambda: TenantApp(""))
    guest_id: str = ""
    rollout: str = ""
    uploaded: str = ""
    pictures: Path | None = None

    def set_up(self) -> None:
        """Make everything that the first step needs."""
        self.stamp()
        self.prepare()
        self.start_service()
        self.sign_in()
        self.start_devices()

    def stamp(self) -> None:
        """`pulumi up` for the platform and for each tenant, by the in-process engine."""
        for stack in (PLATFORM, *TENANTS):
            with self.report.step(f"stamp {stack}") as step:
                result = self.setup.stamp(stack)
                made = len(result.changes)
                step.check(made, f"{made} resources made from tenants/Pulumi.{stack}.yaml")
                if result.recorded:
                    kinds = sorted(
                        {
                            urn.split("::")[2].split("$")[-1].split(":")[-1]
                            for urn in result.recorded
                        }
                    )
                    step.checks.append(f"only recorded, not made here: {', '.join(kinds)}")
        with self.report.step("stamp acme again") as step:
            again = self.setup.stamp("acme")
            # That the stack has outputs of its own to read by now is no change.
            changed = [change for change in again.changes if change.op is not Op.READ]
            step.check(not changed, f"nothing changes: {again.same} resources stay as they are")

    def prepare(self) -> None:
        """Add people to the pools and files to the buckets."""
        with self.report.step("add people and files") as step:
            for tenant in TENANTS:
                self.people[tenant] = self.setup.add_people(tenant)
                self.recipes[tenant] = self.setup.upload(tenant, RECIPE, random_file(RECIPE_BYTES))
                self.setup.upload(tenant, FIRMWARE, random_file(MIB))
                groups = ", ".join(self.people[tenant])
                step.check(
                    self.recipes[tenant].size == RECIPE_BYTES,
                    f"{tenant}: {groups}; {RECIPE} of 24 MiB",
                )

    def start_service(self) -> None:
        """Run service and worker as processes, each with sessions of its task role."""
        with self.report.step("start the service") as step:
            child, self.url = self.setup.start_service()
            self.processes.enter_context(child)
            worker = self.processes.enter_context(self.setup.start_worker())
            step.check(worker.pid, f"process {worker.pid} does its work in the background")
            with TenantApp(self.url) as nobody:
                step.check(
                    nobody.get("/health/ready").status_code == HTTPStatus.OK,
                    f"process {child.pid} is ready",
                )
                unsigned = nobody.get("/v1/devices").status_code
                step.check(unsigned == HTTPStatus.UNAUTHORIZED, "without a token: 401")

    def sign_in(self) -> None:
        """Sign everybody in on their tenant's page, with code and PKCE."""
        with self.report.step("sign in") as step:
            for tenant in TENANTS:
                for group, person in self.people[tenant].items():
                    token = self.tokens[tenant, group] = self.setup.sign_in(tenant, person)
                    self.apps[tenant, group] = self.processes.enter_context(
                        TenantApp(self.url, token)
                    )
                    me = ok(self.apps[tenant, group].get("/v1/me"))
                    step.check(
                        me["tenant"] == tenant and me["groups"] == [group],
                        f"{person.email}: {tenant}, {group}",
                    )

    def start_devices(self) -> None:
        """Let each device make its key, enroll with the code of its manager, and run."""
        for tenant, wanted in TENANTS.items():
            with self.report.step(f"register, enroll and start {tenant}'s device") as step:
                token = self.tokens[tenant, "managers"]
                device = self.devices[tenant] = self.setup.let_in(tenant, url=self.url, token=token)
                mode = (device.folder / "device.key").stat().st_mode & 0o777
                step.check(
                    mode == _PRIVATE, f"{device.thing}: own key, mode 0600; the code is gone"
                )
                shown = ok(self.apps[tenant, "managers"].get(f"/v1/devices/{device.device}"))
                step.check(
                    shown["enrolled"] and shown["groups"] == sorted(wanted.lines),
                    f"registered by the manager into {', '.join(shown['groups'])}",
                )
                child = self.setup.start_device(device)
                self.processes.enter_context(child)
                self.children[tenant] = child
                step.check(
                    child.pid,
                    f"process {child.pid} connected with its certificate (MQTT 5, mutual TLS)",
                )


def ok(answer: httpx.Response, status: HTTPStatus = HTTPStatus.OK) -> dict[str, Any]:
    """The document of an answer that must have this status.

    Raises:
        StepError: it has another.
    """
    if answer.status_code != status:
        raise StepError(
            f"{answer.request.method} {answer.url.path}: {answer.status_code} {answer.text[:500]}"
        )
    document: dict[str, Any] = answer.json()
    return document
