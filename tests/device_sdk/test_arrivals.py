"""Commands that come again, and what must not begin as it arrives."""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.commands import admission as arrivals
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import CommandState

from tests.device_sdk.field import new_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from cedarfleet_device.commands.running import Ending, Taken
    from cedarfleet_device.store.transaction import Step
    from cedarfleet_device.wire import CommandMessage

NOW = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Eager:
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


def inbox_of(store: Store) -> tuple[Inbox, Eager]:
    """An inbox at a fixed time, and who runs its commands."""
    inbox, eager = Inbox(store, clock=lambda: NOW, changed=lambda _: None), Eager()
    inbox.arrivals.runner = eager
    return inbox, eager


def run(inbox: Inbox, *messages: CommandMessage) -> None:
    """Take new commands through to their ends, one after the other."""
    stored: list[Future[bool]] = []
    for message in messages:
        stored.append(inbox.arrivals.receive(message))
        assert inbox.finish(message.command_id, CommandState.SUCCEEDED, {}, may_repeat=True)
    assert all(each.result(timeout=30) for each in stored)


def limit(store: Store, pages: int | None = None) -> None:
    """Leave room for so many pages; None: for no more than there are."""

    def change(step: Step) -> None:
        most = pages or step.database.execute("PRAGMA page_count").fetchone()[0]
        step.database.execute(f"PRAGMA max_page_count = {most}").fetchone()

    store.do(change)


def test_an_old_command_that_comes_again_is_known_however_many_came_since(store: Store):
    """Also one that is no longer held in memory, before and after a restart, does not run a second time."""
    inbox, eager = inbox_of(store)
    messages = [new_command("acme--a", "x") for _ in range(arrivals._RECENT + 20)]
    run(inbox, *messages)
    assert inbox.arrivals.receive(messages[0]).result(timeout=30) is False
    assert eager.begun == messages
    inbox, eager = inbox_of(store)
    for message in (messages[0], messages[-1]):
        assert inbox.arrivals.receive(message).result(timeout=30) is False
    assert eager.begun == []
    fresh = new_command("acme--a", "x", seconds=90)
    run(inbox, fresh)
    assert eager.begun == [fresh]


def test_a_rejected_command_does_not_begin_when_it_comes_again_in_good_form(store: Store):
    """Its end was told; a message of the same id changes nothing about that."""
    inbox, eager = inbox_of(store)
    message = new_command("acme--a", "x")
    inbox.arrivals.reject(message.command_id, b"bad", "no form")
    assert inbox.arrivals.receive(message).result(timeout=30) is False
    assert eager.begun == []


def test_a_copy_that_meets_a_full_disk_does_not_make_the_command_unknown(store: Store):
    """The command ran and ended; that its copy failed must not let the next copy run it again."""
    inbox, eager = inbox_of(store)
    message = new_command("acme--a", "x")
    run(inbox, message)
    store.close()
    with pytest.raises(StoreError):
        inbox.arrivals.receive(message).result(timeout=30)
    with pytest.raises(StoreError):
        inbox.arrivals.receive(message).result(timeout=30)
    assert eager.begun == [message]


def test_on_a_full_disk_a_command_begins_ahead_of_the_store_once(store: Store):
    """The broker sends it again and again: it runs again only once it is kept."""
    inbox, eager = inbox_of(store)
    limit(store)
    message = new_command("acme--a", "x", arguments={"much": os.urandom(20_000).hex()})
    other = new_command("acme--a", "x", arguments=message.arguments)
    for each in (message, message, other, message):
        stored = inbox.arrivals.receive(each)
        store.submit(lambda _: None)  # with it goes what waits for the command's end
        with pytest.raises(StoreError, match="full"):
            stored.result(timeout=30)
    assert eager.begun == [message]
    limit(store, 1_000_000)
    assert inbox.arrivals.receive(message).result(timeout=30) is True
    assert inbox.finish(message.command_id, CommandState.SUCCEEDED, {}, may_repeat=True)
    assert eager.begun == [message, message]
    last = new_command("acme--a", "x", seconds=90)
    run(inbox, last)
    assert eager.begun == [message, message, last]


def test_a_claim_is_given_back_where_the_store_fails(store: Store):
    """Whoever was claimed for a command that was not kept is free again, with nothing."""
    inbox = Inbox(store, clock=lambda: NOW, changed=lambda _: None)
    inbox.arrivals.runner = eager = Eager(repeats=False)

    def full(
        step: Step,
    ) -> None:  # after what it shares a transaction with, of which nothing is then kept
        step.database.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    entered, go_on = threading.Event(), threading.Event()
    store.submit(lambda _: (entered.set(), go_on.wait(30)))
    assert entered.wait(30)
    stored = inbox.arrivals.receive(new_command("acme--a", "x"))
    store.submit(full)
    go_on.set()
    with pytest.raises(StoreError, match="full"):
        stored.result(timeout=30)
    assert eager.claims == ["one"]
    assert eager.given == [None]


def test_a_handler_that_changes_its_arguments_changes_nothing_of_what_is_kept(store: Store):
    """It may have them before the store has: what is run again after a restart is what was sent."""
    inbox, eager = inbox_of(store)
    message = new_command("acme--a", "x", arguments={"speed": 3})
    stored = inbox.arrivals.receive(message)
    eager.begun[0].arguments.pop("speed")
    eager.begun[0].arguments["mine"] = object()
    store.submit(lambda _: None)  # with it goes what waits for the command's end
    assert stored.result(timeout=30) is True
    assert inbox.recover(again=lambda _: True) == (1, 0)
    taken = inbox.take(eager)
    assert taken is not None
    assert taken.message.arguments == {"speed": 3}
