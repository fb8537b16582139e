"""One change of the store while it is made, and how several share a commit."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from cedarfleet_device.errors import DeviceError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class StoreError(DeviceError):
    """A change was not kept, e.g. because the disk is full."""


class Durability(Enum):
    """What a change survives by now."""

    WRITTEN = "written"  # it survives the death of the process
    DURABLE = "durable"  # it survives the loss of power


class Transaction:
    """A change while it is made: the database, and what is to be called once it is kept.

    The calls are made on the writing thread, in the order of the changes, and must be short. None
    is made for a change that fails.

    Attributes:
        database: for this change alone.
        written: called once the change survives the death of the process.
        durable: called once it survives the loss of power; without any, the sync may wait for
            others to share it.
    """

    __slots__ = ("database", "durable", "written")

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.written: list[Callable[[], object]] = []
        self.durable: list[Callable[[], object]] = []

    def at(self, durability: Durability, call: Callable[[], object]) -> None:
        """Have ``call`` made once the change is that durable."""
        (self.written if durability is Durability.WRITTEN else self.durable).append(call)


@dataclass(kw_only=True)
class QueuedChange:
    """A change on its way through the writing thread."""

    change: Callable[[Transaction], Any]
    future: Future[Any]
    urgent: bool
    transaction: Transaction | None = None
    result: Any = None
    error: BaseException | None = None


def commit(database: sqlite3.Connection, batch: list[QueuedChange]) -> None:
    """Make the changes of ``batch`` in one commit, in which each stands or falls alone."""
    if not batch:
        return
    try:
        database.execute("BEGIN IMMEDIATE")
        for each in batch:
            each.transaction = Transaction(database)
            # A change that fails takes nothing of its neighbours with it; alone it needs no mark.
            if len(batch) > 1:
                database.execute("SAVEPOINT one")
            try:
                each.result = each.change(each.transaction)
            except BaseException as error:
                # On a full disk SQLite itself rolls all of it back: then there is nothing to save.
                if len(batch) == 1 or not database.in_transaction:
                    raise
                database.execute("ROLLBACK TO one")
                each.error = _worded(error)
            if len(batch) > 1:
                database.execute("RELEASE one")
        database.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - nothing of the batch is kept
        if database.in_transaction:
            with suppress(sqlite3.Error):  # the next BEGIN says so, and this is tried again
                database.execute("ROLLBACK")
        for each in batch:
            each.error = _worded(error)


def call_each(calls: list[Callable[[], object]]) -> None:
    """Make the calls of a change that is written, or durable, and take each off the list."""
    while calls:
        call = calls.pop(0)
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the store outlives whoever it tells
            event("store.call_failed", level=logging.ERROR, error=error)


def settle(
    future: Future[Any], *, result: object = None, error: BaseException | None = None
) -> None:
    """Tell who waits, and again where that failed; what a listener raises is its own matter."""
    for _ in range(2):
        try:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        except BaseException as raised:  # noqa: BLE001 - the store outlives whoever it tells
            event("store.call_failed", level=logging.ERROR, error=raised)
        if future.done():
            return


def _worded(error: BaseException) -> Exception:
    if isinstance(error, Exception) and not isinstance(error, sqlite3.Error):
        return error
    said = error if isinstance(error, sqlite3.Error) else repr(error)
    wrapped = StoreError(f"the state store was not written: {said}")
    wrapped.__cause__ = error
    return wrapped
