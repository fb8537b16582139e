"""A request whose time is over is answered by what is known, whatever it waited for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service import deadline
from service.adapters.cache.tenants import CachedTenantRegistry
from service.adapters.memory.commands import MemoryCommandBroker, MemoryCommandRecords
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.errors import OutOfTimeError
from service.operations.operations import Operations
from service.settings import TenantSettings, TokenSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.domain.commands import CommandRecord, DirectAnswer
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from tests.service.conftest import ServiceUnderTest


@pytest.fixture
def hurried(service: ServiceUnderTest) -> Iterator[ServiceUnderTest]:
    """A service that gives a request little time."""
    usual = service.app.state.request_seconds
    service.app.state.request_seconds = 0.05
    yield service
    service.app.state.request_seconds = usual


class Hanging(MemoryTenantRegistry):
    """A registry that does not answer."""

    async def find(self, issuer: str) -> Tenant | None:
        """Never."""
        await asyncio.Event().wait()
        return await super().find(issuer)


def test_a_hanging_registry_is_named(hurried: ServiceUnderTest) -> None:
    """504 with the part and a time to come back, though its own look-up goes on for others."""
    rows = hurried.ports.tenants.rows
    registry = CachedTenantRegistry(Hanging(rows=rows), TenantSettings(), max_unknown=4)
    ports = replace(hurried.ports, tenants=registry)
    hurried.app.state.operations = Operations(ports, TokenSettings())
    answer = hurried.call("GET", "/v1/me")
    assert answer.status_code == 504
    told = answer.json()
    assert told["type"] == "urn:cedarfleet:problem:out-of-time"
    assert "the tenant registry" in told["detail"]
    assert int(answer.headers["Retry-After"]) >= 1


class Heeding(MemoryCommandBroker):
    """A broker that nobody has time to ask, as the door says of it."""

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        """Wait for longer than the request can."""
        async with deadline.within("the broker"):
            await asyncio.Event().wait()
        return await super().send_direct(tenant, record, now_ms=now_ms)

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """No time is left for it."""
        del tenant, record, now_ms
        raise OutOfTimeError("the broker", is_lost=False)


def test_a_stored_command_says_so(hurried: ServiceUnderTest) -> None:
    """It may have left: 504 with its place, where it stands as unconfirmed, which is written."""
    ports = replace(hurried.ports, broker=Heeding())
    hurried.app.state.operations = Operations(ports, TokenSettings())
    answer = hurried.call("POST", "/v1/devices/press-01/commands", json={"name": "reboot"})
    assert answer.status_code == 504, answer.text
    assert answer.json()["type"] == "urn:cedarfleet:problem:command-unconfirmed"
    hurried.app.state.request_seconds = 20
    seen = hurried.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("unconfirmed", False)


class Counting(MemoryCommandRecords):
    """Records that note how much time there is to settle one."""

    left: float = 0.0

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        """As they are, within the time that is left."""
        self.left = deadline.remaining()
        await super().settle(tenant, record)

    async def create(
        self, tenant: Tenant, record: CommandRecord, key: IdempotencyKey | None
    ) -> CommandRecord:
        """As they are, while the request's time ends."""
        made = await super().create(tenant, record, key)
        deadline.begin(0)
        return made


def test_how_far_it_came_is_written_after_the_end(service: ServiceUnderTest) -> None:
    """Else the record would stay as one that is being handed over."""
    records = Counting(once=service.ports.command_records.once)
    ports = replace(service.ports, command_records=records)
    service.app.state.operations = Operations(ports, TokenSettings())
    service.call("POST", "/v1/devices/press-01/commands", json={"name": "reboot"})
    assert 1 < records.left <= 3
