"""Telemetry on disk: bounded, numbered, and there after a loss of power."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.telemetry.limits import TelemetryConfig
from cedarfleet_device.telemetry.queue import TelemetryQueue
from cedarfleet_device.wire import WireError

from tests.device_sdk.store.store_doubles import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.store.transaction import Transaction

AT = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store; most of these tests are not about disks."""
    opened = Store(tmp_path / "agent.db", sync=lambda _: None)
    yield opened
    opened.close()


class Kept:
    """A queue and what it says gave way."""

    def __init__(self, store: Store, **limits: Any) -> None:
        self.dropped: list[int] = []
        self.queue = TelemetryQueue(
            store,
            limits=TelemetryConfig(**limits),
            clock=lambda: AT,
            dropped=self.dropped.append,
        )

    @property
    def values(self) -> list[Any]:
        """All that waits, the oldest first."""
        return [each.message.read() for each in self.queue.oldest(after=0, limit=1000)]


@pytest.mark.parametrize(
    ("drop", "left"), [("oldest", [3, 4, 5]), ("newest", [1, 2, 3])], ids=["oldest", "newest"]
)
def test_a_full_queue_drops_what_the_maker_chose(store: Store, drop: str, left: list[int]):
    """Three of five stay, and who publishes is told whether a value is kept."""
    kept = Kept(store, max_messages=3, drop=drop)
    told = [kept.queue.put("speed", value) for value in range(1, 6)]
    assert kept.values == left
    assert sum(kept.dropped) == 2
    assert told == [drop == "oldest" or value <= 3 for value in range(1, 6)]


def test_bytes_bound_a_queue_too(store: Store):
    """A large value takes the place of several small ones, and one that can never fit of none."""
    kept = Kept(store, max_bytes=1024)
    for value in range(10):
        kept.queue.put("speed", value)
    assert kept.queue.put("trace", "x" * 1000)
    assert len(kept.values) < 10
    assert kept.values[-1] == "x" * 1000
    assert not kept.queue.put("trace", "y" * 2000)
    kept.queue.sent([each.position for each in kept.queue.oldest(after=0, limit=9)]).result()
    assert kept.queue.count() == 0


def test_a_number_is_never_given_twice(tmp_path: Path):
    """Also when the queue was emptied and the device started anew."""
    numbers: list[int] = []
    for _ in range(2):
        store = Store(tmp_path / "agent.db", sync=lambda _: None)
        queue = Kept(store).queue
        for value in range(3):
            queue.put("speed", value)
        waiting = queue.oldest(after=0, limit=10)
        numbers += [each.message.sequence for each in waiting]
        queue.sent([each.position for each in waiting]).result()
        store.close()
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_what_may_leave_is_there_after_a_power_loss(tmp_path: Path):
    """What the sender is handed has outlived any loss of power: no number goes to two values."""
    disk = Disk(tmp_path)
    store = Store(tmp_path / "agent.db", sync=disk.sync)
    queue = Kept(store).queue
    for value in range(5):
        queue.put("speed", value)
        handed = queue.oldest(after=0, limit=10)
        database = sqlite3.connect(disk.kept / "agent.db")
        found = database.execute("SELECT position, value FROM telemetry").fetchall()
        database.close()
        assert [(each.position, each.message.value) for each in handed] == found
    store.close()


def test_the_count_is_right_after_a_change_that_failed(store: Store):
    """A full disk refuses a value in words, and the bound goes by what truly stands there."""
    kept = Kept(store, max_messages=5)
    for value in range(3):
        kept.queue.put("speed", value)
    size = store.do(lambda change: change.database.execute("PRAGMA page_count").fetchone()[0])
    store.do(lambda change: change.database.execute(f"PRAGMA max_page_count = {size}").fetchall())
    with pytest.raises(StoreError):
        kept.queue.put("trace", "x" * 100_000)
    store.do(lambda change: change.database.execute("PRAGMA max_page_count = 1000000").fetchall())
    for value in range(3, 5):
        kept.queue.put("speed", value)
    assert kept.values == [0, 1, 2, 3, 4], "nothing gave way: there was room"
    assert kept.queue.count() == 5


def test_the_count_is_right_where_forgetting_failed(store: Store):
    """What was sent and could not be forgotten still takes its room, once."""
    kept = Kept(store, max_messages=5)
    for value in range(5):
        kept.queue.put("speed", value)
    first = [each.position for each in kept.queue.oldest(after=0, limit=2)]
    entered, go_on = threading.Event(), threading.Event()
    store.submit(lambda _: (entered.set(), go_on.wait(30)))
    assert entered.wait(30)

    def full(transaction: Transaction) -> None:
        transaction.database.execute("ROLLBACK")  # of all that shares its commit
        raise sqlite3.OperationalError("database or disk is full")

    forgotten = kept.queue.sent(first)
    store.submit(full)
    go_on.set()
    with pytest.raises(StoreError):
        forgotten.result(timeout=30)
    kept.queue.sent([]).result(timeout=30)
    assert kept.queue.count() == 5
    kept.queue.sent(first).result(timeout=30)
    assert (kept.queue.count(), kept.values) == (3, [2, 3, 4])


def test_a_queue_that_drops_says_so_once(store: Store, caplog: pytest.LogCaptureFixture):
    """Until it has room again: a flood of values makes no flood of words."""
    kept = Kept(store, max_messages=2)
    with caplog.at_level("WARNING", "cedarfleet_device"):
        for value in range(6):
            kept.queue.put("speed", value)
        said = [each.getMessage() for each in caplog.records]
        kept.queue.sent([each.position for each in kept.queue.oldest(after=0, limit=2)]).result()
        for value in range(6):
            kept.queue.put("speed", value)
    assert said == ["telemetry.full"]
    assert [each.getMessage() for each in caplog.records] == ["telemetry.full"] * 2
    assert sum(kept.dropped) == 8


def test_a_memory_without_telemetry_is_read(store: Store):
    """An earlier release left no table of it, and gets none until something is measured."""
    kept = Kept(store)
    assert kept.values == []
    tables = store.do(
        lambda change: change.database.execute("SELECT name FROM sqlite_master").fetchall()
    )
    assert ("telemetry",) not in tables


@pytest.mark.parametrize(
    ("topic", "value", "words"),
    [
        ("", 1, "topic"),
        ("a/b/c/d/e", 1, "topic"),
        ("../other", 1, "topic"),
        ("a/+", 1, "topic"),
        ("a" * 101, 1, "topic"),
        ("speed", float("nan"), "no JSON"),
        ("speed", {1, 2}, "no JSON"),
        ("speed", "x" * 131_072, "at most 131072 bytes"),
    ],
    ids=["empty", "deep", "up", "wildcard", "long", "nan", "set", "large"],
)
def test_what_cannot_be_published_is_refused(store: Store, topic: str, value: Any, words: str):
    """In words, when it is given to the agent, and not when it leaves."""
    with pytest.raises(WireError, match=words):
        Kept(store).queue.put(topic, value)
