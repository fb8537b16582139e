"""What is said of a command is true in every history, and what is said to be final stays.

Answers are lost, requests come again under their key while others are under way, processes are cut
off, the device speaks late or never, and sessions lapse; in any order.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from cedarfleet_device.wire import CommandState
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.memory.command_types import MemoryCommandTypes
from service.adapters.memory.memory_ports import MemoryPorts
from service.cedar.decision import Allowed
from service.domain.commands import (
    CLAIM_MS,
    CommandRecordState,
    IfOffline,
    ReportedState,
    status_of,
)
from service.domain.devices import Device
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import CedarfleetError
from service.operations.authorization import Access, RequestFacts
from service.operations.budgets import Budgets
from service.operations.command_cancel import CommandCancel
from service.operations.commands import CommandRequest, Commands
from service.operations.redelivery import Redelivery
from tests.service.operations.losing_line import Line, Table
from tests.service.operations.policies import Advice, Policies

if TYPE_CHECKING:
    from service.domain.identities import Principal

AT: Final = datetime(2026, 10, 1, 12, tzinfo=UTC)


class History:
    """One command of one key, and all that happens to it."""

    def __init__(self, principal: Principal, if_offline: IfOffline) -> None:
        self.ports = MemoryPorts.around(Policies([Allowed(policies=())] * 100))
        self.ports.devices.add(Device(tenant="acme", id="press-07"))
        self.ports.clock.now = AT
        self.tenant = principal.tenant
        self.table, self.line = Table(), Line()
        self.commands = Commands(
            types=MemoryCommandTypes(),
            devices=self.ports.devices,
            records=self.table,
            broker=self.line,
            budgets=Budgets(self.ports.buckets, self.ports.clock),
            clock=self.ports.clock,
        )
        self.cancel = CommandCancel(
            types=MemoryCommandTypes(),
            devices=self.ports.devices,
            records=self.table,
            broker=self.line,
            clock=self.ports.clock,
        )
        self.redelivery = Redelivery(records=self.table, broker=self.line, clock=self.ports.clock)
        self.access = Access(
            principal=principal,
            facts=RequestFacts(request_id="request-1", source_ip=None),
            declared=frozenset({Permission.OPERATE_DEVICE}),
            authorizer=self.ports.authorizer,
            adviser=Advice(self.ports.authorizer),
            audit=self.ports.audit,
            clock=self.ports.clock,
        )
        self.request = CommandRequest(
            device="press-07",
            name="reboot",
            arguments={},
            timeout_seconds=90,
            if_offline=if_offline,
            idempotency_key="k",
        )
        self.tasks: list[asyncio.Task[object]] = []
        self.started = False
        self.refused = False
        self.said: dict[str, tuple[str, str]] = {}

    @property
    def now(self) -> int:
        """Milliseconds since the epoch."""
        return milliseconds(self.ports.clock())

    async def step(self, step: str, argument: str) -> None:
        """One thing happens."""
        match step:
            case "request":
                self.tasks.append(
                    asyncio.ensure_future(self.commands.send(self.access, self.request))
                )
            case "line":
                self.line.answer(argument)
            case "table":
                self.table.fails = argument
            case "cut off":
                running = [task for task in self.tasks if not task.done()]
                for task in running[-1 if argument == "the last" else 0 :][:1]:
                    task.cancel()
            case "later":
                self.ports.clock.now = self.ports.clock() + timedelta(seconds=int(argument))
            case "cancel":
                self.tasks += [
                    asyncio.ensure_future(self.cancel.cancel(self.access, command_id))
                    for _, command_id in self.table.once.records
                ]
            case "subscribed":
                self.tasks.append(
                    asyncio.ensure_future(self.redelivery.redeliver(self.tenant, "press-07"))
                )
            case _:
                self.device(argument)
        for _ in range(25):
            await asyncio.sleep(0)

    def device(self, does: str) -> None:
        """It starts what reached it in time, and says so when it likes."""
        for record in self.table.once.records.values():
            states = self.table.states.setdefault(record.command_id, [])
            # As an agent: what waits, or has not come yet, never begins once its cancel came.
            if does == "canceled":
                if self.line.canceled and not self.started and not self.refused:
                    self.refused = True
                    states.append(ReportedState(sequence=1, state=CommandState.CANCELED))
                continue
            if self.line.arrived and self.now <= record.expires_at and not self.refused:
                self.started = True
            if (
                self.started
                and does != "starts"
                and not any(told.state.is_final for told in states)
            ):
                state = CommandState(does)
                states.append(ReportedState(sequence=len(states) + 1, state=state))

    def check(self) -> None:
        """What is said is true by all that is known here, and final is final."""
        for (_, command_id), record in self.table.once.records.items():
            status = status_of(
                record, self.table.states.get(command_id, ()), now_ms=self.now, retired_at=None
            )
            told = status.state, status.reported_by
            assert self.said.get(command_id, told) == told
            if status.is_final:
                self.said[command_id] = told
                if status.reported_by == "service":
                    assert not self.line.arrived
        handed = [
            one
            for one in self.line.under_way
            if self.now - one.record.claimed_at <= CLAIM_MS
            and one.record.state is CommandRecordState.PUBLISHING
        ]
        assert len(handed) <= 1

    async def end(self) -> None:
        """Nothing goes on, and nothing but our own errors was raised."""
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                assert isinstance(one, CedarfleetError), one


LINE: Final = (
    "arrives",
    "arrives, answer lost",
    "arrives, answer unreadable",
    "lost",
    "refused",
    "throttled",
    "device is away",
    "device is silent",
)
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.just("")),
        st.tuples(st.just("line"), st.sampled_from(LINE)),
        st.tuples(st.just("line"), st.sampled_from(LINE)),
        st.tuples(st.just("table"), st.sampled_from(["nothing is stored", "answer lost"])),
        st.tuples(st.just("cut off"), st.sampled_from(["the first", "the last"])),
        st.tuples(st.just("later"), st.sampled_from(["1", "20", "61", "200"])),
        st.tuples(st.just("subscribed"), st.just("")),
        st.tuples(
            st.just("device"),
            st.sampled_from(["starts", "running", "succeeded", "failed", "canceled"]),
        ),
        st.tuples(st.just("cancel"), st.just("")),
    ),
    min_size=12,
    max_size=24,
)


@given(steps=STEPS, if_offline=st.sampled_from(IfOffline))
def test_final_stays_final_in_every_history(
    principal: Principal, steps: list[tuple[str, str]], if_offline: IfOffline
) -> None:
    """And nothing is final that reached the device without its word."""

    async def scenario() -> None:
        history = History(principal, if_offline)
        for step, argument in [("request", ""), *steps]:
            await history.step(step, argument)
            history.check()
        await history.end()

    asyncio.run(scenario())


LOST_ON_ITS_WAY: Final = [("request", ""), ("line", "arrives, answer lost")]
REFUSED_TWICE: Final = [("line", "refused"), ("line", "refused")]


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([*LOST_ON_ITS_WAY, ("line", "refused")], "unconfirmed"),
        ([*LOST_ON_ITS_WAY, ("line", "throttled")], "unconfirmed"),
        ([*LOST_ON_ITS_WAY, ("line", "lost"), ("request", ""), *REFUSED_TWICE], "unconfirmed"),
        ([*LOST_ON_ITS_WAY, ("cut off", "the first")], "publishing"),
        ([*LOST_ON_ITS_WAY, ("line", "lost"), ("later", "91")], "expired"),
        ([*LOST_ON_ITS_WAY, ("line", "lost"), ("device", "succeeded")], "succeeded"),
        ([*LOST_ON_ITS_WAY, ("line", "lost"), ("subscribed", ""), ("line", "lost")], "unconfirmed"),
        ([("request", ""), ("line", "device is silent"), ("line", "refused")], "unconfirmed"),
        (
            [("request", ""), ("line", "arrives, answer unreadable"), ("line", "refused")],
            "unconfirmed",
        ),
        ([("request", ""), *REFUSED_TWICE], "failed"),
        ([("request", ""), *REFUSED_TWICE, ("request", ""), ("line", "arrives")], "failed"),
        ([("request", ""), ("line", "throttled"), ("line", "throttled")], "created"),
        (
            [("request", ""), *[("line", "throttled")] * 2, ("request", ""), ("line", "arrives")],
            "received",
        ),
        (
            [("request", ""), *[("line", "throttled")] * 2, ("cancel", ""), ("request", "")],
            "canceled",
        ),
        ([("request", ""), ("cancel", ""), *[("line", "throttled")] * 2], "canceled"),
        ([("request", ""), ("cancel", ""), ("line", "arrives")], "received"),
        # Its cancel reaches the device, and it never does, in either order.
        ([("request", ""), ("cancel", ""), ("device", "canceled"), *REFUSED_TWICE], "failed"),
        ([("request", ""), ("cancel", ""), *REFUSED_TWICE, ("device", "canceled")], "failed"),
        (
            [("request", ""), ("line", "arrives"), ("cancel", ""), ("device", "canceled")],
            "canceled",
        ),
        (
            [("request", ""), ("line", "arrives"), ("device", "running"), ("cancel", "")],
            "running",
        ),
        ([*LOST_ON_ITS_WAY, ("line", "lost"), ("cancel", ""), ("request", "")], "unconfirmed"),
        (
            [*LOST_ON_ITS_WAY, ("line", "lost"), ("cancel", ""), ("subscribed", "")],
            "unconfirmed",
        ),
        # Whoever was cut off for long must not call it failed once another sends it.
        ([("request", ""), ("later", "61"), ("request", ""), *REFUSED_TWICE], "publishing"),
        ([("table", "answer lost"), ("request", "")], "publishing"),
        (
            [
                ("table", "answer lost"),
                ("request", ""),
                ("later", "61"),
                ("request", ""),
                ("line", "arrives"),
            ],
            "received",
        ),
    ],
)
def test_what_is_said_of_an_unconfirmed_command(
    principal: Principal, steps: list[tuple[str, str]], state: str
) -> None:
    """It is failed only where nothing can have left, and stays open until the device's word."""

    async def scenario() -> None:
        history = History(principal, IfOffline.QUEUE)
        for step, argument in steps:
            await history.step(step, argument)
            history.check()
        [record] = history.table.once.records.values()
        states = history.table.states.get(record.command_id, ())
        assert status_of(record, states, now_ms=history.now, retired_at=None).state == state
        await history.end()

    asyncio.run(scenario())


@pytest.mark.parametrize("if_offline", list(IfOffline))
def test_many_repeats_at_once_send_a_command_once(
    principal: Principal, if_offline: IfOffline
) -> None:
    """Fifty while the first is under way, and fifty after its answer was lost."""

    async def scenario() -> None:
        history = History(principal, if_offline)
        for _ in range(50):
            await history.step("request", "")
        assert history.line.sent == 1
        while history.line.under_way:
            await history.step("line", "arrives, answer lost")
        lost = history.line.sent
        history.tasks.extend(
            asyncio.ensure_future(history.commands.send(history.access, history.request))
            for _ in range(49)
        )
        await history.step("request", "")
        assert history.line.sent == lost + 1
        await history.step("line", "arrives")
        [record] = history.table.once.records.values()
        assert record.state is CommandRecordState.RECEIVED
        await history.end()

    asyncio.run(scenario())
