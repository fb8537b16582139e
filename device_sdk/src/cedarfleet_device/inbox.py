"""What happens to a command in the store: each step is one change of inbox and outbox together.

Phases: ``waiting`` -> ``running`` -> ``done``. A step that does not fit the phase changes nothing, so a step may be
repeated, and a late one does no harm. RECEIVED is reported of a command that has to wait; one that begins as it arrives
is RUNNING from the first.

A command begins, and its states are published, once that is durable: what ran is known after the power was lost, too.
For a command that *may be repeated* (its handler is idempotent) both happen once it is written: when the power goes
before the disk has it, the broker, which got no PUBACK, sends it again, and it runs again.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from cedarfleet_device import wire
from cedarfleet_device.running import Taken
from cedarfleet_device.store import Outgoing
from cedarfleet_device.wire import CommandMessage, CommandState, StatusMessage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from cedarfleet_device.running import Decider, Runner
    from cedarfleet_device.store import Step, Store

_T = TypeVar("_T")
_State: TypeAlias = tuple[CommandState, dict[str, Any]]
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
        # Counted up here, since SQLite would begin again from one when the outbox was empty, and the publisher not.
        self._arrivals, self._states = store.do(_last_positions)

    def receive(self, message: CommandMessage) -> Future[bool]:
        """Take a command once; the result, when that is durable, is False when it was known already.

        A command that may have been forgotten (``forget``) is known to be expired and ends so, without a run.
        """
        claimed: list[Runner] = []

        def change(step: Step) -> bool:
            key, content = message.command_id, message.encode()
            if _knows(step.database, key):
                return False
            if message.expires_at <= _note(step.database, _FORGOTTEN):  # fail closed: it may have run before
                self._insert(step, key, content, message.expires_at, phase="done")
                self._report(step, key, 1, (CommandState.EXPIRED, {"reason": "long expired"}))
                return True
            runner = self.runner
            if runner is None or _one_waits(step.database) or not runner.claim():
                self._insert(step, key, content, message.expires_at, phase="waiting")
                self._report(step, key, 1, (CommandState.RECEIVED, {}))
                if runner is not None:
                    step.written.append(runner.wake)
                return True
            claimed.append(runner)
            taken, phase, state = _begin(message, runner)
            early = phase == "running" and runner.may_repeat(message.name)
            self._insert(step, key, content, message.expires_at, phase=phase)
            (step.written if early else step.durable).append(lambda: runner.give(taken))
            self._report(step, key, 1, state, early=early)
            return True

        def settled(done: Future[bool]) -> None:
            if claimed and done.exception() is not None:
                claimed[0].give(None)

        stored = self._store.submit(change)
        stored.add_done_callback(settled)
        return stored

    def reject(self, command_id: str, payload: bytes, reason: str) -> Future[bool]:
        """Record and report a message that is not to be run; the result is False when its id is known already."""

        def change(step: Step) -> bool:
            if _knows(step.database, command_id):
                return False
            self._insert(step, command_id, payload[:1024], self._clock(), phase="done")
            self._report(step, command_id, 1, (CommandState.REJECTED, {"reason": reason}))
            return True

        return self._store.submit(change)

    def take(self, decider: Decider) -> Taken | None:
        """The oldest waiting command, begun, or ended at once where ``decider`` says how; None: none waits.

        Raises:
            StoreError: not kept.
        """

        def change(step: Step) -> tuple[Taken | None, bool]:
            row = step.database.execute(
                "SELECT command_id, message, sequence FROM inbox WHERE phase = 'waiting' AND phase != 'done'"
                " ORDER BY position LIMIT 1"
            ).fetchone()
            if row is None:
                return None, True
            message = CommandMessage.decode(row[1])
            taken, phase, state = _begin(message, decider)
            early = phase == "running" and decider.may_repeat(message.name)
            step.database.execute(
                "UPDATE inbox SET phase = ?, sequence = ? WHERE command_id = ?", (phase, row[2] + 1, row[0])
            )
            self._report(step, row[0], row[2] + 1, state, early=early)
            return taken, early

        return self._ask(change)

    def progress(self, command_id: str, detail: dict[str, Any]) -> Future[bool]:
        """Report how far a running command is; False when it no longer runs."""

        def change(step: Step) -> bool:
            sequence = _sequence_of_running(step.database, command_id)
            if sequence is None or sequence >= wire.MAX_SEQUENCE - 1:  # the last number is the final state's
                return False
            self._move(step, command_id, "running", sequence + 1, (CommandState.RUNNING, detail))
            return True

        return self._store.submit(change)

    def finish(self, command_id: str, state: CommandState, detail: dict[str, Any], *, may_repeat: bool = False) -> bool:
        """End a running command; False when it has ended already.

        Raises:
            StoreError: not kept.
        """

        def change(step: Step) -> tuple[bool, bool]:
            sequence = _sequence_of_running(step.database, command_id)
            if sequence is None:
                return False, may_repeat
            self._move(step, command_id, "done", sequence + 1, (state, detail), early=may_repeat)
            return True, may_repeat

        return self._ask(change)

    def recover(self, *, again: Callable[[str], bool]) -> tuple[int, int]:
        """After a restart: what was running waits again if ``again(command name)``, else it ends INTERRUPTED.

        Returns:
            How many wait again, and how many were interrupted.
        """

        def change(step: Step) -> tuple[int, int]:
            repeated = interrupted = 0
            rows = step.database.execute(
                "SELECT command_id, message, sequence FROM inbox WHERE phase = 'running' AND phase != 'done'"
            ).fetchall()
            for command_id, message, sequence in rows:
                if again(CommandMessage.decode(message).name):
                    self._move(step, command_id, "waiting", sequence)
                    repeated += 1
                else:
                    detail = {"reason": "the device stopped while the command was running; it was not run again"}
                    self._move(step, command_id, "done", sequence + 1, (CommandState.INTERRUPTED, detail))
                    interrupted += 1
            return repeated, interrupted

        return self._store.do(change)

    def outgoing(self, *, after: int, limit: int) -> list[Outgoing]:
        """States that wait for the cloud, oldest first, beyond position ``after``; durable, all of them."""

        def change(step: Step) -> list[Outgoing]:
            rows = step.database.execute(
                "SELECT position, command_id, message FROM outbox WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [Outgoing(position=row[0], command_id=row[1], message=row[2]) for row in rows]

        return self._store.do(change)

    def sent(self, positions: Sequence[int]) -> Future[None]:
        """Forget states that the cloud has acknowledged."""

        def change(step: Step) -> None:
            step.database.executemany("DELETE FROM outbox WHERE position = ?", [(each,) for each in positions])

        return self._store.submit(change)

    def reported(self, command_id: str) -> bool:
        """Whether the cloud has acknowledged every state of the command."""
        query = "SELECT 1 FROM outbox WHERE command_id = ? LIMIT 1"
        return self._store.do(lambda step: step.database.execute(query, (command_id,)).fetchone() is None)

    def forget(self, *, expired_before: int) -> int:
        """Delete finished and reported commands that expired before this instant (ms); how many.

        The latest expiry among them is kept: an unknown command that old is refused for ever after.
        """

        def change(step: Step) -> int:
            old = "phase = 'done' AND expires_at < ? AND command_id NOT IN (SELECT command_id FROM outbox)"
            row = step.database.execute(
                f"SELECT count(*), max(expires_at) FROM inbox WHERE {old}",  # noqa: S608 - a constant
                (expired_before,),
            ).fetchone()
            if row[0]:
                until = max(row[1], _note(step.database, _FORGOTTEN))
                step.database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_FORGOTTEN, str(until)))
                step.database.execute(f"DELETE FROM inbox WHERE {old}", (expired_before,))  # noqa: S608 - a constant
            return row[0]

        return self._store.do(change)

    def counts(self) -> Counts:
        """How much waits, runs and is not yet reported."""

        def change(step: Step) -> Counts:
            phases = dict(
                step.database.execute("SELECT phase, count(*) FROM inbox WHERE phase != 'done' GROUP BY phase")
            )
            unreported = step.database.execute("SELECT count(*) FROM outbox").fetchone()[0]
            return Counts(waiting=phases.get("waiting", 0), running=phases.get("running", 0), unreported=unreported)

        return self._store.do(change)

    def _insert(self, step: Step, key: str, message: bytes, expires_at: int, *, phase: str) -> None:
        """Put a command into the inbox, with one state so far."""
        self._arrivals += 1
        step.database.execute(
            "INSERT INTO inbox (command_id, position, message, phase, sequence, expires_at) VALUES (?, ?, ?, ?, 1, ?)",
            (key, self._arrivals, message, phase, expires_at),
        )

    def _move(
        self, step: Step, key: str, phase: str, sequence: int, state: _State | None = None, *, early: bool = False
    ) -> None:
        """Put the command into ``phase`` with ``sequence`` states so far, the last of them ``state``."""
        step.database.execute("UPDATE inbox SET phase = ?, sequence = ? WHERE command_id = ?", (phase, sequence, key))
        if state is not None:
            self._report(step, key, sequence, state, early=early)

    def _report(self, step: Step, key: str, sequence: int, state: _State, *, early: bool = False) -> None:
        """Put the state with this number into the outbox."""
        self._states += 1
        message = StatusMessage(sequence=sequence, state=state[0], detail=state[1], at=self._clock()).encode()
        step.database.execute("INSERT INTO outbox VALUES (?, ?, ?)", (self._states, key, message))
        told = [Outgoing(position=self._states, command_id=key, message=message)]
        (step.written if early else step.durable).append(lambda: self._changed(told))

    def _ask(self, change: Callable[[Step], tuple[_T, bool]]) -> _T:
        """Make ``change`` and wait: until it is durable, or only until it is written, where it says so."""
        answer: Future[_T] = Future()

        def asked(step: Step) -> None:
            result, early = change(step)
            (step.written if early else step.durable).append(lambda: answer.set_result(result))

        def settled(done: Future[None]) -> None:
            if (error := done.exception()) is not None and not answer.done():
                answer.set_exception(error)

        self._store.submit(asked).add_done_callback(settled)
        return answer.result()


def _begin(message: CommandMessage, decider: Decider) -> tuple[Taken, str, _State]:
    """The command as it leaves the queue, its phase and its state from now on."""
    ending = decider.decide(message)
    taken = Taken(message=message, ending=ending)
    if ending is None:
        return taken, "running", (CommandState.RUNNING, {})
    return taken, "done", (ending.state, {"reason": ending.reason})


def _last_positions(step: Step) -> tuple[int, int]:
    row = step.database.execute(
        "SELECT (SELECT ifnull(max(position), 0) FROM inbox), (SELECT ifnull(max(position), 0) FROM outbox)"
    ).fetchone()
    return row[0], row[1]


def _knows(database: sqlite3.Connection, command_id: str) -> bool:
    return database.execute("SELECT 1 FROM inbox WHERE command_id = ?", (command_id,)).fetchone() is not None


def _one_waits(database: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM inbox WHERE phase = 'waiting' AND phase != 'done' LIMIT 1"
    return database.execute(query).fetchone() is not None


def _sequence_of_running(database: sqlite3.Connection, command_id: str) -> int | None:
    row = database.execute(
        "SELECT sequence FROM inbox WHERE command_id = ? AND phase = 'running'", (command_id,)
    ).fetchone()
    return None if row is None else row[0]


def _note(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])
