"""Inbox and outbox on disk."""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.inbox import Inbox
from cedarfleet_device.step import Step, StoreError
from cedarfleet_device.store import Store
from cedarfleet_device.wire import CommandMessage, CommandState, StatusMessage

from tests.device_sdk.field import new_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cedarfleet_device.records import Outgoing
    from cedarfleet_device.running import Ending, Taken

NOW = 1_000_000


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


@dataclass(frozen=True, kw_only=True)
class Decider:
    """Runs every command.

    Attributes:
        repeats: the names of commands that may run twice.
    """

    repeats: frozenset[str] = frozenset()

    def decide(self, _: CommandMessage) -> Ending | None:
        """Run it."""
        return None

    def may_repeat(self, name: str) -> bool:
        """Whether it is one of those."""
        return name in self.repeats


RUN = Decider()


def reported(inbox: Inbox) -> list[tuple[str, str, str]]:
    """Command id, sequence and state of what waits for the cloud."""
    waiting = inbox.outgoing(after=0, limit=1000)
    data = [(each.command_id, json.loads(each.message)) for each in waiting]
    return [(command_id, each["sequence"], each["state"]) for command_id, each in data]


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


class Disk:
    """Syncs for a store, unless the test says that the disk fails; keeps what a loss of power would leave.

    A store syncs on its writing thread, so that nothing is written while the copy is made.
    """

    def __init__(self, folder: Path) -> None:
        self.fails = False
        self.attempts = queue.SimpleQueue[bool]()
        self._folder = folder
        self.kept = folder / "kept"
        self._copy()

    def sync(self, descriptor: int) -> None:
        """As ``os.fdatasync``.

        Raises:
            OSError: the disk fails.
        """
        self.attempts.put(not self.fails)
        if self.fails:
            raise OSError(errno.EIO, "the disk does not answer")
        os.fdatasync(descriptor)
        self._copy()

    def _copy(self) -> None:
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        for file in self._folder.glob("agent.db*"):
            if not file.name.endswith("-shm"):  # made anew at the next start
                shutil.copy(file, self.kept)


@dataclass(frozen=True, kw_only=True)
class Free(Decider):
    """A runner that is always free."""

    given: list[Taken | None] = field(default_factory=list["Taken | None"])

    def claim(self) -> bool:
        """Always."""
        return True

    def give(self, taken: Taken | None) -> None:
        """Keep it."""
        self.given.append(taken)

    def wake(self) -> None:
        """Nobody sleeps."""
        raise AssertionError("it was free")


def test_a_command_that_meets_a_free_runner_is_begun_in_the_commit_that_stores_it(store: Store, inbox: Inbox):
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
        inbox.arrivals.receive(new_command("acme--a", "x", arguments={"much": "x" * 100_000})).result()
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
    store.do(lambda step: step.database.execute(spoil, (running.command_id, waiting.command_id)) and None)
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


def test_what_is_durable_outlives_the_power_and_what_may_not_wait_is_never_told_before(tmp_path: Path):
    """At each promise (PUBACK, begin and state of what must not be repeated) the disk holds what it rests on."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    promises: list[tuple[str, str]] = []

    def after_power_loss() -> dict[str, str]:
        database = sqlite3.connect(disk.kept / "agent.db")
        found = dict(database.execute("SELECT command_id, phase FROM inbox"))
        database.close()
        return found

    def told(states: Sequence[Outgoing]) -> None:
        kept = after_power_loss()
        promises.extend((each.command_id, kept.get(each.command_id, "unknown")) for each in states)

    inbox = Inbox(store, clock=lambda: NOW, changed=told)
    once, again = new_command("acme--a", "once"), new_command("acme--a", "again")
    for message, name in ((once, "once"), (again, "again")):
        assert inbox.arrivals.receive(message).result() is True
        assert after_power_loss()[message.command_id] == "waiting"  # it may be acknowledged
        inbox.take(Decider(repeats=frozenset({"again"})))
        if name == "once":
            assert after_power_loss()[message.command_id] == "running"  # it may begin
        inbox.finish(message.command_id, CommandState.SUCCEEDED, {}, may_repeat=name == "again")
    assert [phase for command_id, phase in promises if command_id == once.command_id] == ["waiting", "done"]
    store.close()


def test_a_disk_that_fails_to_sync_holds_back_promises_until_it_has_everything(tmp_path: Path):
    """Nobody is told of durability after a failed sync until all of it was written anew; written changes stay known."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    inbox = Inbox(store, clock=lambda: NOW, changed=lambda _: None)
    while not disk.attempts.empty():
        disk.attempts.get()
    disk.fails = True
    message = new_command("acme--a", "x")
    stored = inbox.arrivals.receive(message)
    assert disk.attempts.get(timeout=30) is False
    again = inbox.arrivals.receive(message)
    assert not stored.done()
    disk.fails = False
    assert again.result(timeout=30) is False  # known, and durable by then: the checkpoint wrote it to the main file
    assert stored.result(timeout=30) is True
    store.close()
    (tmp_path / "agent.db-wal").unlink(missing_ok=True)
    database = sqlite3.connect(tmp_path / "agent.db")
    assert database.execute("SELECT command_id FROM inbox").fetchall() == [(message.command_id,)]
    database.close()


