"""Which changes share a sync, which is what wears a disk out, and who is told when."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import Durability, StoreError, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class CountedSyncs:
    """Syncs and counts them; may be held up."""

    def __init__(self) -> None:
        self.count = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, descriptor: int) -> None:
        """As ``os.fdatasync``."""
        assert self.go_on.wait(30)
        self.count += 1
        os.fdatasync(descriptor)


@pytest.fixture
def syncs() -> CountedSyncs:
    """None yet."""
    return CountedSyncs()


@pytest.fixture
def store(tmp_path: Path, syncs: CountedSyncs) -> Iterator[Store]:
    """An open store whose syncs are counted."""
    opened = Store(tmp_path / "agent.db", sync=syncs)
    opened.note("first", "x")
    syncs.count = 0
    yield opened
    opened.close()


def writes(name: str) -> Callable[[Transaction], None]:
    """A change that keeps a note."""

    def change(transaction: Transaction) -> None:
        transaction.database.execute("INSERT OR REPLACE INTO notes VALUES (?, 'x')", (name,))

    return change


def held_up(store: Store) -> threading.Event:
    """Keep the writing thread in a change until the event is set, so that others queue up."""
    entered, go_on = threading.Event(), threading.Event()
    store.submit(lambda _: (entered.set(), go_on.wait(30)))
    assert entered.wait(30)
    return go_on


def test_changes_that_queue_up_share_a_commit_and_a_sync(store: Store, syncs: CountedSyncs):
    """Two hundred that came meanwhile cost one sync, not two hundred."""
    go_on = held_up(store)
    futures = [store.submit(writes("shared"), urgent=True) for _ in range(200)]
    go_on.set()
    for future in futures:
        future.result(timeout=30)
    assert 1 <= syncs.count <= 3


def test_reading_costs_no_sync(store: Store, syncs: CountedSyncs):
    """What is asked of a store whose changes are durable is answered without one."""
    for _ in range(5):
        assert store.note("first") == "x"
    assert store.ask(lambda _: ("told", Durability.DURABLE)) == "told"
    assert syncs.count == 0


def test_what_somebody_waits_for_is_synced_at_once(store: Store, syncs: CountedSyncs):
    """One change each: it does not wait for others to come."""
    for number in range(20):
        store.note("waited for", str(number))
    assert syncs.count == 20


def test_what_nobody_waits_for_is_durable_in_a_moment(store: Store, syncs: CountedSyncs):
    """It waits for others a hundredth of a second, and then no longer, whatever comes after."""
    began = time.monotonic()
    future = store.submit(writes("alone"))
    future.result(timeout=30)
    assert time.monotonic() - began >= 0.009
    assert syncs.count == 1


def test_a_stream_of_changes_does_not_put_off_the_sync(store: Store, syncs: CountedSyncs):
    """The share begins with the first change, not anew with each that joins."""
    first = store.submit(writes("first of many"))
    until = time.monotonic() + 5
    while not first.done() and time.monotonic() < until:
        store.submit(writes("one more"))
        threading.Event().wait(0.001)  # changes come one by one: that is what is tried
    assert first.done()
    assert syncs.count >= 1


def test_a_store_that_is_closed_takes_no_change(store: Store):
    """What was queued is kept, what comes later is told so, and closing again does no harm."""
    go_on = held_up(store)
    queued = [store.submit(writes(f"queued {number}")) for number in range(3)]
    closing = threading.Thread(target=store.close)
    closing.start()
    go_on.set()
    closing.join(30)
    assert not closing.is_alive()
    for future in queued:
        future.result(timeout=30)
    with pytest.raises(StoreError, match="the store is closed"):
        store.note("late", "x")
    store.close()


def test_a_change_is_told_of_in_two_steps(store: Store, syncs: CountedSyncs):
    """Written comes before the sync, durable after it, each in the order of the changes."""
    told: list[str] = []
    syncs.go_on.clear()

    def change(transaction: Transaction, name: str) -> None:
        writes(name)(transaction)
        transaction.at(Durability.DURABLE, lambda: told.append(f"{name} durable"))
        transaction.at(Durability.WRITTEN, lambda: told.append(f"{name} written"))

    futures = [store.submit(partial(change, name=name)) for name in ("a", "b")]
    syncs.go_on.set()
    for future in futures:
        future.result(timeout=30)
    assert [each for each in told if each.endswith("written")] == ["a written", "b written"]
    assert [each for each in told if each.endswith("durable")] == ["a durable", "b durable"]
    assert told.index("a written") < told.index("a durable")


def test_whoever_is_told_cannot_end_the_store(store: Store):
    """A call that raises is logged; the other calls are made, and the next change as well."""
    told: list[str] = []

    def change(transaction: Transaction) -> None:
        for durability in Durability:
            transaction.at(durability, lambda: 1 // 0)
            transaction.at(durability, lambda: told.append("told"))

    store.do(change)
    assert told == ["told", "told"]
    assert store.note("next", "x") == "x"


def test_a_change_that_fails_tells_nobody(store: Store):
    """Alone or among others; it leaves nothing, and its error is the one that it raised."""
    told: list[str] = []

    def change(transaction: Transaction) -> None:
        for durability in Durability:
            transaction.at(durability, lambda: told.append("told"))
        writes("failed")(transaction)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        store.do(change)
    with pytest.raises(LookupError, match="mine"):
        store.ask(lambda transaction: (change(transaction), Durability.WRITTEN))
    go_on = held_up(store)
    failing, good = store.submit(change), store.submit(writes("good"))
    go_on.set()
    good.result(timeout=30)
    assert isinstance(failing.exception(timeout=30), LookupError)
    assert told == []
    assert store.note("failed") is None
    assert store.note("good") == "x"
