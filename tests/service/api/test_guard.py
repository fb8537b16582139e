"""What the server itself knows of a request, and what it tells a load balancer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from service.adapters.memory.user_pool import MemoryUserPool
from service.api.parameters import Emergency, emergency_reason, utc
from service.errors import TokenFault

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest


def test_readiness_is_the_registrys(service: ServiceUnderTest) -> None:
    """A process that cannot read its tenants is alive, and not ready."""
    service.ports.tenants.available = False
    answer = service.client.get("/health/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["type"] == "urn:cedarfleet:problem:unavailable"
    assert service.client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [("203.0.113.9", "203.0.113.9"), ("2001:DB8::9", "2001:db8::9"), ("a-proxy", None)],
)
def test_the_callers_address_is_one_or_none(
    service: ServiceUnderTest, host: str, address: str | None
) -> None:
    """The trail and the policies get an address, or know that there is none."""
    headers = {"Authorization": f"Bearer {service.acme.id_token('ann', ['managers'])}"}

    async def scenario() -> int:
        app: Any = service.app  # typed more narrowly than httpx knows an application
        came_from = httpx.ASGITransport(app, client=(host, 1))
        async with httpx.AsyncClient(transport=came_from, base_url="http://service") as client:
            command = {"name": "reboot"}
            path = "/v1/devices/press-01/commands"
            return (await client.post(path, headers=headers, json=command)).status_code

    assert asyncio.run(scenario()) == 202
    [record] = service.ports.audit.trail
    assert record.source_ip == address


def test_two_authorization_headers_are_refused(service: ServiceUnderTest) -> None:
    """A proxy in front may have checked the other one."""
    token = service.acme.id_token("ann", ["managers"])
    twice = [("Authorization", f"Bearer {token}")] * 2

    async def status(headers: list[tuple[str, str]]) -> int:
        # Past the client of the tests, which makes one header of two.
        transport = httpx.ASGITransport(cast("Any", service.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return (await client.get("/v1/me", headers=headers)).status_code

    assert asyncio.run(status(twice)) == 401
    assert asyncio.run(status(twice[:1])) == 200
    assert asyncio.run(status([])) == 401


def test_a_refusal_needs_no_decision(service: ServiceUnderTest) -> None:
    """What is malformed is refused before any policy is asked, and is no fault of ours."""
    headers = {"Authorization": f"Bearer {service.acme.id_token('ann', ['managers'])}"}
    answer = service.client.post("/v1/devices/press-01/commands", headers=headers, json={"name": 5})
    assert answer.status_code == 400, answer.text


def test_a_401_says_why_by_a_stable_code(service: ServiceUnderTest) -> None:
    """Each fault has a code of its own, in the document and the challenge (RFC 6750, 3.1)."""
    pool = service.acme
    head, payload, signature = pool.id_token("ann", ["managers"]).split(".")
    stranger = MemoryUserPool("stranger")
    headers: dict[str, str | None] = {
        "token-missing": None,
        "token-malformed": "Bearer x.y",
        "tenant-unknown": f"Bearer {stranger.id_token('ann', ['managers'])}",
        "token-not-proved": f"Bearer {head}.{payload}.{signature[:-4]}AAAA",
        "token-expired": f"Bearer {pool.sign({**pool.claims('ann'), 'exp': 1_000_000_000})}",
        "token-of-wrong-kind": f"Bearer {pool.id_token('ann', aud='another')}",
    }
    service.ports.revocations.rows["acme"] = {pool.claims("gone")["sub"]: 2**50}
    headers["token-revoked"] = f"Bearer {pool.id_token('gone')}"
    assert headers.keys() == {fault.value for fault in TokenFault}
    details: set[str] = set()
    for code, header in headers.items():
        given = {} if header is None else {"Authorization": header}
        answer = service.client.get("/v1/me", headers=given)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:cedarfleet:problem:unauthenticated"
        assert answer.json()["code"] == code
        details.add(answer.json()["detail"])
        described = f'Bearer error="invalid_token", error_description="{code}"'
        assert answer.headers["WWW-Authenticate"] == (described if header else "Bearer")
    assert len(details) == len(headers)


def test_nothing_is_told_of_a_token_that_is_not_proved(service: ServiceUnderTest) -> None:
    """An expired or foreign token with a wrong signature is as unproved as any other."""
    pool = service.acme
    for text in (
        pool.sign({**pool.claims("ann"), "exp": 1_000_000_000}),
        pool.id_token("ann", aud="another"),
        pool.sign({**pool.claims("ann"), "token_use": "refresh"}),
    ):
        head, payload, signature = text.split(".")
        forged = f"Bearer {head}.{payload}.{signature[:-4]}AAAA"
        answer = service.client.get("/v1/me", headers={"Authorization": forged})
        assert (answer.status_code, answer.json()["code"]) == (401, "token-not-proved")


def test_an_instant_that_no_calendar_has_is_none() -> None:
    """A device's clock may say anything."""
    assert utc(None) is None
    assert utc(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert utc(1_790_856_000_000) == datetime(2026, 10, 1, 12, tzinfo=UTC)
    for odd in (10**18, -(10**18), 2**63 * 1000):
        assert utc(odd) is None


def test_a_reason_is_given_without_its_margin() -> None:
    """As it is decided with and audited; without a declaration there is none."""
    assert emergency_reason(None) is None
    assert emergency_reason(Emergency(reason=" fire\n")) == "fire"
