"""Over its budget a tenant is told so before AWS is asked anything, and no other tenant is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from litestar.testing import TestClient

from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.devices import Device
from service.domain.rates import Budget, Rate
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from litestar import Litestar

    from service.adapters.memory.authorizer import CedarAuthorizer

BUDGETS: Final = {
    Budget.REQUESTS: Rate(per_second=2, burst=6),
    Budget.COMMANDS: Rate(per_second=1, burst=3),
}


class Api:
    """The service over its twins, at a moment that stands; acme and globex have small budgets."""

    def __init__(self, client: TestClient[Any], ports: MemoryPorts, acme: MemoryUserPool) -> None:
        self.client, self.ports = client, ports
        self.operations: Any = client.app.state.operations
        self._token = acme.id_token("boss", ["managers"])

    def get(self, path: str = "/v1/me", token: str | None = None) -> httpx.Response:
        """One request."""
        return self.client.get(path, headers={"Authorization": f"Bearer {token or self._token}"})

    def command(self) -> httpx.Response:
        """One command."""
        headers = {"Authorization": f"Bearer {self._token}"}
        path = "/v1/devices/press-01/commands"
        return self.client.post(path, headers=headers, json={"name": "reboot"})

    def later(self, seconds: float) -> None:
        """Let time pass."""
        assert self.ports.clock.now is not None
        self.ports.clock.now += timedelta(seconds=seconds)


async def refuses_to_look(_: str | None) -> None:
    """In place of the authentication of whom nothing shall be looked at."""
    raise AssertionError("a token was looked at")


@pytest.fixture(scope="module")
def small() -> tuple[MemoryUserPool, MemoryUserPool]:
    """Their pools."""
    return MemoryUserPool("acme", budgets=BUDGETS), MemoryUserPool("globex", budgets=BUDGETS)


@pytest.fixture
def api(
    app: Litestar, authorizer: CedarAuthorizer, small: tuple[MemoryUserPool, MemoryUserPool]
) -> Iterator[Api]:
    """A fresh service."""
    ports = MemoryPorts.around(authorizer)
    for pool in small:
        pool.join(ports)
    ports.devices.add(Device(tenant="acme", id="press-01"))
    ports.clock.now = datetime.now(UTC)
    app.state.operations = Operations(ports, TokenSettings())
    with TestClient(app) as client:
        yield Api(client, ports, small[0])


def test_every_answer_says_what_remains(api: Api) -> None:
    """Policy and remainder, in the form of the draft; a command is told of both its budgets."""
    answer = api.get()
    assert answer.headers["RateLimit-Policy"] == '"requests";q=6;w=3'
    assert answer.headers["RateLimit"] == '"requests";r=5'
    answer = api.command()
    assert answer.status_code == 202
    assert answer.headers["RateLimit-Policy"] == '"requests";q=6;w=3, "commands";q=3;w=3'
    assert answer.headers["RateLimit"] == '"requests";r=4, "commands";r=2'
    missing = api.get("/v1/devices/press-99")
    assert (missing.status_code, missing.headers["RateLimit"]) == (404, '"requests";r=3')


def test_over_its_budget_a_tenant_is_told_when_to_come_again(api: Api) -> None:
    """429 with a code of its own and the seconds; nothing was asked; after that it is served."""
    for _ in range(6):
        assert api.get().status_code == 200
    refused = api.get("/v1/devices")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"] == '"requests";r=0;t=1'
    problem = refused.json()
    assert problem["type"] == "urn:cedarfleet:problem:over-budget"
    assert problem["budget"] == "requests"
    assert "2 a second, 6 at once" in problem["detail"]
    api.later(int(refused.headers["Retry-After"]))
    assert api.get().status_code == 200


def test_a_flood_is_answered_as_its_first_refusal_was(
    api: Api, small: tuple[MemoryUserPool, MemoryUserPool]
) -> None:
    """Sooner, with the same words; what needs no budget is answered, and so is who comes again."""
    while (first := api.get()).status_code == 200:
        pass
    authenticate = api.operations.authenticate
    api.operations.authenticate = refuses_to_look
    again = api.get()
    api.operations.authenticate = authenticate
    differ = {"request_id", "x-request-id"}
    for one, other in ((first.json(), again.json()), (first.headers, again.headers)):
        told, retold = dict(one), dict(other)
        assert {name for name in told | retold if told.get(name) != retold.get(name)} <= differ
    assert api.get("/v1/openapi").status_code == 200
    assert api.get("/health/live").status_code == 200
    assert api.get(token=small[0].id_token("ann", ["managers"])).status_code == 429
    api.later(2)
    assert api.get().status_code == 200


def test_commands_are_fewer_than_requests(api: Api) -> None:
    """The fourth is refused, published nowhere and recorded nowhere; reading goes on."""
    assert [api.command().status_code for _ in range(4)] == [202, 202, 202, 429]
    assert api.command().json()["budget"] == "commands"
    assert len(api.ports.broker.published) == 3
    assert len(api.ports.audit.trail) == 3
    assert api.get().status_code == 200


def test_one_tenants_budget_is_not_anothers(
    api: Api, small: tuple[MemoryUserPool, MemoryUserPool]
) -> None:
    """Acme has used up its own; globex is served."""
    while api.get().status_code == 200:
        pass
    answer = api.get(token=small[1].id_token("boss"))
    assert (answer.status_code, answer.headers["RateLimit"]) == (200, '"requests";r=5')


def test_who_proves_nothing_spends_nothing(api: Api) -> None:
    """401 comes first, with no budget told and no row written, however often."""
    for _ in range(20):
        answer = api.get(token="x.y.z")
        assert answer.status_code == 401
        assert "RateLimit" not in answer.headers
    assert api.ports.buckets.writes == 0


def test_without_the_table_of_budgets_a_little_is_let_through(api: Api) -> None:
    """The service goes on at a share of the rate, and says 429 beyond it, not 503."""
    api.ports.buckets.available = False
    assert [api.get().status_code for _ in range(3)] == [200, 429, 429]
    api.later(1)
    assert api.get().status_code == 200


def test_openapi_tells_of_budgets(api: Api) -> None:
    """Each operation of version 1 has 429, and the fields of each success."""
    paths = api.client.get("/v1/openapi").json()["paths"]
    operations = [
        one
        for path, item in paths.items()
        if path.startswith("/v1/")
        for one in item.values()
        if isinstance(one, dict)
    ]
    assert len(operations) >= 10
    for one in operations:
        assert "Retry-After" in one["responses"]["429"]["description"]
        success = next(text for code, text in one["responses"].items() if code.startswith("2"))
        assert {"RateLimit", "RateLimit-Policy"} <= success["headers"].keys()
