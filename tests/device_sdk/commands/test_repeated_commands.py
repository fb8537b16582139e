"""Commands that come again, also where the disk is full."""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import StoredCommands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from cedarfleet_device.commands.inbox import Ending, Taken
    from cedarfleet_device.store.transaction import Transaction
    from cedarfleet_device.wire import CommandMessage

MANY = 1044  # more than a broker sends without PUBACK


@dataclass(frozen=True, kw_only=True)
class EagerRunner:
    """A runner that is always free, and whose handlers are all idempotent, or none."""

    repeats: bool = True
    claims: list[str] = field(default_factory=list[str])
    given: list[Taken | None] = field(default_factory=list["Taken | None"])

    def decide(self, _: CommandMessage) -> Ending | None:
        """Run it."""
        return None

    def may_repeat(self, _: str) -> bool:
        """All or none."""
        return self.repeats

    def claim(self) -> bool:
        """Always."""
        self.claims.append("one")
        return True

    def give(self, taken: Taken | None) -> None:
        """Keep it."""
        self.given.append(taken)

    def wake(self) -> None:
        """Nobody sleeps."""
        raise AssertionError("it was free")

    @property
    def begun(self) -> list[CommandMessage]:
        """What it was given to run."""
        return [each.message for each in self.given if each is not None and each.ending is None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store; these tests are about order, not about disks."""
    opened = Store(tmp_path / "agent.db", sync=lambda _: None)
    yield opened
    opened.close()


def begin(store: Store) -> tuple[StoredCommands, EagerRunner]:
    """What a process of the device begins with, and the runner of its commands."""
    runner = EagerRunner()
    return StoredCommands(store, runner=runner), runner


def run(commands: StoredCommands, *messages: CommandMessage) -> None:
    """Take new commands through to their ends, one after the other."""
    stored: list[Future[bool]] = []
    for message in messages:
        stored.append(commands.admission.receive(message))
        assert commands.inbox.finish(
            message.command_id, CommandState.SUCCEEDED, {}, may_repeat=True
        )
    assert all(each.result(timeout=30) for each in stored)


def limit(store: Store, pages: int | None = None) -> None:
    """Leave room for so many pages; None: for no more than there are."""

    def change(transaction: Transaction) -> None:
        most = pages or transaction.database.execute("PRAGMA page_count").fetchone()[0]
        transaction.database.execute(f"PRAGMA max_page_count = {most}").fetchone()

    store.do(change)


def test_an_old_command_is_known_however_many_came_since(store: Store):
    """It does not run a second time, before or after a restart."""
    commands, runner = begin(store)
    messages = [new_command("acme--a", "x") for _ in range(MANY)]
    run(commands, *messages)
    assert commands.admission.receive(messages[0]).result(timeout=30) is False
    assert runner.begun == messages
    commands, runner = begin(store)
    for message in (messages[0], messages[-1]):
        assert commands.admission.receive(message).result(timeout=30) is False
    assert runner.begun == []
    fresh = new_command("acme--a", "x", seconds=90)
    run(commands, fresh)
    assert runner.begun == [fresh]


def test_a_rejected_command_does_not_begin_when_sent_well(store: Store):
    """Its end was told; a message of the same id changes nothing about that."""
    commands, runner = begin(store)
    message = new_command("acme--a", "x")
    commands.admission.reject(message.command_id, b"bad", "no form")
    assert commands.admission.receive(message).result(timeout=30) is False
    assert runner.begun == []


def test_a_copy_that_is_not_stored_leaves_the_command_known(store: Store):
    """The command ran and ended; that its copy failed must not let the next copy run it again."""
    commands, runner = begin(store)
    message = new_command("acme--a", "x")
    run(commands, message)
    store.close()
    with pytest.raises(StoreError):
        commands.admission.receive(message).result(timeout=30)
    with pytest.raises(StoreError):
        commands.admission.receive(message).result(timeout=30)
    assert runner.begun == [message]


def test_on_a_full_disk_a_command_begins_once_it_is_kept(store: Store):
    """The broker sends it again and again: however often the store fails, it runs once."""
    commands, runner = begin(store)
    limit(store)
    message = new_command("acme--a", "x", arguments={"much": os.urandom(20_000).hex()})
    other = new_command("acme--a", "x", arguments=message.arguments)
    for each in (message, message, other, message):
        with pytest.raises(StoreError, match="full"):
            commands.admission.receive(each).result(timeout=30)
    assert runner.begun == []
    assert len(runner.given) == len(runner.claims)  # each claim was given back
    limit(store, 1_000_000)
    assert commands.admission.receive(message).result(timeout=30) is True
    assert commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {}, may_repeat=True)
    assert runner.begun == [message]
    last = new_command("acme--a", "x", seconds=90)
    run(commands, last)
    assert runner.begun == [message, last]


def test_a_claim_is_given_back_where_the_store_fails(store: Store):
    """Whoever was claimed for a command that was not kept is free again, with nothing."""
    runner = EagerRunner(repeats=False)
    commands = StoredCommands(store, runner=runner)

    # It comes after what it shares a commit with, of which nothing is then kept.
    def full(transaction: Transaction) -> None:
        transaction.database.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    entered, go_on = threading.Event(), threading.Event()
    store.submit(lambda _: (entered.set(), go_on.wait(30)))
    assert entered.wait(30)
    stored = commands.admission.receive(new_command("acme--a", "x"))
    store.submit(full)
    go_on.set()
    with pytest.raises(StoreError, match="full"):
        stored.result(timeout=30)
    assert runner.claims == ["one"]
    assert runner.given == [None]


def test_arguments_changed_by_a_handler_are_kept_as_sent(store: Store):
    """What is run again after a restart is what was sent."""
    commands, runner = begin(store)
    message = new_command("acme--a", "x", arguments={"speed": 3})
    assert commands.admission.receive(message).result(timeout=30) is True
    runner.begun[0].arguments.pop("speed")
    runner.begun[0].arguments["mine"] = object()
    assert commands.inbox.recover(again=lambda _: True) == (1, 0)
    taken = commands.inbox.take(runner)
    assert taken is not None
    assert taken.message.arguments == {"speed": 3}
