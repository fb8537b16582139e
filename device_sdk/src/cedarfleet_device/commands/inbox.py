"""What happens to a command in the store: each step is one change of inbox and outbox together.

Phases: ``waiting`` -> ``running`` -> ``done``. A step that does not fit the phase changes nothing, so a step may be
repeated, and a late one does no harm. RECEIVED is reported of a command that has to wait; RUNNING when ``progress`` is
called, which is not for a command that is over in no time: its only state is the final one.

A command begins, and its states are published, once that is durable: what ran is known after the power was lost, too.
A command that *may be repeated* (its handler is idempotent) need not wait: it begins as it arrives, where nothing else
does, and its states are published once they are written. Whatever ends the process before it is durable, the broker,
which got no PUBACK, sends it again, and it runs again.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cedarfleet_device import wire
from cedarfleet_device.commands import rows as records
from cedarfleet_device.commands.admission import Arrivals
from cedarfleet_device.commands.rows import Outgoing, Records
from cedarfleet_device.commands.running import begin
from cedarfleet_device.wire import CommandMessage, CommandState, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cedarfleet_device.commands.running import Decider, Taken
    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Step

_T = TypeVar("_T")


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
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int],
        changed: Callable[[Sequence[Outgoing]], None],
    ) -> None:
        self._store = store
        self._records = Records(store.do(records.last_positions), clock=clock, changed=changed)
        self.arrivals: Final = Arrivals(store, self._records, clock=clock)

    def take(self, decider: Decider) -> Taken | None:
        """The oldest waiting command, begun, or ended at once where ``decider`` says how; None: none waits.

        Raises:
            StoreError: not kept.
        """

        def change(step: Step) -> tuple[Taken | None, bool]:
            oldest = (
                "SELECT command_id, message, sequence FROM inbox WHERE phase = 'waiting' AND phase != 'done'"
                " ORDER BY position LIMIT 1"
            )
            while (row := step.database.execute(oldest).fetchone()) is not None:
                try:
                    message = CommandMessage.decode(row[1])
                except WireError as error:
                    reason = f"another version of the SDK stored it: {error}"
                    self._records.move(
                        step, row[0], "done", row[2], (CommandState.REJECTED, {"reason": reason})
                    )
                    continue
                taken, phase, state = begin(message, decider)
                early = taken.ending is None and decider.may_repeat(message.name)
                self._records.move(step, row[0], phase, row[2], state)
                return taken, early
            return None, True

        return self._ask(change)

    def progress(self, command_id: str, detail: dict[str, Any]) -> Future[bool]:
        """Report how far a running command is; False when it no longer runs."""

        def change(step: Step) -> bool:
            sequence = records.sequence_of_running(step, command_id)
            if (
                sequence is None or sequence >= wire.MAX_SEQUENCE - 1
            ):  # the last number is the final state's
                return False
            self._records.move(
                step, command_id, "running", sequence, (CommandState.RUNNING, detail)
            )
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

        def change(step: Step) -> tuple[bool, bool]:
            sequence = records.sequence_of_running(step, command_id)
            if sequence is None:
                return False, may_repeat
            self._records.move(
                step, command_id, "done", sequence, (state, detail), early=may_repeat
            )
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
                if _may_run_again(message, again):
                    self._records.move(step, command_id, "waiting", sequence)
                    repeated += 1
                else:
                    detail = {
                        "reason": "the device stopped while the command was running; it was not run again"
                    }
                    self._records.move(
                        step, command_id, "done", sequence, (CommandState.INTERRUPTED, detail)
                    )
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
            step.database.executemany(
                "DELETE FROM outbox WHERE position = ?", [(each,) for each in positions]
            )

        return self._store.submit(change)

    def reported(self, command_id: str) -> bool:
        """Whether the cloud has acknowledged every state of the command, all of which are durable by now."""
        query = "SELECT 1 FROM outbox WHERE command_id = ? LIMIT 1"
        return self._store.do(
            lambda step: step.database.execute(query, (command_id,)).fetchone() is None
        )

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
                self.arrivals.forget_until(step, row[1])
                step.database.execute(f"DELETE FROM inbox WHERE {old}", (expired_before,))  # noqa: S608 - a constant
            return row[0]

        return self._store.do(change)

    def counts(self) -> Counts:
        """How much waits, runs and is not yet reported; waits for no sync, so that it can be told of a failing disk."""

        def change(step: Step) -> tuple[Counts, bool]:
            phases = dict(
                step.database.execute(
                    "SELECT phase, count(*) FROM inbox WHERE phase != 'done' GROUP BY phase"
                )
            )
            unreported = step.database.execute("SELECT count(*) FROM outbox").fetchone()[0]
            counts = Counts(
                waiting=phases.get("waiting", 0),
                running=phases.get("running", 0),
                unreported=unreported,
            )
            return counts, True

        return self._ask(change)

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


def _may_run_again(message: bytes, again: Callable[[str], bool]) -> bool:
    try:
        return again(CommandMessage.decode(message).name)
    except WireError:  # fail closed: another version of the SDK stored it
        return False
