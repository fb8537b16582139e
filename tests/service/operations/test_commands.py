"""A command is recorded and published only if its device could take it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest
from cedarfleet_device import wire

from service.adapters.memory.command_types import MemoryCommandTypes
from service.adapters.memory.commands import MemoryCommandRecords
from service.adapters.memory.memory_ports import MemoryPorts
from service.cedar.decision import Allowed
from service.domain.command_rules import USUAL_TIMEOUT_SECONDS
from service.domain.commands import CLAIM_MS, CommandRecordState, DirectAnswer, IfOffline
from service.domain.devices import Device
from service.domain.permissions import Permission
from service.errors import (
    CommandNotPublishedError,
    CommandUnconfirmedError,
    DeviceNotConnectedError,
    IdempotencyMismatchError,
    InvalidRequestError,
    UnavailableError,
    UpstreamError,
)
from service.operations.authorization import Access, RequestFacts
from service.operations.budgets import Budgets
from service.operations.commands import DIRECT_MESSAGES, CommandRequest, Commands
from tests.service.operations.losing_line import Table
from tests.service.operations.policies import Advice, Policies

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord
    from service.domain.idempotency import IdempotencyKey
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)


def made(
    principal: Principal, records: MemoryCommandRecords | None = None
) -> tuple[MemoryPorts, Commands, Access]:
    """Twins with one device, whose policies allow once; the operation; who asks."""
    ports = MemoryPorts.around(Policies([Allowed(policies=()), Allowed(policies=())]))
    ports.devices.add(Device(tenant="acme", id="press-07"))
    ports.clock.now = AT
    commands = Commands(
        types=MemoryCommandTypes(),
        devices=ports.devices,
        records=records or ports.command_records,
        broker=ports.broker,
        budgets=Budgets(ports.buckets, ports.clock),
        clock=ports.clock,
    )
    access = Access(
        principal=principal,
        facts=RequestFacts(request_id="request-1", source_ip=None),
        declared=frozenset({Permission.OPERATE_DEVICE}),
        authorizer=ports.authorizer,
        adviser=Advice(ports.authorizer),
        audit=ports.audit,
        clock=ports.clock,
    )
    return ports, commands, access


@pytest.mark.parametrize(("more", "taken"), [(0, True), (1, False)])
def test_a_message_is_sent_up_to_the_brokers_bound(
    principal: Principal, more: int, taken: bool
) -> None:
    """One byte more is refused by name, before anything is asked, recorded or published."""
    ports, commands, access = made(principal)
    empty = wire.CommandMessage(
        command_id="01JD0000000000000000000000",
        thing="acme--press-07",
        name="reboot",
        arguments={"x": ""},
        issued_at=round(AT.timestamp() * 1000),
        expires_at=round(AT.timestamp() * 1000) + 60_000,
    )
    room = wire.MAX_MESSAGE_BYTES - len(empty.encode())
    request = CommandRequest(
        device="press-07",
        name="reboot",
        arguments={"x": "a" * (room + more)},
        timeout_seconds=60,
    )
    if taken:
        asyncio.run(commands.send(access, request))
    else:
        with pytest.raises(InvalidRequestError, match="arguments"):
            asyncio.run(commands.send(access, request))
    assert len(ports.broker.published) == taken
    assert len(ports.command_records.once.records) == taken
    assert len(ports.audit.trail) == taken


RECEIVED, AWAY, SILENT = DirectAnswer
QUEUE, REFUSE = IfOffline


@pytest.mark.parametrize(
    ("answer", "if_offline", "became", "published"),
    [
        (RECEIVED, QUEUE, CommandRecordState.RECEIVED, 0),
        (RECEIVED, REFUSE, CommandRecordState.RECEIVED, 0),
        (AWAY, QUEUE, CommandRecordState.PUBLISHED, 1),
        (AWAY, REFUSE, DeviceNotConnectedError, 0),
        (SILENT, QUEUE, CommandRecordState.PUBLISHED, 1),
        (SILENT, REFUSE, CommandRecordState.PUBLISHED, 0),
        (None, QUEUE, CommandRecordState.PUBLISHED, 1),
        (None, REFUSE, CommandUnconfirmedError, 0),
    ],
)
def test_what_is_not_surely_received_is_published_too(
    principal: Principal,
    answer: DirectAnswer | None,
    if_offline: IfOffline,
    became: CommandRecordState | type[Exception],
    published: int,
) -> None:
    """Under the same id, unless the caller wants no waiting; the record says what became of it."""
    ports, commands, access = made(principal)
    ports.broker.answer = answer
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=60, if_offline=if_offline
    )
    if isinstance(became, CommandRecordState):
        assert asyncio.run(commands.send(access, request)).state is became
        state = became
    else:
        with pytest.raises(became):
            asyncio.run(commands.send(access, request))
        is_lost = became is CommandUnconfirmedError
        state = CommandRecordState.UNCONFIRMED if is_lost else CommandRecordState.FAILED
    [record] = ports.command_records.once.records.values()
    assert record.state is state
    assert [one.command_id for one in ports.broker.published] == [record.command_id] * published


@pytest.mark.parametrize("answer", [RECEIVED, AWAY])
def test_a_command_that_left_is_not_sent_again(principal: Principal, answer: DirectAnswer) -> None:
    """A request that comes again under its key finds what the first one made."""
    ports, commands, access = made(principal)
    ports.broker.answer = answer
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=60, idempotency_key="k"
    )
    first = asyncio.run(commands.send(access, request))
    assert asyncio.run(commands.send(access, request)) == first
    assert len(ports.broker.sent) == 1


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (30, 30, True),
        (30, 31, False),
        (None, None, True),
        (None, USUAL_TIMEOUT_SECONDS, True),
        (USUAL_TIMEOUT_SECONDS, None, True),
        (None, 30, False),
    ],
)
def test_a_key_stands_for_its_time_too(
    principal: Principal, first: int | None, second: int | None, is_same: bool
) -> None:
    """Whoever asks for another time under it is told; who says none asks for the usual one."""
    _, commands, access = made(principal)
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=first, idempotency_key="k"
    )
    made_first = asyncio.run(commands.send(access, request))
    again = replace(request, timeout_seconds=second)
    if is_same:
        assert asyncio.run(commands.send(access, again)) == made_first
    else:
        with pytest.raises(IdempotencyMismatchError):
            asyncio.run(commands.send(access, again))


@pytest.mark.parametrize(("early_ms", "sent"), [(1, 1), (0, 0)])
def test_past_its_expiry_a_command_is_not_sent_again(
    principal: Principal, early_ms: int, sent: int
) -> None:
    """From the moment of its expiry on; until then a lost answer is made good by repeating."""
    ports, commands, access = made(principal)
    ports.broker.answer = None
    request = CommandRequest(
        device="press-07",
        name="reboot",
        arguments={},
        timeout_seconds=60,
        if_offline=REFUSE,
        idempotency_key="k",
    )
    with pytest.raises(CommandUnconfirmedError):
        asyncio.run(commands.send(access, request))
    ports.broker.answer = RECEIVED
    ports.clock.now = AT + timedelta(seconds=60, milliseconds=-early_ms)
    asyncio.run(commands.send(access, request))
    assert len(ports.broker.sent) == sent


def test_a_refused_command_stays_refused(principal: Principal) -> None:
    """Under its key, though its device is back: the caller was told, and may have sent another."""
    ports, commands, access = made(principal)
    request = CommandRequest(
        device="press-07",
        name="reboot",
        arguments={},
        timeout_seconds=60,
        if_offline=REFUSE,
        idempotency_key="k",
    )
    for ports.broker.answer in (AWAY, RECEIVED):
        with pytest.raises(DeviceNotConnectedError):
            asyncio.run(commands.send(access, request))
    assert len(ports.broker.sent) == 1
    other = asyncio.run(commands.send(access, replace(request, idempotency_key="l")))
    assert other.state is CommandRecordState.RECEIVED


@pytest.mark.parametrize("if_offline", list(IfOffline))
def test_beyond_the_accounts_direct_messages_none_is_sent(
    principal: Principal, if_offline: IfOffline
) -> None:
    """It is published instead, or, where the caller wants no waiting, recorded as failed."""
    ports, commands, access = made(principal)
    microsecond = int(AT.timestamp() * 1_000_000)
    ports.buckets.rows[DIRECT_MESSAGES.key] = microsecond + DIRECT_MESSAGES.rate.span
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=60, if_offline=if_offline
    )
    if if_offline is IfOffline.QUEUE:
        record = asyncio.run(commands.send(access, request))
        assert record.state is CommandRecordState.PUBLISHED
    else:
        with pytest.raises(CommandNotPublishedError):
            asyncio.run(commands.send(access, request))
        [kept] = ports.command_records.once.records.values()
        assert kept.state is CommandRecordState.FAILED
    assert ports.broker.sent == []
    assert len(ports.broker.published) == (if_offline is IfOffline.QUEUE)


def test_a_record_whose_answer_was_lost_has_its_place(principal: Principal) -> None:
    """Nobody knows whether it is stored: its id is told, and its key finds and sends it."""
    table = Table()
    ports, commands, access = made(principal, table)
    ports.broker.answer = RECEIVED
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=600, idempotency_key="k"
    )
    table.fails = "answer lost"
    with pytest.raises(CommandUnconfirmedError) as caught:
        asyncio.run(commands.send(access, request))
    [(_, stored)] = table.once.records
    assert caught.value.command_id == stored
    assert ports.broker.sent == []
    ports.clock.now = AT + timedelta(milliseconds=CLAIM_MS + 1)
    again = asyncio.run(commands.send(access, request))
    assert (again.command_id, again.state) == (stored, CommandRecordState.RECEIVED)
    assert len(ports.broker.sent) == 1


def test_what_surely_did_not_leave_is_sent_by_a_repeat(principal: Principal) -> None:
    """The broker has no time now: nothing left, the record says so, and its key sends it."""
    ports, commands, access = made(principal)
    ports.broker.available = False
    ports.broker.failure = UnavailableError("the device broker", is_lost=False)
    request = CommandRequest(
        device="press-07", name="reboot", arguments={}, timeout_seconds=60, idempotency_key="k"
    )
    with pytest.raises(CommandNotPublishedError):
        asyncio.run(commands.send(access, request))
    [record] = ports.command_records.once.records.values()
    assert record.state is CommandRecordState.CREATED
    ports.broker.available, ports.broker.answer = True, RECEIVED
    assert asyncio.run(commands.send(access, request)).state is CommandRecordState.RECEIVED
    assert len(ports.broker.sent) == 1


def test_a_refused_record_is_no_command(principal: Principal) -> None:
    """Of what is certainly not stored no id is told, since nothing stands there."""

    class Refusing(MemoryCommandRecords):
        """Stores nothing."""

        async def create(
            self, tenant: Tenant, record: CommandRecord, key: IdempotencyKey | None
        ) -> NoReturn:
            """Say no."""
            del tenant, record, key
            raise UpstreamError("the commands table refused the call")

    _, commands, access = made(principal, Refusing())
    request = CommandRequest(device="press-07", name="reboot", arguments={}, timeout_seconds=60)
    with pytest.raises(UpstreamError, match="refused the call"):
        asyncio.run(commands.send(access, request))
