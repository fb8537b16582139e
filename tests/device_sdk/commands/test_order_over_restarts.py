"""Commands and states keep their order whatever arrives, ends or is restarted meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import CommandState, StatusMessage

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import RUN, FreeRunner, StoredCommands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.commands.outbox import Outgoing
    from cedarfleet_device.wire import CommandMessage


@dataclass(frozen=True, kw_only=True)
class WokenRunner(FreeRunner):
    """A runner that is free and counts how often it is told that a command waits."""

    woken: list[str] = field(default_factory=list[str])

    def wake(self) -> None:
        """Count it."""
        self.woken.append("once")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store; these tests are about order, not about disks."""
    opened = Store(tmp_path / "agent.db", sync=lambda _: None)
    yield opened
    opened.close()


def taken_from(commands: StoredCommands) -> list[CommandMessage]:
    """What is begun now, in its order, each ended before the next."""
    found: list[CommandMessage] = []
    while (taken := commands.inbox.take(RUN)) is not None:
        found.append(taken.message)
        assert commands.inbox.finish(taken.message.command_id, CommandState.SUCCEEDED, {})
    return found


def waiting_states(commands: StoredCommands, *, after: int = 0) -> list[Outgoing]:
    """What stands in the outbox."""
    return commands.outbox.outgoing(after=after, limit=1000)


def empty_outbox(commands: StoredCommands) -> None:
    """The cloud acknowledges everything."""
    commands.outbox.sent([each.position for each in waiting_states(commands)]).result()


def test_a_later_command_never_overtakes_a_waiting_one(store: Store):
    """While a command waits, a free runner is woken for the next one and not given it."""
    first, second, third = (new_command("acme--a", "x") for _ in range(3))
    assert StoredCommands(store).admission.receive(first).result()
    runner = WokenRunner()
    commands = StoredCommands(store, runner=runner)
    for message in (second, third):
        assert commands.admission.receive(message).result()
    assert runner.given == []
    assert len(runner.woken) == 2
    assert taken_from(commands) == [first, second, third]


@pytest.mark.parametrize("ended", [True, False])
def test_only_a_waiting_command_holds_up_the_next(store: Store, *, ended: bool):
    """A command that runs or has ended lets a free runner begin the next one at once."""
    first, second = new_command("acme--a", "x"), new_command("acme--a", "x")
    runner = FreeRunner()
    commands = StoredCommands(store, runner=runner)
    assert commands.admission.receive(first).result()
    if ended:
        assert commands.inbox.finish(first.command_id, CommandState.SUCCEEDED, {})
    assert commands.admission.receive(second).result()
    assert [each.message for each in runner.given if each] == [first, second]


@pytest.mark.parametrize("outbox", ["empty", "full"])
def test_commands_keep_their_order_over_a_restart(tmp_path: Path, outbox: str):
    """What waits at the restart comes first, and before it what ran and may run again."""
    first = Store(tmp_path / "agent.db", sync=lambda _: None)
    commands = StoredCommands(first)
    over, ran, waited, late, last = (new_command("acme--a", "x") for _ in range(5))
    assert commands.admission.receive(over).result()
    assert taken_from(commands) == [over]
    for message in (ran, waited):
        assert commands.admission.receive(message).result()
    assert commands.inbox.take(RUN)
    if outbox == "empty":
        empty_outbox(commands)
    first.close()
    second = Store(tmp_path / "agent.db", sync=lambda _: None)
    commands = StoredCommands(second)
    assert commands.inbox.recover(again=lambda _: True) == (1, 0)
    for message in (late, last):
        assert commands.admission.receive(message).result()
    assert taken_from(commands) == [ran, waited, late, last]
    second.close()


@pytest.mark.parametrize("restarted", [True, False])
def test_states_keep_their_order_over_a_restart(tmp_path: Path, *, restarted: bool):
    """A new state stands behind all that wait, and is handed over once its number is beyond."""
    store = Store(tmp_path / "agent.db", sync=lambda _: None)
    commands = StoredCommands(store)
    messages = [new_command("acme--a", "x") for _ in range(3)]
    for message in messages:
        assert commands.admission.receive(message).result()
    # The oldest is acknowledged, so that the number of states is not the last position.
    old = waiting_states(commands)
    commands.outbox.sent([old[0].position]).result()
    if restarted:
        store.close()
        store = Store(tmp_path / "agent.db", sync=lambda _: None)
        commands = StoredCommands(store)
    assert taken_from(commands) == messages
    found = waiting_states(commands)
    assert found[:2] == old[1:]
    assert [each.command_id for each in found[2:]] == [each.command_id for each in messages]
    assert [StatusMessage.decode(each.message).sequence for each in found[2:]] == [2, 2, 2]
    assert waiting_states(commands, after=old[-1].position) == found[2:]
    store.close()


def test_positions_of_states_grow_while_the_outbox_empties(store: Store):
    """A state that comes to an empty outbox stands beyond all that ever went out of it."""
    told: list[Outgoing] = []
    commands = StoredCommands(store, told=told.extend)
    for _ in range(3):
        assert commands.admission.receive(new_command("acme--a", "x")).result()
        empty_outbox(commands)
    positions = [each.position for each in told]
    assert len(set(positions)) == 3
    assert positions == sorted(positions)
