"""A device that lost its session is given what still waits for it, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import wire
from cedarfleet_device.wire import CommandState

from service.adapters.memory.commands import MemoryCommandBroker, MemoryCommandRecords
from service.domain.commands import (
    CLAIM_MS,
    CommandRecord,
    CommandRecordState,
    IfOffline,
    ReportedState,
)
from service.domain.instants import milliseconds, new_ulid
from service.domain.work import UnreadableWorkError, Work, WorkKind
from service.errors import UnavailableError, UpstreamError
from service.operations.redelivery import Redelivery

if TYPE_CHECKING:
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)
NOW = milliseconds(AT)
HOUR = wire.SESSION_EXPIRY_SECONDS * 1000


class Fleet:
    """Twins with commands of one device."""

    def __init__(self, principal: Principal) -> None:
        self.tenant = principal.tenant
        self.records, self.broker = MemoryCommandRecords(), MemoryCommandBroker()

    def record(self, age_ms: int = 1000, **changes: Any) -> CommandRecord:
        """Store a command that was made so long ago."""
        made = CommandRecord(
            command_id=new_ulid(NOW - age_ms),
            tenant=self.tenant.id,
            device="press-07",
            name="reboot",
            arguments={},
            created_by="somebody",
            created_at=NOW - age_ms,
            expires_at=NOW + 1,
            state=CommandRecordState.PUBLISHED,
        )
        made = replace(made, **changes)
        return self.records.once.create(self.tenant.id, made.command_id, made, None)

    def redeliver(self) -> list[CommandRecord]:
        """What is published."""
        operation = Redelivery(records=self.records, broker=self.broker, clock=lambda: AT)
        count = asyncio.run(operation.redeliver(self.tenant, "press-07"))
        assert count == len(self.broker.published)
        return self.broker.published


@pytest.fixture
def fleet(principal: Principal) -> Fleet:
    """Without a command."""
    return Fleet(principal)


def test_what_waits_is_published_the_oldest_first(fleet: Fleet) -> None:
    """Of this device alone; one that never surely left too, and then its record says so."""
    later, first = fleet.record(1000), fleet.record(HOUR, state=CommandRecordState.UNCONFIRMED)
    fleet.record(device="press-08")
    assert fleet.redeliver() == [first, later]
    states = {record.state for record in fleet.records.once.records.values()}
    assert states == {CommandRecordState.PUBLISHED}


def test_what_was_cut_off_is_claimed_first(fleet: Fleet) -> None:
    """Whoever comes back and calls it failed is not heard any more."""
    cut_off = fleet.record(state=CommandRecordState.PUBLISHING, claimed_at=NOW - CLAIM_MS - 1)
    [published] = fleet.redeliver()
    assert (published.command_id, published.claimed_at) == (cut_off.command_id, NOW)
    with pytest.raises(UpstreamError):
        asyncio.run(
            fleet.records.settle(fleet.tenant, replace(cut_off, state=CommandRecordState.FAILED))
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": NOW},
        {"age_ms": HOUR + 1},
        {"state": CommandRecordState.CREATED},
        {"state": CommandRecordState.PUBLISHING, "claimed_at": NOW - CLAIM_MS},
        {"state": CommandRecordState.RECEIVED},
        {"state": CommandRecordState.FAILED},
        {"if_offline": IfOffline.REFUSE},
    ],
)
def test_what_does_not_wait_is_left_alone(fleet: Fleet, changes: dict[str, Any]) -> None:
    """Expired, not sent yet, just being sent, received, failed, or not to wait for its device."""
    fleet.record(**changes)
    assert fleet.redeliver() == []


def test_what_the_device_spoke_of_is_left_alone(fleet: Fleet) -> None:
    """It has the command, whatever it said of it."""
    had = fleet.record()
    fleet.records.states[had.command_id] = [ReportedState(sequence=1, state=CommandState.RECEIVED)]
    assert fleet.redeliver() == []


def test_a_broker_that_is_away_is_told(fleet: Fleet) -> None:
    """So that the whole is tried again."""
    fleet.record()
    fleet.broker.available = False
    with pytest.raises(UnavailableError):
        fleet.redeliver()


@pytest.mark.parametrize(
    "about", [{}, {"thing": "press-07"}, {"thing": "globex--press-07"}, {"device": "press-07"}]
)
def test_work_about_no_thing_of_the_tenant_is_not_done(fleet: Fleet, about: dict[str, str]) -> None:
    """A message names the thing, and its tenant must be the one that the registry found."""
    fleet.record()
    operation = Redelivery(records=fleet.records, broker=fleet.broker, clock=lambda: AT)
    work = Work(kind=WorkKind.REDELIVER_COMMANDS, issuer="", tenant="acme", about=about)
    with pytest.raises(UnreadableWorkError):
        asyncio.run(operation.handle(fleet.tenant, work))
    assert fleet.broker.published == []


def test_who_came_is_told_of_behind_what_waited(fleet: Fleet) -> None:
    """By its own id, once what waits is published; without anybody to tell, that is all."""
    fleet.record()
    told: list[tuple[str, str, int]] = []

    async def came(tenant: Tenant, device_id: str) -> None:
        told.append((tenant.id, device_id, len(fleet.broker.published)))

    about = {"thing": wire.thing_name(fleet.tenant.id, "press-07")}
    work = Work(
        kind=WorkKind.REDELIVER_COMMANDS,
        issuer=fleet.tenant.issuer,
        tenant=fleet.tenant.id,
        about=about,
    )
    plain = Redelivery(records=fleet.records, broker=fleet.broker, clock=lambda: AT)
    asyncio.run(replace(plain, came=came).handle(fleet.tenant, work))
    assert told == [(fleet.tenant.id, "press-07", 1)]
    asyncio.run(plain.handle(fleet.tenant, work))
    assert len(fleet.broker.published) == 2
