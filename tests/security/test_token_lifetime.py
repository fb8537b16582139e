"""What was proved once does not hold for ever, and what was refused is not explained."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar.testing import TestClient

from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.tenants import TenantStatus
from service.errors import CallerError, TenantSuspendedError, UnauthenticatedError
from service.operations.authentication import Authenticate
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings

if TYPE_CHECKING:
    from service.adapters.memory.memory_ports import MemoryPorts


def test_what_was_verified_ends_in_time(ports: MemoryPorts, acme: MemoryUserPool) -> None:
    """A remembered token is refused once it has expired, or its tenant is suspended or gone."""
    now = datetime.now(UTC)
    moment = [now]
    authenticate = Authenticate(
        tenants=ports.tenants,
        signing_keys=ports.signing_keys,
        clock=lambda: moment[0],
        settings=TokenSettings(),
    )
    token = acme.id_token("alice", exp=int(now.timestamp()) + 60)

    def refusal() -> type[CallerError] | None:
        try:
            asyncio.run(authenticate(f"Bearer {token}"))
        except CallerError as error:
            return type(error)
        return None

    assert refusal() is None
    ports.signing_keys.keys.clear()
    assert refusal() is None  # remembered: no key is needed
    moment[0] = datetime.fromtimestamp(now.timestamp() + 61, UTC)
    assert refusal() is UnauthenticatedError
    moment[0] = now
    ports.tenants.rows[acme.tenant.issuer] = replace(acme.tenant, status=TenantStatus.SUSPENDED)
    assert refusal() is TenantSuspendedError
    ports.tenants.rows.clear()
    assert refusal() is UnauthenticatedError


def test_a_refusal_tells_an_attacker_nothing(ports: MemoryPorts, acme: MemoryUserPool) -> None:
    """Over HTTP each refused token gets the same challenge and document, but for the request id."""
    operations = Operations(ports, TokenSettings())
    thief = MemoryUserPool("acme")  # the same names, another key
    tokens = [
        "x",
        acme.id_token("alice", exp=1),
        acme.id_token("alice", aud="other"),
        acme.id_token(
            "alice", iss="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_nobody"
        ),
        thief.id_token("alice"),
        acme.sign(acme.claims("alice"), crit=["exp"]),
        acme.id_token("alice")[:-8] + "AAAAAAAA",
    ]
    answers: set[str] = set()
    with TestClient(create_app(operations, HttpSettings(body_max_bytes=4096))) as client:
        for token in tokens:
            answer = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            answers.add(json.dumps({**answer.json(), "request_id": ""}))
    assert len(answers) == 1
