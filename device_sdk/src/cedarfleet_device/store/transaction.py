"""One change of the store while it is made, and how several share a transaction."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cedarfleet_device.errors import DeviceError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future


class StoreError(DeviceError):
    """A change was not kept, e.g. because the disk is full."""


class Step:
    """A change while it is made: the connection, and what is to be called at its two stages.

    The calls are made on the writing thread, in the order of the changes, and must be short. None is made for a change
    that fails.

    Attributes:
        database: for this change alone.
        written: called once the change survives the death of the process.
        durable: called once it survives the loss of power; without any, the sync may wait for others to share it.
    """

    __slots__ = ("database", "durable", "written")

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.written: list[Callable[[], object]] = []
        self.durable: list[Callable[[], object]] = []


@dataclass(kw_only=True)
class Queued:
    """A change on its way through the writing thread."""

    change: Callable[[Step], Any]
    future: Future[Any]
    urgent: bool
    step: Step | None = None
    result: Any = None
    error: BaseException | None = None


def commit(database: sqlite3.Connection, batch: list[Queued]) -> None:
    """Make the changes of ``batch`` in one transaction, in which each stands or falls alone."""
    if not batch:
        return
    try:
        database.execute("BEGIN IMMEDIATE")
        for each in batch:
            each.step = Step(database)
            if len(batch) > 1:
                database.execute("SAVEPOINT one")
            try:
                each.result = each.change(each.step)
            except Exception as error:
                if (
                    len(batch) == 1 or not database.in_transaction
                ):  # or SQLite has rolled back, e.g. on a full disk
                    raise
                database.execute("ROLLBACK TO one")
                each.error = _worded(error)
            if len(batch) > 1:
                database.execute("RELEASE one")
        database.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - nothing of the batch is kept
        if database.in_transaction:
            with suppress(sqlite3.Error):  # the next BEGIN says so, and this is tried again
                database.execute("ROLLBACK")
        for each in batch:
            each.error = _worded(error)


def call_each(calls: Iterable[Callable[[], object]]) -> None:
    """Make the calls of a step's stage."""
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the memory must outlive whoever it tells
            event("store.call_failed", level=logging.ERROR, error=error)


def _worded(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    wrapped = StoreError(f"the state store was not written: {error}")
    wrapped.__cause__ = error
    return wrapped
