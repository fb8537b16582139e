"""A command in the store, from its arrival to its end."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.commands.inbox import Ending
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import MAX_SEQUENCE, CommandState, StatusMessage

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import (
    RUN,
    Decider,
    Disk,
    FreeRunner,
    StoredCommands,
    reported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.commands.outbox import Outgoing
    from cedarfleet_device.wire import CommandMessage


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


def test_a_command_goes_through_its_phases_once(commands: StoredCommands):
    """Each step happens once, is numbered, and cannot be repeated or come late."""
    message = new_command("acme--a", "x")
    assert commands.admission.receive(message).result() is True
    assert commands.admission.receive(message).result() is False
    taken = commands.inbox.take(RUN)
    assert taken is not None
    assert taken.message == message
    assert commands.inbox.take(RUN) is None
    assert commands.inbox.progress(message.command_id, {"step": 1}).result() is True
    assert commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {}) is True
    assert commands.inbox.finish(message.command_id, CommandState.FAILED, {}) is False
    assert commands.inbox.progress(message.command_id, {"step": 2}).result() is False
    assert commands.admission.receive(message).result() is False
    key = message.command_id
    assert reported(commands.outbox) == [
        (key, "0001", "received"),
        (key, "0002", "running"),
        (key, "0003", "succeeded"),
    ]
    commands.outbox.sent(
        [each.position for each in commands.outbox.outgoing(after=0, limit=2)]
    ).result()
    assert not commands.outbox.reported(key)
    commands.outbox.sent(
        [each.position for each in commands.outbox.outgoing(after=0, limit=3)]
    ).result()
    assert commands.outbox.reported(key)


def test_a_free_runner_begins_a_command_in_its_commit(
    store: Store,
):
    """One commit stores and begins it; where that fails, the runner is free again with nothing."""
    free = FreeRunner()
    commands = StoredCommands(store, runner=free)
    message = new_command("acme--a", "x")
    commands.admission.receive(message).result()
    assert [each.message for each in free.given if each] == [message]
    assert commands.inbox.counts().running == 1
    assert reported(commands.outbox) == []  # it never waited, and may be over at once
    pages: int = store.do(
        lambda transaction: transaction.database.execute("PRAGMA page_count").fetchone()[0]
    )
    store.do(
        lambda transaction: transaction.database.execute(
            f"PRAGMA max_page_count = {pages}"
        ).fetchone()
    )
    with pytest.raises(StoreError, match="full"):
        commands.admission.receive(
            new_command("acme--a", "x", arguments={"much": "x" * 100_000})
        ).result()
    assert commands.inbox.counts().running == 1
    assert free.given[1:] in ([], [None])  # not claimed at all, or for nothing


def test_a_repeatable_command_does_not_wait_for_the_disk(tmp_path: Path):
    """It begins, and its end is told, once written.

    Its PUBACK waits; a copy does not begin again.
    """
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    told: queue.SimpleQueue[Outgoing] = queue.SimpleQueue()
    free = FreeRunner(repeats=frozenset({"again"}))
    commands = StoredCommands(store, runner=free, told=lambda states: told.put(states[-1]))
    disk.fails = True
    again, once = new_command("acme--a", "again"), new_command("acme--a", "once")
    arrived = commands.admission.receive(again)
    commands.admission.receive(again)
    assert commands.inbox.counts().running == 1  # both are written by now, and not durable
    assert [each.message for each in free.given if each] == [again]
    assert commands.inbox.finish(again.command_id, CommandState.SUCCEEDED, {}, may_repeat=True)
    assert StatusMessage.decode(told.get(timeout=30).message).state is CommandState.SUCCEEDED
    assert not arrived.done()  # no PUBACK before the disk has it
    commands.admission.receive(once)
    assert commands.inbox.counts().running == 1  # written by now, and the disk has not taken it
    assert free.given[1:] == []  # this one must not begin before it is durable
    disk.fails = False
    assert arrived.result(timeout=30) is True
    store.note("all of them", "durable")
    assert [each.message for each in free.given if each] == [again, once]
    store.close()


def test_the_last_number_is_kept_for_the_end(store: Store, commands: StoredCommands):
    """A handler that reports without end fills the numbers, and its command still ends."""
    message = new_command("acme--a", "x")
    commands.admission.receive(message).result()
    commands.inbox.take(RUN)
    store.do(
        lambda transaction: transaction.database.execute(
            "UPDATE inbox SET sequence = ?", (MAX_SEQUENCE - 2,)
        ).fetchone()
    )
    steps = [commands.inbox.progress(message.command_id, {}).result() for _ in range(2)]
    assert steps == [True, False]
    assert commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {})
    numbers = [int(number) for _, number, _ in reported(commands.outbox)]
    assert numbers == [1, MAX_SEQUENCE - 1, MAX_SEQUENCE]


@dataclass(frozen=True, kw_only=True)
class Refusing(Decider):
    """Ends every command unrun."""

    def decide(self, _: CommandMessage) -> Ending | None:
        """It is too late."""
        return Ending(state=CommandState.EXPIRED, reason="late")


def test_of_what_waits_only_the_repeatable_begins_at_once(tmp_path: Path):
    """While the disk fails, it is taken once written; one that ends unrun is not given up yet."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    commands = StoredCommands(store)
    for _ in range(2):
        commands.admission.receive(new_command("acme--a", "again")).result()
    disk.fails = True
    again = frozenset({"again"})
    with ThreadPoolExecutor(2) as threads:
        begun = threads.submit(commands.inbox.take, Decider(repeats=again))
        try:
            assert begun.result(timeout=10) is not None
            refused = threads.submit(commands.inbox.take, Refusing(repeats=again))
            while commands.inbox.counts().waiting:
                pass
            while not disk.attempts.empty():
                disk.attempts.get()
            for _ in range(2):  # a second apart: for an answer there was time
                assert disk.attempts.get(timeout=30) is False
            assert not refused.done()
        finally:
            disk.fails = False
        assert refused.result(timeout=30) is not None
    store.close()


