"""What the server itself knows of a request, and what it tells a load balancer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.api.parameters import Emergency, emergency_reason, utc

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest


def test_readiness_is_the_registrys(service: ServiceUnderTest) -> None:
    """A process that cannot read its tenants is alive, and not ready."""
    assert service.client.get("/health/ready").status_code == 200
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
    assert service.client.get("/v1/me", headers=twice).status_code == 401
    assert service.client.get("/v1/me", headers=twice[:1]).status_code == 200
    assert service.client.get("/v1/me").status_code == 401


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
