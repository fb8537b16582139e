"""The service as a process on the embedded cloud, with two tenants, their people and things."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from infra import names
from infra.commands.suspension import Aws
from infra.local.demo.tenant_app import TenantApp
from infra.local.people import add_person
from infra.local.setup import PLATFORM, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.cloud import EmbeddedCloud
    from infra.local.people import Person
    from infra.local.processes import Child

_PATIENCE: Final = 30.0
_REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
DEVICES: Final = "cedarfleet-devices"
ATTRIBUTES = {"criticality": "high", "utc_offset": "+01:00"}
LISTED = {
    "acme": {"kind": "press", "region": "eu-central"},
    "globex": {"kind": "infusion", "region": "us-east"},
}


@dataclass
class DeployedService:
    """A process over one cloud; ``call`` speaks HTTP to it as somebody of a tenant."""

    setup: Setup
    service: Child
    worker: Child
    http: httpx.Client
    people: dict[str, dict[str, Person]]
    tokens: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def token(self, tenant: str, group: str) -> str:
        """The person's ID token, from the tenant's sign-in page."""
        if (tenant, group) not in self.tokens:
            self.tokens[tenant, group] = self.setup.sign_in(tenant, self.people[tenant][group])
        return self.tokens[tenant, group]

    def call(
        self,
        method: str,
        path: str,
        *,
        tenant: str = "acme",
        group: str = "managers",
        **request: Any,
    ) -> httpx.Response:
        """One request; what may be repeated is, once, after the time that a 503 names."""
        headers = {
            "Authorization": f"Bearer {self.token(tenant, group)}",
            **request.pop("headers", {}),
        }
        answer = self.http.request(method, path, headers=headers, **request)
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and method in _REPEATABLE:
            print(f"{method} {path}: {answer.text}")
            time.sleep(float(answer.headers["Retry-After"]))
            answer = self.http.request(method, path, headers=headers, **request)
        return answer

    def watch(
        self,
        url: str,
        until: Callable[[dict[str, Any]], bool],
        *,
        seconds: float = 30,
        tenant: str = "acme",
    ) -> dict[str, Any]:
        """Read a download until it is so, as a tenant's app does."""
        with TenantApp(str(self.http.base_url), self.token(tenant, "managers")) as app:
            return app.watch(url, until, seconds=seconds)

    def made(self, download: str) -> None:
        """Return once the first job of a download of acme is there.

        A download is ``queued`` from when the worker begins on it, which is before its job.
        """
        iot = self.setup.cloud.client("iot")
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                iot.describe_job(jobId=f"acme--{download}-00")
            except iot.exceptions.ResourceNotFoundException:
                assert time.monotonic() < until, f"nobody made a job of {download}"
                time.sleep(0.1)
            else:
                return

    def leaks(self) -> list[str]:
        """What stands in the service's log though it must not, by its kind and never itself."""
        logs = (self.setup.state_dir / f"{name}.log" for name in ("service", "worker"))
        log = "".join(one.read_text() for one in logs)
        secret: dict[str, tuple[str, ...]] = {
            "signed URL or form": ("X-Amz-Signature", "x-amz-signature"),
            "argument or content of a file": ("temperature",),
        }
        for (tenant, group), token in self.tokens.items():
            secret[f"token of {group} of {tenant}"] = (token, token.rpartition(".")[2])
        return [kind for kind, texts in secret.items() if any(text in log for text in texts)]


