"""What happens to a command in the store: each step is one transaction of inbox and outbox together.

Phases: ``waiting`` -> ``running`` -> ``done``. A step that does not fit the phase changes nothing, so a step may be
repeated, and a late one does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cedarfleet_device import wire
from cedarfleet_device.running import Taken
from cedarfleet_device.store import Outgoing
from cedarfleet_device.wire import CommandMessage, CommandState, StatusMessage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from cedarfleet_device.running import Ending, Runner
    from cedarfleet_device.store import Store

_T = TypeVar("_T")
_FORGOTTEN: Final = "forgotten until"  # note: every command that expired until then may have been forgotten


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much stands in the store."""

    waiting: int
    running: int
    unreported: int


class Inbox:
    """The commands of one device.

    Args:
        store: where they are kept.
        clock: milliseconds since the epoch.
        changed: gets states that have come to stand in the outbox, in order; on the writing thread, must be short.
        runner: told what has arrived; None: it waits until ``take``.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int],
        changed: Callable[[Sequence[Outgoing]], None],
        runner: Runner | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self.runner = runner

    def receive(self, message: CommandMessage) -> Future[bool]:
        """Take a command once; the result is False when it is known already.

        A command that may have been forgotten (``forget``) is known to be expired and ends so, without a run.
        """
        runner = self.runner
        claimed = False
        begun: Taken | None = None

        def change(database: sqlite3.Connection, told: list[Outgoing]) -> bool:
            nonlocal claimed, begun
            forgotten = _note(database, _FORGOTTEN)
            late = message.expires_at <= forgotten
            if not _insert(database, message.command_id, message.encode(), message.expires_at, done=late):
                return False
            if late:  # fail closed: it may have run before it was forgotten
                self._report(database, told, message.command_id, CommandState.EXPIRED, {"reason": "long expired"})
                return True
            self._report(database, told, message.command_id, CommandState.RECEIVED, {})
            if runner is not None and (claimed := runner.claim()):
                begun = self._begin(database, told, runner.decide)
            return True

        def arrived(stored: bool) -> None:
            if runner is not None and claimed:
                runner.give(begun if stored else None)
            elif runner is not None and stored:
                runner.wake()

        return self._change(change, then=arrived)

    def reject(self, command_id: str, payload: bytes, reason: str) -> Future[bool]:
        """Record and report a message that is not to be run; the result is False when its id is known already."""

        def change(database: sqlite3.Connection, told: list[Outgoing]) -> bool:
            if not _insert(database, command_id, payload[:1024], self._clock(), done=True):
                return False
            self._report(database, told, command_id, CommandState.REJECTED, {"reason": reason})
            return True

        return self._change(change)

    def take(self, decide: Callable[[CommandMessage], Ending | None]) -> Taken | None:
        """The oldest waiting command, begun durably, or ended at once where ``decide`` says how; None: none waits.

        Args:
            decide: runs on the writing thread; None means that the command is to run.
        """
        return self._change(lambda database, told: self._begin(database, told, decide)).result()

    def progress(self, command_id: str, detail: dict[str, Any]) -> Future[bool]:
        """Report how far a running command is; False when it no longer runs."""

        def change(database: sqlite3.Connection, told: list[Outgoing]) -> bool:
            row = database.execute(
                "SELECT sequence FROM inbox WHERE command_id = ? AND phase = 'running'", (command_id,)
            ).fetchone()
            if row is None or row[0] >= wire.MAX_SEQUENCE - 1:  # the last number is the final state's
                return False
            self._report(database, told, command_id, CommandState.RUNNING, detail)
            return True

        return self._change(change)

    def finish(self, command_id: str, state: CommandState, detail: dict[str, Any]) -> bool:
        """End a running command; False when it has ended already."""

        def change(database: sqlite3.Connection, told: list[Outgoing]) -> bool:
            if not _move(database, command_id, "running", "done"):
                return False
            self._report(database, told, command_id, state, detail)
            return True

        return self._change(change).result()

    def recover(self, *, again: Callable[[str], bool]) -> tuple[int, int]:
        """After a restart: what was running waits again if ``again(command name)``, else it ends INTERRUPTED.

        Returns:
            How many wait again, and how many were interrupted.
        """

        def change(database: sqlite3.Connection, told: list[Outgoing]) -> tuple[int, int]:
            repeated = interrupted = 0
            rows = database.execute("SELECT command_id, message FROM inbox WHERE phase = 'running'").fetchall()
            for command_id, message in rows:
                if again(CommandMessage.decode(message).name):
                    _move(database, command_id, "running", "waiting")
                    repeated += 1
                else:
                    _move(database, command_id, "running", "done")
                    detail = {"reason": "the device stopped while the command was running; it was not run again"}
                    self._report(database, told, command_id, CommandState.INTERRUPTED, detail)
                    interrupted += 1
            return repeated, interrupted

        return self._change(change).result()

    def outgoing(self, *, after: int, limit: int) -> list[Outgoing]:
        """States that wait for the cloud, oldest first, beyond position ``after``."""

        def change(database: sqlite3.Connection) -> list[Outgoing]:
            rows = database.execute(
                "SELECT position, command_id, message FROM outbox WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [Outgoing(position=row[0], command_id=row[1], message=row[2]) for row in rows]

        return self._store.do(change)

    def sent(self, positions: Sequence[int]) -> Future[None]:
        """Forget states that the cloud has acknowledged."""

        def change(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM outbox WHERE position = ?", [(each,) for each in positions])

        return self._store.submit(change)

    def reported(self, command_id: str) -> bool:
        """Whether the cloud has acknowledged every state of the command."""
        return self._store.do(
            lambda database: (
                database.execute("SELECT 1 FROM outbox WHERE command_id = ? LIMIT 1", (command_id,)).fetchone() is None
            )
        )

    def forget(self, *, expired_before: int) -> int:
        """Delete finished and reported commands that expired before this instant (ms); how many.

        The latest expiry among them is kept: an unknown command that old is refused for ever after.
        """

        def change(database: sqlite3.Connection) -> int:
            old = "phase = 'done' AND expires_at < ? AND command_id NOT IN (SELECT command_id FROM outbox)"
            row = database.execute(
                f"SELECT count(*), max(expires_at) FROM inbox WHERE {old}",  # noqa: S608 - a constant
                (expired_before,),
            ).fetchone()
            if row[0]:
                until = max(row[1], _note(database, _FORGOTTEN))
                database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_FORGOTTEN, str(until)))
                database.execute(f"DELETE FROM inbox WHERE {old}", (expired_before,))  # noqa: S608 - a constant
            return row[0]

        return self._store.do(change)

    def counts(self) -> Counts:
        """How much waits, runs and is not yet reported."""

        def change(database: sqlite3.Connection) -> Counts:
            phases = dict(database.execute("SELECT phase, count(*) FROM inbox WHERE phase != 'done' GROUP BY phase"))
            unreported = database.execute("SELECT count(*) FROM outbox").fetchone()[0]
            return Counts(waiting=phases.get("waiting", 0), running=phases.get("running", 0), unreported=unreported)

        return self._store.do(change)

    def _begin(
        self, database: sqlite3.Connection, told: list[Outgoing], decide: Callable[[CommandMessage], Ending | None]
    ) -> Taken | None:
        row = database.execute("SELECT message FROM inbox WHERE phase = 'waiting' ORDER BY position LIMIT 1").fetchone()
        if row is None:
            return None
        message = CommandMessage.decode(row[0])
        ending = decide(message)
        _move(database, message.command_id, "waiting", "running" if ending is None else "done")
        if ending is None:
            self._report(database, told, message.command_id, CommandState.RUNNING, {})
        else:
            self._report(database, told, message.command_id, ending.state, {"reason": ending.reason})
        return Taken(message=message, ending=ending)

    def _report(
        self,
        database: sqlite3.Connection,
        told: list[Outgoing],
        command_id: str,
        state: CommandState,
        detail: dict[str, Any],
    ) -> None:
        database.execute("UPDATE inbox SET sequence = sequence + 1 WHERE command_id = ?", (command_id,))
        row = database.execute("SELECT sequence FROM inbox WHERE command_id = ?", (command_id,)).fetchone()
        message = StatusMessage(sequence=row[0], state=state, detail=detail, at=self._clock()).encode()
        added = database.execute("INSERT INTO outbox (command_id, message) VALUES (?, ?)", (command_id, message))
        told.append(Outgoing(position=added.lastrowid or 0, command_id=command_id, message=message))

    def _change(
        self,
        change: Callable[[sqlite3.Connection, list[Outgoing]], _T],
        *,
        then: Callable[[bool], None] = lambda _: None,
    ) -> Future[_T]:
        """Submit ``change``; then tell whether it stored anything new, and hand over the states that it made."""
        told: list[Outgoing] = []

        def committed(done: Future[_T]) -> None:
            stored = done.exception() is None and bool(done.result())
            then(stored)
            if stored and told:
                self._changed(told)

        return self._store.submit(lambda database: change(database, told), then=committed)


def _insert(database: sqlite3.Connection, command_id: str, message: bytes, expires_at: int, *, done: bool) -> bool:
    added = database.execute(
        "INSERT OR IGNORE INTO inbox (command_id, message, phase, sequence, expires_at) VALUES (?, ?, ?, 0, ?)",
        (command_id, message, "done" if done else "waiting", expires_at),
    )
    return added.rowcount == 1


def _move(database: sqlite3.Connection, command_id: str, before: str, after: str) -> bool:
    moved = database.execute(
        "UPDATE inbox SET phase = ? WHERE command_id = ? AND phase = ?", (after, command_id, before)
    )
    return moved.rowcount == 1


def _note(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])