def test_the_log_is_synced_empty_once_a_sync_has_failed(tmp_path: Path):
    """What is left of a log that was not written whole is gone before anything counts as durable."""
    failing, sizes = [False], list[int]()

    def sync(descriptor: int) -> None:
        if failing.pop():
            failing.append(False)
            raise OSError(errno.EIO, "the disk does not answer")
        failing.append(False)
        sizes.append(os.fstat(descriptor).st_size)

    store = Store(tmp_path / "agent.db", sync=sync)
    store.note("before", "x")
    sizes.clear()
    failing[0] = True
    store.note("after", "y")
    assert sizes == [0]
    store.note("later", "z")
    assert sizes[1:] != [0]
    store.close()


def test_what_a_process_that_died_may_have_failed_to_sync_is_written_anew(tmp_path: Path):
    """The next one cannot know of that failure, and rests no promise on the log that it finds."""
    disk = Disk(tmp_path)
    first = Store(tmp_path / "agent.db", sync=disk.sync)
    disk.fails = True
    written = queue.SimpleQueue[None]()

    def change(step: Step) -> None:
        step.database.execute("INSERT INTO notes VALUES ('a', 'x')")
        step.written.append(lambda: written.put(None))

    noted = first.submit(change)
    written.get(timeout=30)
    (tmp_path / "next").mkdir()
    for name in ("agent.db", "agent.db-wal"):  # what the next process finds
        shutil.copy(tmp_path / name, tmp_path / "next")
    first.close()
    assert isinstance(noted.exception(), StoreError)
    second = Store(tmp_path / "next" / "agent.db")
    assert second.note("a") == "x"
    (tmp_path / "alone").mkdir()
    second.do(lambda _: shutil.copy(tmp_path / "next" / "agent.db", tmp_path / "alone"))
    database = sqlite3.connect(tmp_path / "alone" / "agent.db")
    assert database.execute("SELECT value FROM notes WHERE name = 'a'").fetchall() == [("x",)]
    database.close()
    second.close()


def test_another_process_may_look_into_the_file_and_tidy_it(tmp_path: Path):
    """One that opens, checkpoints, writes and closes the file meanwhile takes neither locks nor changes away."""
    store = Store(tmp_path / "agent.db")  # without copies: they would drop its locks
    visit = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "print(d.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone()[0]);"
        "d.execute('INSERT OR REPLACE INTO notes VALUES (?, ?)', ('guest', sys.argv[2])); d.close()"
    )
    for number in ("1", "2"):
        store.note("host", number)
        done = subprocess.run(
            [sys.executable, "-c", visit, str(tmp_path / "agent.db"), number],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "0"
        assert (tmp_path / "agent.db-wal").exists()  # it was not the last to close the file
        assert store.note("host") == number
        assert store.note("guest") == number
    store.close()
    with closing(sqlite3.connect(tmp_path / "agent.db")) as database:
        assert dict(database.execute("SELECT name, value FROM notes WHERE name IN ('host', 'guest')")) == {
            "host": "2",
            "guest": "2",
        }


def test_a_log_that_somebody_deleted_costs_speed_and_no_change(tmp_path: Path):
    """What is durable then stands in the main file."""
    store = Store(tmp_path / "agent.db")
    store.note("before", "x")
    (tmp_path / "agent.db-wal").unlink()
    for number in ("1", "2"):
        store.note("after", number)
        shutil.copy(tmp_path / "agent.db", tmp_path / f"{number}.db")
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as database:
            assert database.execute("SELECT value FROM notes WHERE name = 'after'").fetchall() == [(number,)]
    store.close()


def test_a_failing_disk_does_not_keep_the_agent_from_counting_or_closing(tmp_path: Path):
    """What is written is counted at once, and closing tells those who wait that it is not durable."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    inbox = Inbox(store, clock=lambda: NOW, changed=lambda _: None)
    disk.fails = True
    stored = inbox.arrivals.receive(new_command("acme--a", "x"))
    assert inbox.counts().waiting == 1
    store.close()
    assert isinstance(stored.exception(), StoreError)


def test_one_failing_change_does_not_spoil_its_neighbours(store: Store):
    """Changes that share a commit stand and fall alone."""

    def fail(step: Step) -> None:
        step.database.execute("INSERT INTO notes VALUES ('bad', 'bad')")
        raise LookupError("mine")

    futures = [store.submit(fail) for _ in range(50)]
    store.note("good", "kept")
    for future in futures:
        with pytest.raises(LookupError, match="mine"):
            future.result()
    assert store.note("good") == "kept"
    assert store.note("bad") is None


def test_a_damaged_or_later_file_is_refused(tmp_path: Path):
    """Without its memory the device might do a thing twice, so it does not start on a file that it cannot read."""
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0" + bytes(4000))
    with pytest.raises(ConfigError, match="is damaged"):
        Store(tmp_path / "torn.db")
    database = sqlite3.connect(tmp_path / "later.db")
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(ConfigError, match="has format 7"):
        Store(tmp_path / "later.db")


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path):
    """Whoever moved it away for a full disk, a folder in its place or a lost right would run commands twice."""
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(ConfigError, match="cannot be opened: Is a directory"):
        Store(tmp_path / "folder.db")
    Store(tmp_path / "agent.db").close()
    (tmp_path / "agent.db-wal").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be opened \(unable to open database file\): keep it"):
        Store(tmp_path / "agent.db")


def test_the_file_is_private(store: Store, tmp_path: Path):
    """Nobody else reads what was commanded."""
    assert store.note("x", "y") == "y"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