@pytest.fixture(scope="session")
def deployed(
    embedded_cloud: EmbeddedCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedService]:
    """Stamped by the real program, served by the real process."""
    setup = Setup(cloud=embedded_cloud, state_dir=tmp_path_factory.mktemp("deployed"))
    for stack in (PLATFORM, "acme", "globex"):
        setup.stamp(stack)
        if stack != PLATFORM:
            _lift_budget(setup, stack)
    people = {tenant: setup.add_people(tenant) for tenant in ("acme", "globex")}
    people["acme"]["quality-inspectors"] = add_person(
        embedded_cloud.client("cognito-idp"),
        setup.stacks["acme"]["user_pool_id"],
        email="inspector@acme.example",
        groups=["quality-inspectors"],
        region="eu-central",
    )
    iot = embedded_cloud.client("iot")
    things = {
        "acme--press-01": ["line-press"],
        "acme--press-02": ["line-press"],
        "globex--pump-01": [],
    }
    for thing in things:
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName=thing.partition("--")[0], thingName=thing)
    setup.upload("acme", "recipes/steel.json", b'{"temperature": 900}')
    service, url = setup.start_service()
    worker, running = setup.start_worker(), None
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            running = DeployedService(
                setup=setup, service=service, worker=worker, http=http, people=people
            )
            for thing, lines in things.items():
                tenant, _, device = thing.partition("--")
                path = f"/v1/devices/{device}"
                for method, where, facts in (
                    ("PATCH", path, ATTRIBUTES | LISTED[tenant]),
                    ("PUT", f"{path}/groups", {"groups": lines}),
                ):
                    running.call(method, where, tenant=tenant, json=facts).raise_for_status()
            yield running
    finally:
        codes = service.stop(), running.worker.stop() if running else worker.stop()
    assert codes == (0, 0), "service and worker end in order on SIGTERM"
    assert running is None or running.leaks() == [], (
        "whatever the tests asked of it, nothing secret is logged"
    )


@pytest.fixture
def aws(deployed: DeployedService) -> Aws:
    """The operator's clients."""
    client = deployed.setup.cloud.client
    return Aws(
        dynamodb=client("dynamodb"),
        permissions=client("verifiedpermissions"),
        cognito=client("cognito-idp"),
        iot=client("iot"),
        data=client("iot-data"),
        table=names.TENANTS_TABLE,
    )


def _lift_budget(setup: Setup, tenant: str) -> None:
    """Let the tests ask as fast as they can: budgets have tests of their own."""
    plenty = {"M": {"per_second": {"S": "10000"}, "burst": {"S": "10000"}}}
    table = setup.cloud.client("dynamodb")
    for row in table.scan(TableName="cedarfleet-tenants")["Items"]:
        if row.get("tenant") == {"S": tenant}:
            table.update_item(
                TableName="cedarfleet-tenants",
                Key={"issuer": row["issuer"]},
                UpdateExpression="SET budgets = :plenty",
                ExpressionAttributeValues={
                    ":plenty": {"M": dict.fromkeys(("requests", "commands"), plenty)}
                },
            )


@pytest.fixture(scope="module", autouse=True)
def devices_of_its_own(deployed: DeployedService) -> Iterator[None]:
    """Take away the devices that a file made, so that the next one finds the fleet as it was."""
    cloud = deployed.setup.cloud
    things, rows = _things(cloud), _rows(cloud)
    yield
    iot, table = cloud.client("iot"), cloud.client("dynamodb")
    for thing in _things(cloud) - things:
        for principal in iot.list_thing_principals(thingName=thing)["principals"]:
            iot.detach_thing_principal(thingName=thing, principal=principal)
        iot.delete_thing(thingName=thing)
    # Of those that were registered and never came; a service keeps them for good.
    kept = {(partition, key.partition("#")[0]) for partition, key in rows}
    for partition, key in _rows(cloud) - rows:
        if (partition, key.partition("#")[0]) not in kept:
            sought = {"partition": {"S": partition}, "sk": {"S": key}}
            table.delete_item(TableName=DEVICES, Key=sought)


def _things(cloud: EmbeddedCloud) -> set[str]:
    pages = cloud.client("iot").get_paginator("list_things").paginate()
    return {thing["thingName"] for page in pages for thing in page["things"]}


def _rows(cloud: EmbeddedCloud) -> set[tuple[str, str]]:
    """The keys of all rows of devices."""
    pages = (
        cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=DEVICES,
            ProjectionExpression="#partition, sk",
            ExpressionAttributeNames={"#partition": "partition"},
        )
    )
    return {
        (item["partition"]["S"], item["sk"]["S"])
        for page in pages
        for item in page["Items"]
        if item["partition"]["S"].endswith("--devices")
    }
