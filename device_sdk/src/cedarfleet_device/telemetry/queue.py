"""Telemetry that the cloud does not have yet: on disk, in order, within a bound.

It stands in the device's one memory beside the outbox, in a table that earlier releases neither
made nor read: both ways of an update leave it where it is.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from cedarfleet_device.log import event
from cedarfleet_device.store.transaction import Durability
from cedarfleet_device.telemetry.limits import OLDEST
from cedarfleet_device.wire import TelemetryMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Transaction
    from cedarfleet_device.telemetry.limits import TelemetryConfig

# AUTOINCREMENT: a number is never given twice, also when the table was empty meanwhile
# (sqlite.org/autoinc.html): it is the message's sequence.
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS telemetry (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    topic TEXT NOT NULL,
    value TEXT NOT NULL,
    size INTEGER NOT NULL
)"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One message that waits."""

    position: int
    topic: str
    message: TelemetryMessage
    size: int


class _Held(NamedTuple):
    messages: int = 0
    size: int = 0

    def and_of(self, messages: int, size: int) -> _Held:
        return _Held(self.messages + messages, self.size + size)


class TelemetryQueue:
    """What waits for the cloud.

    Args:
        store: where it is kept.
        limits: how much of it, and what gives way.
        clock: now, in milliseconds since the epoch.
        dropped: told how many gave way, each time.

    Raises:
        StoreError: the store cannot be read.
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: TelemetryConfig,
        clock: Callable[[], int],
        dropped: Callable[[int], object],
    ) -> None:
        self._store, self._limits, self._clock = store, limits, clock
        self._dropped = dropped
        self._dropping = False
        self._lock = threading.Lock()
        self._doubtful = False
        self._held = store.do(_read_held)

    def put(self, topic: str, value: object) -> bool:
        """Keep a value until the cloud has it.

        Returns:
            Whether it is kept: with ``drop = "newest"`` a full queue takes nothing more. It then
            survives the end of the process, and within some 10 ms the loss of power too.

        Raises:
            WireError: the topic is not of its form, the value is no JSON, or too large.
            StoreError: the store did not take it.
        """
        text = TelemetryMessage.check(topic, value)
        size = len(text.encode()) + len(topic)
        at = self._clock()
        kept, dropped = self._store.ask(
            lambda transaction: (
                self._put(transaction, at, topic, text, size),
                Durability.WRITTEN,
            )
        )
        self._told(dropped + (not kept))
        return kept

    def oldest(self, *, after: int, limit: int) -> list[Measured]:
        """The oldest beyond position ``after``; durable, all of them."""

        def change(transaction: Transaction) -> list[Measured]:
            if not _is_made(transaction):
                return []
            rows = transaction.database.execute(
                "SELECT position, at, topic, value, size FROM telemetry"
                " WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [
                Measured(
                    position=row[0],
                    topic=row[2],
                    message=TelemetryMessage(sequence=row[0], at=row[1], value=row[3]),
                    size=row[4],
                )
                for row in rows
            ]

        return self._store.do(change)

    def sent(self, positions: Sequence[int]) -> Future[None]:
        """Forget what the cloud has."""

        def change(transaction: Transaction) -> None:
            self._change(transaction)
            for position in positions:
                self._forget(transaction, position)

        return self._store.submit(change)

    def count(self) -> int:
        """How many wait."""
        return self._held.messages

    def _put(
        self, transaction: Transaction, at: int, topic: str, text: str, size: int
    ) -> tuple[bool, int]:
        transaction.database.execute(_TABLE)
        self._change(transaction)
        dropped = 0
        while not self._fits(size):
            if self._limits.drop != OLDEST or not self._held.messages:
                return False, dropped
            query = "SELECT min(position) FROM telemetry"
            self._forget(transaction, transaction.database.execute(query).fetchone()[0])
            dropped += 1
        transaction.database.execute(
            "INSERT INTO telemetry (at, topic, value, size) VALUES (?, ?, ?, ?)",
            (at, topic, text, size),
        )
        self._held = self._held.and_of(1, size)
        return True, dropped

    def _fits(self, size: int) -> bool:
        return (
            self._held.messages < self._limits.max_messages
            and self._held.size + size <= self._limits.max_bytes
        )

    def _forget(self, transaction: Transaction, position: int) -> None:
        query = "SELECT size FROM telemetry WHERE position = ?"
        row = transaction.database.execute(query, (position,)).fetchone()
        if row is not None:  # else it gave way while it was under way
            transaction.database.execute("DELETE FROM telemetry WHERE position = ?", (position,))
            self._held = self._held.and_of(-1, -row[0])

    def _change(self, transaction: Transaction) -> None:
        """Count anew unless the last change is known to stand: it may have been rolled back."""
        if self._doubtful:
            self._held = _read_held(transaction)
        self._doubtful = True
        transaction.at(Durability.WRITTEN, self._sure)

    def _sure(self) -> None:
        self._doubtful = False

    def _told(self, dropped: int) -> None:
        with self._lock:
            began, self._dropping = bool(dropped) and not self._dropping, bool(dropped)
        if dropped:
            self._dropped(dropped)
        if began:
            event("telemetry.full", level=logging.WARNING, drop=self._limits.drop)


def _read_held(transaction: Transaction) -> _Held:
    if not _is_made(transaction):
        return _Held()
    query = "SELECT count(*), ifnull(sum(size), 0) FROM telemetry"
    return _Held(*transaction.database.execute(query).fetchone())


def _is_made(transaction: Transaction) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'telemetry'"
    return transaction.database.execute(query).fetchone() is not None
