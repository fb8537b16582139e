"""The device's memory across power loss: inbox, outbox and notes in one SQLite file, written by one thread.

A change is kept in two stages. It is *written* once its transaction is committed: from then on it survives the death
of the process (``kill -9``). It is *durable* once the log was synced: from then on it survives the loss of power. What
must not be promised before the disk has it waits for the second stage; everything else may go on after the first.

SQLite in WAL mode with ``synchronous=NORMAL`` never syncs its log at a commit, and never gets damaged by that
(sqlite.org/pragma.html#pragma_synchronous); the sync is ours, with ``fdatasync`` of the log, and changes share it.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cedarfleet_device.errors import ConfigError, DeviceError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_T = TypeVar("_T")
_FORMAT: Final = 2  # of the tables below; kept in PRAGMA user_version
_MOST_IN_ONE_COMMIT: Final = 256
_SHARE_SECONDS: Final = 0.01  # changes that nobody waits for share a sync for so long
_SYNC_AGAIN_SECONDS: Final = 1.0
_TABLES: Final = """
CREATE TABLE inbox (
    command_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    message BLOB NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('waiting', 'running', 'done')),
    sequence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX inbox_open ON inbox (phase, position) WHERE phase != 'done';
CREATE TABLE outbox (position INTEGER PRIMARY KEY, command_id TEXT NOT NULL, message BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class StoreError(DeviceError):
    """A change was not kept, e.g. because the disk is full."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One state that waits for the cloud's PUBACK: ``message`` is an encoded ``wire.StatusMessage``."""

    position: int
    command_id: str
    message: bytes


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
class _Queued:
    """A change on its way through the writing thread."""

    change: Callable[[Step], Any]
    future: Future[Any]
    urgent: bool
    step: Step | None = None
    result: Any = None
    error: BaseException | None = None


class Store:
    """Opens the file and starts the writing thread.

    Args:
        file: database file; its folder exists.
        sync: makes what was written to a descriptor durable.

    Raises:
        ConfigError: the file is damaged, or of another version of the SDK.
    """

    def __init__(self, file: Path, *, sync: Callable[[int], object] = os.fdatasync) -> None:
        self._file = file
        self._sync = sync
        self._changes: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._closed = False
        self._unsynced: list[_Queued] = []
        self._doubtful = False  # a sync failed: the kernel may have dropped what it could not write
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="cedarfleet-store", daemon=True)
        self._thread.start()
        opened.result()

    def submit(self, change: Callable[[Step], _T], *, urgent: bool = False) -> Future[_T]:
        """Queue ``change``; the future is done when it is durable.

        Args:
            change: runs on the writing thread and must only use the connection that it is given.
            urgent: whether somebody waits for the future.

        Raises (the future):
            StoreError: not kept; or written, and the store was closed while the disk would not take it.
        """
        future: Future[_T] = Future()
        if self._closed:
            future.set_exception(StoreError("the store is closed"))
        else:
            self._changes.put(_Queued(change=change, future=future, urgent=urgent))
        return future

    def do(self, change: Callable[[Step], _T]) -> _T:
        """``submit`` and wait.

        Raises:
            StoreError: not kept.
        """
        return self.submit(change, urgent=True).result()

    def note(self, name: str, value: str | None = None) -> str | None:
        """Keep ``value`` under ``name`` if one is given; the kept value."""

        def change(step: Step) -> str | None:
            if value is not None:
                step.database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
            row = step.database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
            return None if row is None else row[0]

        return self.do(change)

    def close(self) -> None:
        """Write what is queued and close the file; again is harmless."""
        if not self._closed:
            self._closed = True
            self._changes.put(None)
            self._thread.join()

    def _run(self, opened: Future[None]) -> None:
        try:
            database = _open(self._file)
            log = os.open(f"{self._file}-wal", os.O_RDWR | os.O_CLOEXEC)  # syncing needs no lock of SQLite's
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            self._write(database, log)
        finally:
            os.close(log)
            database.close()

    def _write(self, database: sqlite3.Connection, log: int) -> None:
        synced = -1  # changes; what a process that died had written may not be durable yet
        due = 0.0
        last = False
        while not last:
            owed = bool(self._unsynced)
            batch, last = self._next_batch(due)
            if not owed:
                due = time.monotonic() + _SHARE_SECONDS
            _commit(database, batch)
            if self._keep(batch) or last:
                due = 0.0
            if time.monotonic() < due:
                continue
            if database.total_changes == synced or self._make_durable(database, log):
                synced = database.total_changes
                self._settle()
            elif last:
                self._give_up()
            else:
                due = time.monotonic() + _SYNC_AGAIN_SECONDS

    def _keep(self, batch: list[_Queued]) -> bool:
        """Tell of what was written; whether somebody waits for the sync."""
        urgent = False
        for each in batch:
            if each.error is not None or each.step is None:
                each.future.set_exception(each.error or AssertionError("no step"))
                continue
            self._unsynced.append(each)
            _call(each.step.written)
            urgent = urgent or each.urgent or bool(each.step.durable)
        return urgent

    def _next_batch(self, due: float) -> tuple[list[_Queued], bool]:
        """What is queued, waiting for it, but not beyond ``due`` while a sync is owed; and whether it is the last."""
        try:
            pause = max(0.0, due - time.monotonic()) if self._unsynced else None
            first = self._changes.get(timeout=pause) if pause != 0 else self._changes.get_nowait()
        except queue.Empty:
            return [], False
        batch: list[_Queued] = []
        while first is not None:
            batch.append(first)
            if len(batch) == _MOST_IN_ONE_COMMIT or self._changes.empty():
                return batch, False
            first = self._changes.get()
        return batch, True

    def _make_durable(self, database: sqlite3.Connection, log: int) -> bool:
        """Sync the log. After a failure only a checkpoint counts, which writes everything anew to the main file.

        A second sync could report success for pages that the first one dropped (Linux: fsync(2), EIO).
        """
        try:
            if not self._doubtful:
                self._sync(log)
                return True
            busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._doubtful = bool(busy)
        except (OSError, sqlite3.Error) as error:  # fail closed: nobody is told that it is durable
            self._doubtful = True
            event("store.not_synced", level=logging.ERROR, error=error)
        return not self._doubtful

    def _settle(self) -> None:
        settled, self._unsynced = self._unsynced, []
        for each in settled:
            _call(each.step.durable if each.step else ())
            each.future.set_result(each.result)

    def _give_up(self) -> None:
        abandoned, self._unsynced = self._unsynced, []
        for each in abandoned:
            each.future.set_exception(StoreError("the store was closed before the disk had taken the change"))


