"""The device's memory across power loss: one SQLite file, written by one thread.

A change is kept in two stages. It is *written* once its transaction is committed: from then on it
survives the death of the process (``kill -9``). It is *durable* once the log was synced: from then
on it survives the loss of power. What must not be promised before the disk has it waits for the
second stage; everything else may go on after the first.

SQLite in WAL mode with ``synchronous=NORMAL`` never syncs its log at a commit, and never gets
damaged by that (sqlite.org/pragma.html#pragma_synchronous); the sync is ours, with ``fdatasync`` of
the log, and changes share it.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from cedarfleet_device.files import DISK
from cedarfleet_device.log import event, places
from cedarfleet_device.store.database import open_database
from cedarfleet_device.store.transaction import (
    Durability,
    QueuedChange,
    StoreError,
    Transaction,
    call_each,
    commit,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.files import Disk

_T = TypeVar("_T")
_MOST_IN_ONE_COMMIT: Final = 256
_SHARE_SECONDS: Final = 0.01  # changes that nobody waits for share a sync for so long
_SYNC_AGAIN_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 60.0  # after the last change, what stands in the log alone is moved


class Store:
    """Opens the file and starts the writing thread.

    Args:
        file: database file; its folder exists.
        sync: makes what was written to a descriptor durable.
        disk: makes the names of a new file and of its log durable.
        quiet_seconds: without a change, after which the log is moved to the file: a device that
            rests has its memory in one place.

    Raises:
        ConfigError: the file is damaged, or of another version of the SDK.
    """

    def __init__(
        self,
        file: Path,
        *,
        sync: Callable[[int], object] = os.fdatasync,
        disk: Disk = DISK,
        quiet_seconds: float = _QUIET_SECONDS,
    ) -> None:
        self._file, self._disk = file, disk
        self._quiet_seconds = quiet_seconds
        self._sync = sync
        self._changes: queue.SimpleQueue[QueuedChange | None] = queue.SimpleQueue()
        self._order = threading.Lock()
        self._closed = False
        self._unsynced: deque[QueuedChange] = deque()
        # A sync failed, maybe one of the process before: the kernel may have dropped something.
        self._doubtful = False
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="cedarfleet-store", daemon=True
        )
        self._thread.start()
        opened.result()

    def submit(self, change: Callable[[Transaction], _T], *, urgent: bool = False) -> Future[_T]:
        """Queue ``change``; the future is done when it is durable.

        Args:
            change: runs on the writing thread and must only use the connection that it is given.
            urgent: whether somebody waits for the future.

        Raises (the future):
            StoreError: not kept; or written, and the store was closed while the disk would not take
                it.
        """
        future: Future[_T] = Future()
        queued = QueuedChange(change=change, future=future, urgent=urgent)
        with self._order:
            closed = self._closed
            if not closed:
                self._changes.put(queued)
        if closed:
            future.set_exception(StoreError("the store is closed"))
        return future

    def do(self, change: Callable[[Transaction], _T]) -> _T:
        """``submit`` and wait.

        Raises:
            StoreError: not kept.
        """
        return self.submit(change, urgent=True).result()

    def ask(self, change: Callable[[Transaction], tuple[_T, Durability]]) -> _T:
        """Make ``change``; its result, once the change is as durable as it says.

        Raises:
            StoreError: not kept.
        """
        answer: Future[_T] = Future()

        def asked(transaction: Transaction) -> None:
            result, durability = change(transaction)
            transaction.at(durability, lambda: answer.set_result(result))

        # After the answer a sync may still fail, when the store is closed: nobody waits for that.
        def settled(done: Future[None]) -> None:
            if (error := done.exception()) is not None and not answer.done():
                answer.set_exception(error)

        self.submit(asked).add_done_callback(settled)
        return answer.result()

    def note(self, name: str, value: str | None = None) -> str | None:
        """Keep ``value`` under ``name`` if one is given; the kept value."""

        def change(transaction: Transaction) -> str | None:
            if value is not None:
                transaction.database.execute(
                    "INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value)
                )
            row = transaction.database.execute(
                "SELECT value FROM notes WHERE name = ?", (name,)
            ).fetchone()
            return None if row is None else row[0]

        return self.do(change)

    def close(self) -> None:
        """Write what is queued and close the file; again is harmless."""
        with self._order:
            if self._closed:
                return
            self._closed = True
            self._changes.put(None)
        self._thread.join()

    def _run(self, opened: Future[None]) -> None:
        try:
            database, log = open_database(self._file, self._disk)
            # A log that is left by a process that died may be one that it failed to sync.
            self._doubtful = os.fstat(log).st_size > 0
            opened.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            opened.set_exception(error)
            return
        try:
            self._write(database, log)
        finally:
            os.close(log)
            database.close()

    def _write(self, database: sqlite3.Connection, log: int) -> None:
        synced = -1  # changes; what a process that died had written may not be durable yet
        due = 0.0
        quiet_since, moved = time.monotonic(), -1
        last = False
        while not last:
            owed = bool(self._unsynced)
            batch: list[QueuedChange] = []
            try:
                last = self._next_batch(batch, due)
                # The share begins with the first change that is owed a sync, not with each that
                # joins.
                if not owed:
                    due = time.monotonic() + _SHARE_SECONDS
                commit(database, batch)
                if self._keep(batch) or last:
                    due = 0.0
                if time.monotonic() < due:
                    continue
                # Changes that wrote nothing (reads) are durable without a sync.
                if database.total_changes == synced or self._make_durable(database, log):
                    if database.total_changes != synced:
                        quiet_since = time.monotonic()
                    synced = database.total_changes
                    self._settle()
                    # Asked by whoever looks in, every few seconds: nothing of ours wakes for it.
                    quiet = time.monotonic() - quiet_since >= self._quiet_seconds
                    if synced != moved and quiet:
                        moved = synced if _move_log(database) else moved
                else:
                    due = time.monotonic() + _SYNC_AGAIN_SECONDS
            except BaseException as error:  # noqa: BLE001 - this thread is nobody's to end
                self._fail(batch, error)
                due = time.monotonic() + _SYNC_AGAIN_SECONDS
        self._give_up()

    def _keep(self, batch: list[QueuedChange]) -> bool:
        """Tell of what was written; whether somebody waits for the sync."""
        kept = [each for each in batch if each.error is None and each.transaction is not None]
        # First of all: from now on it is in the file, whatever is raised in the telling.
        self._unsynced.extend(kept)
        for each in batch:
            if each.error is not None or each.transaction is None:
                settle(each.future, error=each.error or AssertionError("no transaction"))
        urgent = False
        for each in kept:
            if each.transaction is not None:
                call_each(each.transaction.written)
                urgent = urgent or each.urgent or bool(each.transaction.durable)
        return urgent

    def _fail(self, batch: list[QueuedChange], error: BaseException) -> None:
        """Whoever waits for one of these is told; of what was written the next sync will tell."""
        event("store.failed", level=logging.ERROR, error=error, at=places(error))
        self._doubtful = True
        for each in batch:
            if each not in self._unsynced and not each.future.done():
                settle(each.future, error=StoreError(f"the change may not be kept: {error!r}"))

    def _next_batch(self, batch: list[QueuedChange], due: float) -> bool:
        """Put what is queued into ``batch``; whether it is the last.

        Waits for it, while a sync is owed until ``due``.
        """
        try:
            # With nothing owed it may sleep; else the sync is not put off beyond its time.
            pause = max(0.0, due - time.monotonic()) if self._unsynced else None
            each = self._changes.get(timeout=pause) if pause != 0 else self._changes.get_nowait()
            while each is not None:
                batch.append(each)
                if len(batch) == _MOST_IN_ONE_COMMIT:
                    return False
                each = self._changes.get_nowait()
        except queue.Empty:
            return False
        return True

    def _make_durable(self, database: sqlite3.Connection, log: int) -> bool:
        """Sync the log; whether that succeeded. After a failure only a checkpoint counts.

        The checkpoint writes everything anew to the main file, since a second sync could report
        success for pages that the first one dropped (Linux: fsync(2), EIO). The log is emptied by
        that, which is synced as well: what is left of it must not be found after a loss of power.
        The same goes for a log that has been deleted: whoever opens and closes the file inside this
        process drops the locks that keep others from tidying up (sqlite.org/howtocorrupt.html,
        2.2).
        """
        try:
            # Fail closed: of a file that somebody has removed, the next start finds nothing.
            if not self._file.exists():
                event("store.removed", level=logging.ERROR, file=str(self._file))
                return False
            doubtful = self._doubtful or os.fstat(log).st_nlink == 0
            if doubtful and database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                event(
                    "store.not_synced", level=logging.ERROR, reason="another process reads the file"
                )
                return False
            self._sync(log)
            self._doubtful = False
        except BaseException as error:  # noqa: BLE001 - fail closed: nobody is told it is durable
            self._doubtful = True
            event("store.not_synced", level=logging.ERROR, error=error)
        return not self._doubtful

    def _settle(self) -> None:
        """Tell of what is durable; each is owed until it is told, whatever is raised meanwhile."""
        while self._unsynced:
            each = self._unsynced[0]
            if each.transaction is not None:
                call_each(each.transaction.written)  # as far as it could not be told before
                call_each(each.transaction.durable)
            settle(each.future, result=each.result)
            self._unsynced.popleft()

    def _give_up(self) -> None:
        while self._unsynced:
            each = self._unsynced.popleft()
            error = StoreError("the store was closed before the disk had taken the change")
            settle(each.future, error=error)


def _move_log(database: sqlite3.Connection) -> bool:
    """Write what the log holds to the file; whether all of it was."""
    try:
        return not database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:  # it stays in the log, which is durable
        event("store.log_not_moved", level=logging.WARNING, error=error)
        return False
