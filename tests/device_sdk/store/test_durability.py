"""What the loss of power, a failing disk and other processes leave of what was promised."""

from __future__ import annotations

import errno
import os
import queue
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError, Transaction
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import Decider, Disk, StoredCommands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cedarfleet_device.commands.outbox import Outgoing


def test_promises_rest_on_what_outlives_a_power_loss(
    tmp_path: Path,
):
    """At each PUBACK, and begin or state of what must not repeat, the disk has what it rests on."""
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

    commands = StoredCommands(store, told=told)
    once, again = new_command("acme--a", "once"), new_command("acme--a", "again")
    for message, name in ((once, "once"), (again, "again")):
        assert commands.admission.receive(message).result() is True
        assert after_power_loss()[message.command_id] == "waiting"  # it may be acknowledged
        commands.inbox.take(Decider(repeats=frozenset({"again"})))
        if name == "once":
            assert after_power_loss()[message.command_id] == "running"  # it may begin
        commands.inbox.finish(
            message.command_id, CommandState.SUCCEEDED, {}, may_repeat=name == "again"
        )
    assert [phase for command_id, phase in promises if command_id == once.command_id] == [
        "waiting",
        "done",
    ]
    store.close()


def test_a_disk_that_fails_to_sync_holds_back_promises(tmp_path: Path):
    """Nobody is told of durability after a failed sync until all of it was written anew.

    Written changes stay known.
    """
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    commands = StoredCommands(store)
    while not disk.attempts.empty():
        disk.attempts.get()
    disk.fails = True
    message = new_command("acme--a", "x")
    stored = commands.admission.receive(message)
    assert disk.attempts.get(timeout=30) is False
    again = commands.admission.receive(message)
    assert not stored.done()
    disk.fails = False
    # Known, and durable by then: the checkpoint wrote it to the main file.
    assert again.result(timeout=30) is False
    assert stored.result(timeout=30) is True
    store.close()
    (tmp_path / "agent.db-wal").unlink(missing_ok=True)
    database = sqlite3.connect(tmp_path / "agent.db")
    assert database.execute("SELECT command_id FROM inbox").fetchall() == [(message.command_id,)]
    database.close()


def test_the_log_is_synced_empty_once_a_sync_has_failed(tmp_path: Path):
    """What is left of a torn log is gone before anything counts as durable."""
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


def test_a_log_left_by_a_dead_process_is_written_anew(tmp_path: Path):
    """The next one cannot know of that failure, and rests no promise on the log that it finds."""
    disk = Disk(tmp_path)
    first = Store(tmp_path / "agent.db", sync=disk.sync)
    disk.fails = True
    written = queue.SimpleQueue[None]()

    def change(transaction: Transaction) -> None:
        transaction.database.execute("INSERT INTO notes VALUES ('a', 'x')")
        transaction.written.append(lambda: written.put(None))

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
    """One that opens, checkpoints, writes and closes the file takes neither locks nor changes."""
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
        assert dict(
            database.execute("SELECT name, value FROM notes WHERE name IN ('host', 'guest')")
        ) == {
            "host": "2",
            "guest": "2",
        }


def test_whoever_reads_a_new_file_holds_up_no_promise(tmp_path: Path):
    """Only a log that cannot be trusted is emptied first, and that waits for readers."""
    store = Store(tmp_path / "agent.db")
    with closing(sqlite3.connect(tmp_path / "agent.db")) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
        stored = store.submit(
            lambda change: change.database.execute("INSERT INTO notes VALUES ('x', 'y')"),
            urgent=True,
        )
        stored.result(timeout=10)
    store.close()


def test_a_log_that_somebody_deleted_costs_speed_and_no_change(tmp_path: Path):
    """What is durable then stands in the main file."""
    store = Store(tmp_path / "agent.db")
    store.note("before", "x")
    (tmp_path / "agent.db-wal").unlink()
    for number in ("1", "2"):
        store.note("after", number)
        shutil.copy(tmp_path / "agent.db", tmp_path / f"{number}.db")
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as database:
            assert database.execute("SELECT value FROM notes WHERE name = 'after'").fetchall() == [
                (number,)
            ]
    store.close()


def test_a_failing_disk_blocks_neither_counting_nor_closing(tmp_path: Path):
    """What is written counts at once, and closing tells those who wait that it is not durable."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    commands = StoredCommands(store)
    disk.fails = True
    stored = commands.admission.receive(new_command("acme--a", "x"))
    assert commands.inbox.counts().waiting == 1
    store.close()
    assert isinstance(stored.exception(), StoreError)
