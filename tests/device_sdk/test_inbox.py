"""A command in the store, from its arrival to its end."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import CommandState, StatusMessage

from tests.device_sdk.field import new_command
from tests.device_sdk.memory import NOW, RUN, Disk, Free, reported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.commands.rows import Outgoing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store."""
    opened = Store(tmp_path / "agent.db")
    yield opened
    opened.close()


@pytest.fixture
def inbox(store: Store) -> Inbox:
    """An inbox at a fixed time."""
    return Inbox(store, clock=lambda: NOW, changed=lambda _: None)


def test_a_command_goes_through_its_phases_once(inbox: Inbox):
    """Each step happens once, is numbered, and cannot be repeated or come late."""
    message = new_command("acme--a", "x")
    assert inbox.arrivals.receive(message).result() is True
    assert inbox.arrivals.receive(message).result() is False
    taken = inbox.take(RUN)
    assert taken is not None
    assert taken.message == message
    assert inbox.take(RUN) is None
    assert inbox.progress(message.command_id, {"step": 1}).result() is True
    assert inbox.finish(message.command_id, CommandState.SUCCEEDED, {}) is True
    assert inbox.finish(message.command_id, CommandState.FAILED, {}) is False
    assert inbox.progress(message.command_id, {"step": 2}).result() is False
    assert inbox.arrivals.receive(message).result() is False
    key = message.command_id
    assert reported(inbox) == [
        (key, "0001", "received"),
        (key, "0002", "running"),
        (key, "0003", "succeeded"),
    ]
    inbox.sent([each.position for each in inbox.outgoing(after=0, limit=2)]).result()
    assert not inbox.reported(key)
    inbox.sent([each.position for each in inbox.outgoing(after=0, limit=3)]).result()
    assert inbox.reported(key)


def test_a_command_that_meets_a_free_runner_is_begun_in_the_commit_that_stores_it(
    store: Store, inbox: Inbox
):
    """One commit stores and begins it; where that commit fails, the runner is free again with nothing."""
    inbox.arrivals.runner = free = Free()
    message = new_command("acme--a", "x")
    inbox.arrivals.receive(message).result()
    assert [each.message for each in free.given if each] == [message]
    assert inbox.counts().running == 1
    assert reported(inbox) == []  # it never waited, and may be over at once
    pages: int = store.do(lambda step: step.database.execute("PRAGMA page_count").fetchone()[0])
    store.do(lambda step: step.database.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(StoreError, match="full"):
        inbox.arrivals.receive(
            new_command("acme--a", "x", arguments={"much": "x" * 100_000})
        ).result()
    assert inbox.counts().running == 1
    assert free.given[1:] in ([], [None])  # not claimed at all, or for nothing


def test_a_command_that_may_be_repeated_begins_as_it_arrives(tmp_path: Path):
    """It waits for no disk; a copy does not begin again; its end is told once written, its PUBACK once durable."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    told: queue.SimpleQueue[Outgoing] = queue.SimpleQueue()
    inbox = Inbox(store, clock=lambda: NOW, changed=lambda states: told.put(states[-1]))
    inbox.arrivals.runner = free = Free(repeats=frozenset({"again"}))
    disk.fails = True
    again, once = new_command("acme--a", "again"), new_command("acme--a", "once")
    arrived = inbox.arrivals.receive(again)
    inbox.arrivals.receive(again)
    assert [each.message for each in free.given if each] == [again]
    assert inbox.finish(again.command_id, CommandState.SUCCEEDED, {}, may_repeat=True)
    assert StatusMessage.decode(told.get(timeout=30).message).state is CommandState.SUCCEEDED
    assert not arrived.done()  # no PUBACK before the disk has it
    inbox.arrivals.receive(once)
    assert inbox.counts().running == 1  # written by now, and the disk has not taken it
    assert free.given[1:] == []  # this one must not begin before it is durable
    disk.fails = False
    assert arrived.result(timeout=30) is True
    store.note("all of them", "durable")
    assert [each.message for each in free.given if each] == [again, once]
    store.close()


def test_what_ran_when_the_power_went_is_interrupted_or_repeated(tmp_path: Path):
    """A new process finds a running command and ends it INTERRUPTED, or lets an idempotent one wait again."""
    first = Store(tmp_path / "agent.db")
    inbox = Inbox(first, clock=lambda: NOW, changed=lambda _: None)
    once, again = new_command("acme--a", "once"), new_command("acme--a", "again")
    for message in (once, again):
        inbox.arrivals.receive(message).result()
        inbox.take(RUN)
    first.close()
    second = Store(tmp_path / "agent.db")
    inbox = Inbox(second, clock=lambda: NOW, changed=lambda _: None)
    assert inbox.recover(again=lambda name: name == "again") == (1, 1)
    assert (once.command_id, "0002", "interrupted") in reported(inbox)
    taken = inbox.take(RUN)
    assert taken is not None
    assert taken.message == again
    second.close()


def test_what_another_version_stored_ends_and_holds_up_nothing(store: Store, inbox: Inbox):
    """A command that cannot be read any more ends with the reason, and the next one is taken."""
    running, waiting, good = (new_command("acme--a", "x") for _ in range(3))
    inbox.arrivals.receive(running).result()
    inbox.take(RUN)
    for message in (waiting, good):
        inbox.arrivals.receive(message).result()
    spoil = "UPDATE inbox SET message = x'7b7d' WHERE command_id IN (?, ?)"
    store.do(
        lambda step: step.database.execute(spoil, (running.command_id, waiting.command_id)) and None
    )
    assert inbox.recover(again=lambda _: True) == (0, 1)
    taken = inbox.take(RUN)
    assert taken is not None
    assert taken.message == good
    states = reported(inbox)
    assert (running.command_id, "0002", "interrupted") in states
    assert (waiting.command_id, "0002", "rejected") in states


def test_a_forgotten_command_cannot_come_back(inbox: Inbox):
    """After forgetting, a replay of so old a command ends EXPIRED without a run; unreported ones are not forgotten."""
    message = new_command("acme--a", "x")
    inbox.arrivals.receive(message).result()
    inbox.take(RUN)
    inbox.finish(message.command_id, CommandState.SUCCEEDED, {})
    assert inbox.forget(expired_before=message.expires_at + 1) == 0
    inbox.sent([each.position for each in inbox.outgoing(after=0, limit=10)]).result()
    assert inbox.forget(expired_before=message.expires_at + 1) == 1
    assert inbox.arrivals.receive(message).result() is True
    assert inbox.take(RUN) is None
    assert reported(inbox) == [(message.command_id, "0001", "expired")]


def test_a_full_disk_loses_nothing_that_was_promised(store: Store, inbox: Inbox):
    """When a commit fails, its caller is told, nothing of it is kept, and the store goes on once there is room."""
    kept = new_command("acme--a", "x")
    inbox.arrivals.receive(kept).result()
    pages: int = store.do(lambda step: step.database.execute("PRAGMA page_count").fetchone()[0])
    store.do(lambda step: step.database.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    refused = new_command("acme--a", "x", arguments={"much": "x" * 100_000})
    with pytest.raises(StoreError, match="full"):
        inbox.arrivals.receive(refused).result()
    assert inbox.counts().waiting == 1
    store.do(lambda step: step.database.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert inbox.arrivals.receive(refused).result() is True
    assert inbox.counts().waiting == 2
