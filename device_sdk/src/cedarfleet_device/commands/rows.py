"""Rows of inbox and outbox, read and written inside one change of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from cedarfleet_device.wire import CommandState, StatusMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cedarfleet_device.store.transaction import Step

State: TypeAlias = tuple[CommandState, dict[str, Any]]
"""What is reported of a command: the state and its detail."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One state that waits for the cloud's PUBACK: ``message`` is an encoded ``wire.StatusMessage``."""

    position: int
    command_id: str
    message: bytes


class Records:
    """Writes rows; used on the store's writing thread alone.

    Args:
        last: positions of the last command and the last state. They are counted up here, since SQLite would begin again
            from one when the outbox was empty, and the publisher goes by them.
        clock: milliseconds since the epoch.
        changed: gets states that have come to stand in the outbox, in order.
    """

    def __init__(
        self,
        last: tuple[int, int],
        *,
        clock: Callable[[], int],
        changed: Callable[[Sequence[Outgoing]], None],
    ) -> None:
        self._arrivals, self._states = last
        self._clock = clock
        self._changed = changed

    def insert(
        self,
        step: Step,
        key: str,
        message: bytes,
        expires_at: int,
        *,
        phase: str,
        state: State | None,
    ) -> None:
        """Put a command into the inbox, with its first state, if there is one to report."""
        self._arrivals += 1
        step.database.execute(
            "INSERT INTO inbox (command_id, position, message, phase, sequence, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (key, self._arrivals, message, phase, 0 if state is None else 1, expires_at),
        )
        if state is not None:
            self._report(step, key, 1, state)

    def move(
        self,
        step: Step,
        key: str,
        phase: str,
        sequence: int,
        state: State | None = None,
        *,
        early: bool = False,
    ) -> None:
        """Put a command that has reported ``sequence`` states into ``phase``, with one more to report, if any."""
        sequence += 0 if state is None else 1
        step.database.execute(
            "UPDATE inbox SET phase = ?, sequence = ? WHERE command_id = ?", (phase, sequence, key)
        )
        if state is not None:
            self._report(step, key, sequence, state, early=early)

    def _report(
        self, step: Step, key: str, sequence: int, state: State, *, early: bool = False
    ) -> None:
        """Put the state with this number into the outbox."""
        self._states += 1
        message = StatusMessage(
            sequence=sequence, state=state[0], detail=state[1], at=self._clock()
        ).encode()
        step.database.execute("INSERT INTO outbox VALUES (?, ?, ?)", (self._states, key, message))
        told = [Outgoing(position=self._states, command_id=key, message=message)]
        (step.written if early else step.durable).append(lambda: self._changed(told))


def last_positions(step: Step) -> tuple[int, int]:
    """Of the newest command in the inbox, and of the newest state in the outbox."""
    row = step.database.execute(
        "SELECT (SELECT ifnull(max(position), 0) FROM inbox), (SELECT ifnull(max(position), 0) FROM outbox)"
    ).fetchone()
    return row[0], row[1]


def last_commands(step: Step, most: int) -> tuple[dict[str, int], int]:
    """Of the newest commands, the newest last, when each expires; and the latest time that any older one expires."""
    newest = "SELECT command_id, expires_at FROM inbox ORDER BY position DESC"
    rows = step.database.execute(f"{newest} LIMIT ?", (most,)).fetchall()
    rest = f"SELECT ifnull(max(expires_at), 0) FROM ({newest} LIMIT -1 OFFSET ?)"  # noqa: S608 - a constant
    older = step.database.execute(rest, (most,))
    return dict(reversed(rows)), older.fetchone()[0]


def knows(step: Step, command_id: str) -> bool:
    """Whether the command has been stored."""
    return (
        step.database.execute("SELECT 1 FROM inbox WHERE command_id = ?", (command_id,)).fetchone()
        is not None
    )


def one_waits(step: Step) -> bool:
    """Whether a command waits to be begun."""
    query = "SELECT 1 FROM inbox WHERE phase = 'waiting' AND phase != 'done' LIMIT 1"
    return step.database.execute(query).fetchone() is not None


def sequence_of_running(step: Step, command_id: str) -> int | None:
    """How many states a running command has reported; None: it does not run."""
    row = step.database.execute(
        "SELECT sequence FROM inbox WHERE command_id = ? AND phase = 'running'", (command_id,)
    ).fetchone()
    return None if row is None else row[0]