def _open(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(file, isolation_level=None, cached_statements=64)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;")
            database.execute("PRAGMA wal_checkpoint(FULL)")  # with file, log and their names on the disk
            _sync_folder(file.parent)
            found = _FORMAT
        state = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:  # fail closed: without its memory the device might do a thing twice
        database.close()
        raise ConfigError(f"`{file}` is damaged ({error}): move it away to start without memory of commands") from error
    if found == _FORMAT and state == "ok":
        return database
    database.close()
    if found != _FORMAT:
        raise ConfigError(f"`{file}` has format {found}, this SDK reads {_FORMAT}: install the SDK that wrote it")
    raise ConfigError(f"`{file}` is damaged ({state}): move it away to start without memory of commands")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _commit(database: sqlite3.Connection, batch: list[_Queued]) -> None:
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
                if len(batch) == 1 or not database.in_transaction:  # or SQLite has rolled back, e.g. on a full disk
                    raise
                database.execute("ROLLBACK TO one")
                each.error = _worded(error)
            if len(batch) > 1:
                database.execute("RELEASE one")
        database.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - nothing of the batch is kept
        if database.in_transaction:
            database.execute("ROLLBACK")
        for each in batch:
            each.error = _worded(error)


def _call(calls: Iterable[Callable[[], object]]) -> None:
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
