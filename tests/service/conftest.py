"""A service in memory: two tenants, their devices and files, the real policies, and HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import structlog
from litestar.testing import TestClient

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.artifacts import Artifact
from service.domain.devices import Connectivity, Device
from service.domain.permissions import Permission
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings
from tests.service.contract import Contract
from tests.service.stamped_policies import lendable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from litestar import Litestar

POLICIES: Final = Path(__file__).parents[2] / "policies"
COMMANDS: Final = {
    "reboot": Permission.OPERATE_DEVICE,
    "stop": Permission.STOP_DEVICE,
    "set-parameters": Permission.SET_PARAMETERS,
    "run-diagnostics": Permission.MAINTAIN_DEVICE,
}
# What is logged stands in the report of a test that fails: without the locals of every frame of a
# traceback, which structlog writes by default, and which take a tenth of a second each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)
GROUPS: Final = {"line-press": (), "line-pump": (), "zone-hall-1": (), "cell-4": ("zone-hall-1",)}


@dataclass
class ServiceUnderTest:
    """The service over its twins; ``call`` speaks HTTP as one of the people."""

    ports: MemoryPorts
    acme: MemoryUserPool
    globex: MemoryUserPool
    app: Litestar
    client: TestClient[Litestar]
    tokens: dict[str, str] = field(default_factory=dict[str, str])

    def device(self, device_id: str) -> Device:
        """A device of acme, as it is now."""
        found = self.ports.devices.known("acme", device_id)
        assert found is not None
        return found

    def call(
        self, method: str, path: str, *, as_: str = "managers", **request: Any
    ) -> httpx.Response:
        """One request as a person of acme in the group ``as_``."""
        token = self.tokens.setdefault(as_, self.acme.id_token(as_, [as_]))
        headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **request)


@pytest.fixture(scope="session")
def authorizer() -> CedarAuthorizer:
    """The real policies."""
    return CedarAuthorizer(POLICIES)


@pytest.fixture(scope="session")
def pools() -> tuple[MemoryUserPool, MemoryUserPool]:
    """The user pools of acme and globex; making an RSA key takes a while."""
    templates = lendable()
    return (
        MemoryUserPool("acme", commands=COMMANDS, groups=GROUPS, templates=templates),
        MemoryUserPool("globex", commands=COMMANDS, groups={"ward": ()}, templates=templates),
    )


@pytest.fixture(scope="session")
def app(authorizer: CedarAuthorizer) -> Litestar:
    """The application, made once: its routes are the most of it, and a test has its own operations.

    Set ``app.state.operations`` before it serves.
    """
    operations = Operations(MemoryPorts.around(authorizer), TokenSettings())
    return create_app(operations, HttpSettings(body_max_bytes=64 * 1024))


@pytest.fixture(scope="session")
def contract() -> list[Contract]:
    """The API's own description, once it was asked for."""
    return []


@pytest.fixture
def service(
    app: Litestar,
    authorizer: CedarAuthorizer,
    pools: tuple[MemoryUserPool, MemoryUserPool],
    contract: list[Contract],
) -> Iterator[ServiceUnderTest]:
    """A fresh service over fresh twins; each of its answers must be as its description says."""
    ports = MemoryPorts.around(authorizer)
    acme, globex = pools
    for pool in pools:
        pool.join(ports)
    attributes = {
        "kind": "press",
        "region": "eu-central",
        "criticality": "high",
        "utc_offset": "+01:00",
    }
    for number in range(1, 4):
        connected = Connectivity(connected=number == 1, since_ms=1_790_000_000_000)
        ports.devices.add(
            Device(
                tenant="acme",
                id=f"press-0{number}",
                groups=("line-press",),
                attributes=attributes | {"window": "22:00-04:00", "security_patch": "2026-01-01"},
                connectivity=connected,
            )
        )
    ports.devices.add(
        Device(tenant="globex", id="pump-01", groups=("ward",), attributes={"kind": "pump"})
    )
    for tenant, name in (
        ("acme", "recipes/steel.json"),
        ("acme", "firmware/press-2.bin"),
        ("globex", "secret.bin"),
    ):
        ports.artifacts.add(
            Artifact(tenant=tenant, name=name, size=1024, sha256="ab" * 32, etag='"e1"')
        )
    ports.artifacts.add(
        Artifact(tenant="acme", name="no-digest.bin", size=1, sha256=None, etag='"e2"')
    )
    app.state.operations = Operations(ports, TokenSettings())
    with TestClient(app, raise_server_exceptions=False) as client:
        if not contract:
            contract.append(Contract(client.get("/v1/openapi").json()))
        client.event_hooks["response"].append(contract[0].hold)
        yield ServiceUnderTest(ports=ports, acme=acme, globex=globex, app=app, client=client)
