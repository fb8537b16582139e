"""A command is recorded and published only if its device could take it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import wire

from service.adapters.memory.memory_ports import MemoryPorts
from service.cedar.decision import Allowed
from service.domain.devices import Device
from service.domain.permissions import Permission
from service.errors import InvalidRequestError
from service.operations.authorization import Access, RequestFacts
from service.operations.commands import CommandRequest, Commands
from tests.service.operations.policies import Policies

if TYPE_CHECKING:
    from service.domain.identities import Principal

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("more", "taken"), [(0, True), (1, False)])
def test_a_message_is_sent_up_to_the_brokers_bound(
    principal: Principal, more: int, taken: bool
) -> None:
    """One byte more is refused by name, before anything is asked, recorded or published."""
    ports = MemoryPorts.around(Policies([Allowed(policies=())]))
    ports.devices.add(Device(tenant="acme", id="press-07"))
    ports.clock.now = AT
    commands = Commands(
        devices=ports.devices,
        records=ports.command_records,
        broker=ports.broker,
        clock=ports.clock,
    )
    access = Access(
        principal=principal,
        facts=RequestFacts(request_id="request-1", source_ip=None),
        declared=frozenset({Permission.OPERATE_DEVICE}),
        authorizer=ports.authorizer,
        audit=ports.audit,
        clock=ports.clock,
    )
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
