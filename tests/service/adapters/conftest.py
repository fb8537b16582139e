"""The service as a process of its own on the embedded cloud, with two stamped tenants, their people and things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from litestar.testing import TestClient

from infra.local.landscape import PLATFORM, ROOT, Landscape
from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.pool import MemoryUserPool
from service.adapters.memory.world import MemoryWorld
from service.api.app import create_app
from service.domain.devices import Device
from service.domain.downloads import Artifact
from service.domain.permissions import Permission
from service.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar

    from infra.local.cloud import EmbeddedCloud
    from infra.local.people import Person
    from infra.local.processes import Child

ATTRIBUTES = {"kind": "press", "region": "eu-central", "criticality": "high", "utc_offset": "+01:00"}


@dataclass
class Plant:
    """Everything on one cloud; ``call`` speaks HTTP to the service's process as somebody of a tenant."""

    landscape: Landscape
    service: Child
    http: httpx.Client
    people: dict[str, dict[str, Person]]
    tokens: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def token(self, tenant: str, group: str) -> str:
        """The person's ID token, from the tenant's sign-in page."""
        if (tenant, group) not in self.tokens:
            self.tokens[tenant, group] = self.landscape.sign_in(tenant, self.people[tenant][group])
        return self.tokens[tenant, group]

    def call(
        self,
        method: str,
        path: str,
        *,
        tenant: str = "acme",
        group: str = "managers",
        **request: Any,  # noqa: ANN401 - passed on
    ) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {self.token(tenant, group)}", **request.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **request)


@pytest.fixture(scope="session")
def plant(embedded_cloud: EmbeddedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Stamped by the real program, served by the real process."""
    landscape = Landscape(cloud=embedded_cloud, state_dir=tmp_path_factory.mktemp("plant"))
    for stack in (PLATFORM, "acme", "globex"):
        landscape.stamp(stack)
    people = {tenant: landscape.add_people(tenant) for tenant in ("acme", "globex")}
    iot = embedded_cloud.client("iot")
    things = {"acme--press-01": "acme--line-press", "acme--press-02": "acme--line-press", "globex--pump-01": None}
    stored = ATTRIBUTES | {"utc_offset": "01:00"}  # AWS stores no `+`
    for thing, line in things.items():
        iot.create_thing(thingName=thing, attributePayload={"attributes": stored})
        for group in filter(None, (thing.partition("--")[0], line)):
            iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)
    landscape.upload("acme", "recipes/steel.json", b'{"temperature": 900}')
    service, url = landscape.start_service()
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            yield Plant(landscape=landscape, service=service, http=http, people=people)
    finally:
        code = service.stop()
    assert code == 0, "the service ends in order on SIGTERM"


@dataclass
class Twin:
    """Globex in memory, with the device and files that it has on the cloud."""

    http: TestClient[Litestar]
    pool: MemoryUserPool

    def call(self, method: str, path: str, *, group: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - passed on
        """One request."""
        headers = {"Authorization": f"Bearer {self.pool.id_token(group, [group])}"}
        return self.http.request(method, path, headers=headers, **request)


@pytest.fixture
def twin(plant: Plant) -> Iterator[Twin]:
    """The same service over the shipped twins and the policy files; globex has the same on the cloud."""
    commands = {"pause-infusion": Permission.STOP_DEVICE, "self-test": Permission.MAINTAIN_DEVICE}
    pool = MemoryUserPool("globex", commands=commands)
    world = MemoryWorld(authorizer=CedarAuthorizer(ROOT / "policies"))
    pool.join(world)
    world.fleet.add(Device(tenant="globex", id="pump-01", attributes=ATTRIBUTES))
    for name in ("recipes/dose.json", "firmware/pump.bin"):
        plant.landscape.upload("globex", name, b"1")
        world.artifacts.add(Artifact(tenant="globex", name=name, size=1, sha256="0" * 64, etag='"e"'))
    operations = Operations(world.ports(), token_max_bytes=16_384, token_cache_seconds=300, token_cache_entries=10)
    with TestClient(create_app(operations, body_max_bytes=4096)) as http:
        yield Twin(http=http, pool=pool)
