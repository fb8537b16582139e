"""The device's memory across power loss: inbox, outbox and notes in one SQLite file, written by one thread.

A command is in the inbox before its PUBACK is sent, and a state is in the outbox in the same transaction as what it
tells of. Hence whatever was acknowledged is known after ``kill -9``, and whatever is known will be reported.

SQLite in WAL mode with ``synchronous=FULL`` syncs its log at each commit (sqlite.org/pragma.html#pragma_synchronous);
changes that arrive together share one commit.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cedarfleet_device.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")
_FORMAT: Final = 1  # of the tables below; kept in PRAGMA user_version
_MOST_IN_ONE_COMMIT: Final = 256
_TABLES: Final = """
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id TEXT NOT NULL UNIQUE,
    message BLOB NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('waiting', 'running', 'done')),
    sequence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX inbox_phase ON inbox (phase, position);
CREATE TABLE outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, command_id TEXT NOT NULL, message BLOB NOT NULL);
CREATE INDEX outbox_command ON outbox (command_id);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class StoreError(DeviceError):
    """A change was not written, e.g. because the disk is full; nothing of it is kept."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One state that waits for the cloud's PUBACK: ``message`` is an encoded ``wire.StatusMessage``."""

    position: int
    command_id: str
    message: bytes


class Store:
    """Opens the file and starts the writing thread.

    Args:
        file: database file; its folder exists.

    Raises:
        ConfigError: the file is damaged, or of a later version of the SDK.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changes: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._changes = queue.SimpleQueue()
        self._closed = False
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._write, args=(opened,), name="cedarfleet-store", daemon=True)
        self._thread.start()
        opened.result()

    def submit(
        self, change: Callable[[sqlite3.Connection], _T], *, then: Callable[[Future[_T]], None] | None = None
    ) -> Future[_T]:
        """Queue ``change``; the future is done after the commit that made it durable.

        The change runs on the writing thread and must only use the connection that it is given. ``then`` and other
        callbacks of the future run there too, those of different changes in the order of the changes for ``then``,
        and must be short.
        """
        future: Future[_T] = Future()
        if then is not None:
            future.add_done_callback(then)
        if self._closed:
            future.set_exception(StoreError("the store is closed"))
        else:
            self._changes.put((change, future))
        return future

    def do(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        """``submit`` and wait.

        Raises:
            StoreError: not written.
        """
        return self.submit(change).result()

    def note(self, name: str, value: str | None = None) -> str | None:
        """Keep ``value`` under ``name`` if one is given; the kept value."""

        def change(database: sqlite3.Connection) -> str | None:
            if value is not None:
                database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
            row = database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
            return None if row is None else row[0]

        return self.do(change)

    def close(self) -> None:
        """Write what is queued and close the file; again is harmless."""
        if not self._closed:
            self._closed = True
            self._changes.put(None)
            self._thread.join()

    def _write(self, opened: Future[None]) -> None:
        try:
            database = _open(self._file)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            opened.set_exception(error)
            return
        opened.set_result(None)
        more = True
        while more:
            batch = [self._changes.get()]
            while len(batch) < _MOST_IN_ONE_COMMIT and not self._changes.empty():
                batch.append(self._changes.get())
            more = None not in batch
            _commit(database, [each for each in batch if each is not None])
        database.close()


def _open(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(file, isolation_level=None, cached_statements=64)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;")
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


def _commit(database: sqlite3.Connection, batch: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
    done: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        database.execute("BEGIN IMMEDIATE")
        for change, future in batch:
            database.execute("SAVEPOINT one")
            try:
                done.append((future, change(database), None))
            except Exception as error:
                if not database.in_transaction:  # SQLite has rolled back by itself, e.g. on a full disk
                    raise
                database.execute("ROLLBACK TO one")
                done.append((future, None, error))
            database.execute("RELEASE one")
        database.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - nothing of the batch is kept
        if database.in_transaction:
            database.execute("ROLLBACK")
        done = [(future, None, error) for _, future in batch]
    for future, result, error in done:
        if error is None:
            future.set_result(result)
        elif isinstance(error, sqlite3.Error):
            wrapped = StoreError(f"the state store was not written: {error}")
            wrapped.__cause__ = error
            future.set_exception(wrapped)
        else:
            future.set_exception(error)
