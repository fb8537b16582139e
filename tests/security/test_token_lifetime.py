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
from service.operations.machine_admission import MachineAdmission
from service.operations.operations import Operations
from service.operations.revocations import Revocations
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
        revocations=Revocations(ports.revocations, ports.clock),
        machines=MachineAdmission(ports.machine_records, ports.clock),
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


def test_a_refusal_helps_no_forger(ports: MemoryPorts, acme: MemoryUserPool) -> None:
    """Of a token without the pool's signature nothing is told but that, whatever it claims."""
    operations = Operations(ports, TokenSettings())
    thief = MemoryUserPool("acme")  # the same names, another key
    forged = [
        thief.id_token("alice"),
        thief.id_token("alice", exp=1),
        thief.id_token("alice", aud="other"),
        thief.id_token("alice", token_use="refresh"),
        thief.sign(thief.claims("alice"), kid="made-up"),
        acme.id_token("alice")[:-8] + "AAAAAAAA",
    ]
    proved = {
        acme.id_token("alice", exp=1): "token-expired",
        acme.id_token("alice", aud="other"): "token-of-wrong-kind",
    }
    answers: set[str] = set()
    with TestClient(create_app(operations, HttpSettings(body_max_bytes=4096))) as client:
        for token in forged:
            answer = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            answers.add(
                json.dumps(
                    [answer.headers["WWW-Authenticate"], {**answer.json(), "request_id": ""}]
                )
            )
        for token, code in proved.items():
            answer = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert len(answers) == 1
    assert "token-not-proved" in answers.pop()
