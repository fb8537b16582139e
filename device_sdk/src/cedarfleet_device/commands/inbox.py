"""The commands on disk: each step of a command's life is one change of the store.

Phases: ``waiting`` -> ``running`` -> ``done``. A step that does not fit the phase changes nothing,
so a step may be repeated, and a late one does no harm. RECEIVED is reported of a command that has
to wait; RUNNING when ``progress`` is called, which is not for a command that is over in no time:
its only state is the final one.

A command begins, and its states are told, once that is durable: what ran is known after the power
was lost, too. A command that *may be repeated* (its handler is idempotent) does not wait for the
disk: it begins, and its states are told, once that is written (``durability_for``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.store.transaction import Durability
from cedarfleet_device.wire import CommandMessage, CommandState, StatusMessage, WireError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Transaction

State: TypeAlias = tuple[CommandState, dict[str, Any]]
"""What is reported of a command: the state and its detail."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ends without being run."""

    state: CommandState
    reason: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A command that left the queue: to be run now, unless it has an ending."""

    message: CommandMessage
    ending: Ending | None


class Decider(Protocol):
    """Knows what is to become of a command; asked from any thread, and must not wait."""

    def decide(self, message: CommandMessage, /) -> Ending | None:
        """Whether the command is to run (None) or how it ends."""
        ...

    def may_repeat(self, name: str, /) -> bool:
        """Whether a command of this name may run twice."""
        ...


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many commands are not over."""

    waiting: int
    running: int


def durability_for(*, may_repeat: bool) -> Durability:
    """What a command's begin and its states wait for.

    One that may be repeated need not be known after a loss of power: the broker, which got no
    PUBACK before the command was durable, sends it again, and it runs again.
    """
    return Durability.WRITTEN if may_repeat else Durability.DURABLE


