"""A cancel on the device: what waits never begins, what has begun goes on, and each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import wire
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import CancelMessage, CommandMessage, CommandState

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import RUN, StoredCommands, reported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store."""
    opened = Store(tmp_path / "agent.db")
    yield opened
    opened.close()


@pytest.fixture
def commands(store: Store) -> StoredCommands:
    """Commands that wait until they are taken."""
    return StoredCommands(store)


def cancel_of(message: CommandMessage) -> CancelMessage:
    """The cancel of a command."""
    return CancelMessage(
        command_id=message.command_id,
        thing=message.thing,
        canceled_at=message.issued_at,
        expires_at=message.expires_at,
    )


def test_what_waits_never_begins(commands: StoredCommands) -> None:
    """It says so once, and a second cancel or the command again changes nothing."""
    message = new_command("acme--a", "x")
    commands.admission.receive(message).result()
    assert commands.admission.cancel(cancel_of(message)).result() is True
    assert commands.admission.cancel(cancel_of(message)).result() is False
    assert commands.admission.receive(message).result() is False
    assert commands.inbox.take(RUN) is None
    key = message.command_id
    assert reported(commands.outbox) == [(key, "0001", "received"), (key, "0002", "canceled")]


def test_a_cancel_may_come_before_its_command(commands: StoredCommands) -> None:
    """The command that comes late is known, and does not run."""
    message = new_command("acme--a", "x")
    assert commands.admission.cancel(cancel_of(message)).result() is True
    assert commands.admission.receive(message).result() is False
    assert commands.inbox.take(RUN) is None
    assert reported(commands.outbox) == [(message.command_id, "0001", "canceled")]


def test_what_has_begun_goes_on(commands: StoredCommands) -> None:
    """It ends as it ends: a cancel is no stop."""
    message = new_command("acme--a", "x")
    commands.admission.receive(message).result()
    assert commands.inbox.take(RUN) is not None
    assert commands.admission.cancel(cancel_of(message)).result() is False
    assert commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {}) is True
    assert commands.admission.cancel(cancel_of(message)).result() is False
    states = [state for _, _, state in reported(commands.outbox)]
    assert states == ["received", "succeeded"]


def test_only_its_own_command_is_canceled(commands: StoredCommands) -> None:
    """Another that waits beside it runs."""
    first, second = new_command("acme--a", "x"), new_command("acme--a", "x")
    for message in (first, second):
        commands.admission.receive(message).result()
    commands.admission.cancel(cancel_of(first)).result()
    taken = commands.inbox.take(RUN)
    assert taken is not None
    assert taken.message == second


def test_a_cancel_of_a_forgotten_command_says_nothing(commands: StoredCommands) -> None:
    """It may have run before it was forgotten: nobody says that it did not."""
    message = new_command("acme--a", "x", seconds=-60)
    commands.admission.receive(message).result()
    commands.inbox.take(RUN)
    commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {})
    commands.outbox.sent(
        [each.position for each in commands.outbox.outgoing(after=0, limit=9)]
    ).result()
    assert commands.admission.forget(expired_before=message.expires_at + 1) == 1
    assert commands.admission.cancel(cancel_of(message)).result() is False
    assert reported(commands.outbox) == []


def test_an_agent_of_before_takes_a_cancel_for_no_command() -> None:
    """It refuses it under the command's id, so that the command, should it come later, is known."""
    message = new_command("acme--a", "x")
    payload = cancel_of(message).encode()
    with pytest.raises(wire.WireError, match="missing or unknown member"):
        CommandMessage.decode(payload)
    assert wire.command_or_cancel(payload) == cancel_of(message)
    assert wire.command_or_cancel(message.encode()) == message
    with pytest.raises(wire.WireError, match="arguments"):
        wire.command_or_cancel(b'{"wire": 1, "command_id": "x"}')