def test_what_ran_when_the_power_went_is_interrupted_or_repeated(tmp_path: Path):
    """A new process ends a running command INTERRUPTED, or lets an idempotent one wait again."""
    first = Store(tmp_path / "agent.db")
    commands = StoredCommands(first)
    once, again = new_command("acme--a", "once"), new_command("acme--a", "again")
    for message in (once, again):
        commands.admission.receive(message).result()
        commands.inbox.take(RUN)
    first.close()
    second = Store(tmp_path / "agent.db")
    commands = StoredCommands(second)
    assert commands.inbox.recover(again=lambda name: name == "again") == (1, 1)
    assert (once.command_id, "0002", "interrupted") in reported(commands.outbox)
    taken = commands.inbox.take(RUN)
    assert taken is not None
    assert taken.message == again
    second.close()


def test_what_another_version_stored_ends_and_holds_up_nothing(
    store: Store, commands: StoredCommands
):
    """A command that cannot be read any more ends with the reason, and the next one is taken."""
    running, waiting, good = (new_command("acme--a", "x") for _ in range(3))
    commands.admission.receive(running).result()
    commands.inbox.take(RUN)
    for message in (waiting, good):
        commands.admission.receive(message).result()
    spoil = "UPDATE inbox SET message = x'7b7d' WHERE command_id IN (?, ?)"
    store.do(
        lambda transaction: (
            transaction.database.execute(spoil, (running.command_id, waiting.command_id)) and None
        )
    )
    assert commands.inbox.recover(again=lambda _: True) == (0, 1)
    taken = commands.inbox.take(RUN)
    assert taken is not None
    assert taken.message == good
    states = reported(commands.outbox)
    assert (running.command_id, "0002", "interrupted") in states
    assert (waiting.command_id, "0002", "rejected") in states


def test_a_forgotten_command_cannot_come_back(commands: StoredCommands):
    """After forgetting, a replay of so old a command ends EXPIRED without a run.

    Unreported ones are not forgotten.
    """
    message = new_command("acme--a", "x")
    commands.admission.receive(message).result()
    commands.inbox.take(RUN)
    commands.inbox.finish(message.command_id, CommandState.SUCCEEDED, {})
    assert commands.admission.forget(expired_before=message.expires_at + 1) == 0
    commands.outbox.sent(
        [each.position for each in commands.outbox.outgoing(after=0, limit=10)]
    ).result()
    assert commands.admission.forget(expired_before=message.expires_at + 1) == 1
    assert commands.admission.receive(message).result() is True
    assert commands.inbox.take(RUN) is None
    assert reported(commands.outbox) == [(message.command_id, "0001", "expired")]


def test_a_full_disk_loses_nothing_that_was_promised(store: Store, commands: StoredCommands):
    """A commit that fails is told, keeps nothing, and the store goes on once there is room."""
    kept = new_command("acme--a", "x")
    commands.admission.receive(kept).result()
    pages: int = store.do(
        lambda transaction: transaction.database.execute("PRAGMA page_count").fetchone()[0]
    )
    store.do(
        lambda transaction: transaction.database.execute(
            f"PRAGMA max_page_count = {pages}"
        ).fetchone()
    )
    refused = new_command("acme--a", "x", arguments={"much": "x" * 100_000})
    with pytest.raises(StoreError, match="full"):
        commands.admission.receive(refused).result()
    assert commands.inbox.counts().waiting == 1
    store.do(
        lambda transaction: transaction.database.execute(
            "PRAGMA max_page_count = 1000000"
        ).fetchone()
    )
    assert commands.admission.receive(refused).result() is True
    assert commands.inbox.counts().waiting == 2