class Inbox:
    """The commands of one device.

    Args:
        store: where they are kept.
        clock: milliseconds since the epoch.
        report: puts a state into the outbox, inside the change that brings it about, to be told
            once that is as durable as said.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int],
        report: Callable[[Transaction, str, StatusMessage, Durability], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._report = report
        # Counted here, since positions must grow also when the newest command was forgotten.
        self._last = store.do(_last_position)

    def knows(self, transaction: Transaction, command_id: str) -> bool:
        """Whether the command has been stored."""
        query = "SELECT 1 FROM inbox WHERE command_id = ?"
        return transaction.database.execute(query, (command_id,)).fetchone() is not None

    def has_waiting(self, transaction: Transaction) -> bool:
        """Whether a command waits to be begun."""
        # Both conditions, so that SQLite sees that the partial index `inbox_open` will do.
        query = "SELECT 1 FROM inbox WHERE phase = 'waiting' AND phase != 'done' LIMIT 1"
        return transaction.database.execute(query).fetchone() is not None

    def add(
        self,
        transaction: Transaction,
        key: str,
        message: bytes,
        expires_at: int,
        *,
        phase: str,
        state: State | None,
    ) -> None:
        """Put a new command in, with its first state, if there is one to report."""
        self._last += 1
        transaction.database.execute(
            "INSERT INTO inbox (command_id, position, message, phase, sequence, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, self._last, message, phase, 0 if state is None else 1, expires_at),
        )
        if state is not None:
            self._tell(transaction, key, 1, state, Durability.DURABLE)

    def take(self, decider: Decider) -> Taken | None:
        """The oldest waiting command, begun, or ended as ``decider`` says; None: none waits.

        Raises:
            StoreError: not kept.
        """

        def change(transaction: Transaction) -> tuple[Taken | None, Durability]:
            oldest = (
                "SELECT command_id, message, sequence FROM inbox"
                " WHERE phase = 'waiting' AND phase != 'done' ORDER BY position LIMIT 1"
            )
            while (row := transaction.database.execute(oldest).fetchone()) is not None:
                key, content, sequence = row
                try:
                    message = CommandMessage.decode(content)
                except WireError as error:
                    reason = f"another version of the SDK stored it: {error}"
                    state = CommandState.REJECTED, {"reason": reason}
                    self._move(transaction, key, "done", sequence, state)
                    continue
                taken, phase, state = begin(message, decider)
                self._move(transaction, key, phase, sequence, state)
                repeats = taken.ending is None and decider.may_repeat(message.name)
                return taken, durability_for(may_repeat=repeats)
            return None, Durability.WRITTEN

        return self._store.ask(change)

    def cancel(self, transaction: Transaction, command_id: str) -> bool:
        """End a command that waits; False when it does not wait."""
        query = "SELECT sequence FROM inbox WHERE command_id = ? AND phase = 'waiting'"
        row = transaction.database.execute(query, (command_id,)).fetchone()
        if row is None:
            return False
        state = CommandState.CANCELED, {"reason": "canceled while it waited"}
        self._move(transaction, command_id, "done", row[0], state)
        return True

    def progress(self, command_id: str, detail: dict[str, Any]) -> Future[bool]:
        """Report how far a running command is; False when it no longer runs."""

        def change(transaction: Transaction) -> bool:
            sequence = _sequence_of_running(transaction, command_id)
            # The last number is the final state's.
            if sequence is None or sequence >= wire.MAX_SEQUENCE - 1:
                return False
            state = CommandState.RUNNING, detail
            self._move(transaction, command_id, "running", sequence, state)
            return True

        return self._store.submit(change)

    def finish(
        self,
        command_id: str,
        state: CommandState,
        detail: dict[str, Any],
        *,
        may_repeat: bool = False,
    ) -> bool:
        """End a running command; False when it has ended already.

        Raises:
            StoreError: not kept.
        """
        durability = durability_for(may_repeat=may_repeat)

        def change(transaction: Transaction) -> tuple[bool, Durability]:
            sequence = _sequence_of_running(transaction, command_id)
            if sequence is None:
                return False, durability
            self._move(transaction, command_id, "done", sequence, (state, detail), durability)
            return True, durability

        return self._store.ask(change)

    def recover(
        self,
        *,
        again: Callable[[str], bool],
        never_began: Callable[[str], bool] = lambda _: False,
    ) -> tuple[int, int]:
        """After a restart: what ran waits again if ``again(command name)``, else it is INTERRUPTED.

        Args:
            again: whether a command of this name may run twice.
            never_began: whether the handler of this command id had certainly not begun.

        Returns:
            How many wait again, and how many were interrupted.
        """

        def change(transaction: Transaction) -> tuple[int, int]:
            repeated = interrupted = 0
            rows = transaction.database.execute(
                "SELECT command_id, message, sequence FROM inbox"
                " WHERE phase = 'running' AND phase != 'done'"
            ).fetchall()
            for command_id, message, sequence in rows:
                if _may_run_again(message, again):
                    self._move(transaction, command_id, "waiting", sequence)
                    repeated += 1
                    continue
                state = CommandState.INTERRUPTED, _interruption(begun=not never_began(command_id))
                self._move(transaction, command_id, "done", sequence, state)
                interrupted += 1
            return repeated, interrupted

        return self._store.do(change)

    def delete_finished(
        self, transaction: Transaction, *, expired_before: int
    ) -> tuple[int, int | None]:
        """Delete finished and reported commands that expired before this instant (ms).

        Returns:
            How many, and the latest expiry among them.
        """
        old = (
            "phase = 'done' AND expires_at < ?"
            " AND command_id NOT IN (SELECT command_id FROM outbox)"
        )
        count, latest = transaction.database.execute(
            f"SELECT count(*), max(expires_at) FROM inbox WHERE {old}",  # noqa: S608 - a constant
            (expired_before,),
        ).fetchone()
        delete = f"DELETE FROM inbox WHERE {old}"  # noqa: S608 - a constant
        transaction.database.execute(delete, (expired_before,))
        return count, latest

    def counts(self) -> Counts:
        """How many wait and run; waits for no sync, so that it can be told of a failing disk."""

        def change(transaction: Transaction) -> tuple[Counts, Durability]:
            query = "SELECT phase, count(*) FROM inbox WHERE phase != 'done' GROUP BY phase"
            phases = dict(transaction.database.execute(query))
            counts = Counts(waiting=phases.get("waiting", 0), running=phases.get("running", 0))
            return counts, Durability.WRITTEN

        return self._store.ask(change)

    def _move(  # noqa: PLR0917 - the row, then what becomes of it
        self,
        transaction: Transaction,
        key: str,
        phase: str,
        sequence: int,
        state: State | None = None,
        durability: Durability = Durability.DURABLE,
    ) -> None:
        """Put a command that has reported ``sequence`` states into ``phase``; report ``state``."""
        sequence += 0 if state is None else 1
        transaction.database.execute(
            "UPDATE inbox SET phase = ?, sequence = ? WHERE command_id = ?", (phase, sequence, key)
        )
        if state is not None:
            self._tell(transaction, key, sequence, state, durability)

    def _tell(
        self,
        transaction: Transaction,
        key: str,
        sequence: int,
        state: State,
        durability: Durability,
    ) -> None:
        message = StatusMessage(
            sequence=sequence, state=state[0], detail=state[1], at=self._clock()
        )
        self._report(transaction, key, message, durability)


def begin(message: CommandMessage, decider: Decider) -> tuple[Taken, str, State | None]:
    """The command as it leaves the queue, its phase from now on, and the state to report."""
    ending = decider.decide(message)
    taken = Taken(message=message, ending=ending)
    if ending is None:
        return taken, "running", None
    return taken, "done", (ending.state, {"reason": ending.reason})


def _last_position(transaction: Transaction) -> int:
    query = "SELECT ifnull(max(position), 0) FROM inbox"
    return transaction.database.execute(query).fetchone()[0]


def _sequence_of_running(transaction: Transaction, command_id: str) -> int | None:
    """How many states a running command has reported; None: it does not run."""
    row = transaction.database.execute(
        "SELECT sequence FROM inbox WHERE command_id = ? AND phase = 'running'", (command_id,)
    ).fetchone()
    return None if row is None else row[0]


def _interruption(*, begun: bool) -> dict[str, Any]:
    if begun:
        return {"reason": "the device stopped while the command was running; it was not run again"}
    reason = "the device stopped before the command began: nothing of it has happened"
    return {"reason": reason, "begun": False}


def _may_run_again(message: bytes, again: Callable[[str], bool]) -> bool:
    try:
        return again(CommandMessage.decode(message).name)
    except WireError:  # fail closed: another version of the SDK stored it
        return False
