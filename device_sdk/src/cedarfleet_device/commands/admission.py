"""Admits each command once, and has it begun at once where a thread is free to run it.

The change that stores a command also decides whether it begins: nothing may come between. Where a
thread is free and no other command waits, it is claimed inside that change and gets the command
once the change is durable enough (``inbox.durability_for``); else the command waits, and says
RECEIVED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from cedarfleet_device.commands.inbox import Decider, begin, durability_for
from cedarfleet_device.wire import CancelMessage, CommandMessage, CommandState

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from cedarfleet_device.commands.inbox import Inbox, Taken
    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Transaction

# A note in the store: every command that expired until then may have been forgotten.
_FORGOTTEN: Final = "forgotten until"
_MOST_OF_A_REFUSED_BYTES: Final = 1024


class Runner(Decider, Protocol):
    """What runs commands, so that one which arrives while a thread is free is begun at once."""

    def claim(self) -> bool:
        """Whether a thread is free; it then waits for ``give``."""
        ...

    def give(self, taken: Taken | None) -> None:
        """What the claim was for; None: nothing came of it."""
        ...

    def wake(self) -> None:
        """A command waits."""
        ...


class Admission:
    """Takes in what the broker sends.

    Args:
        store: makes the changes.
        inbox: where commands are kept.
        runner: told what has arrived; None: it waits until it is taken.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, store: Store, inbox: Inbox, *, runner: Runner | None, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._runner = runner
        self._clock = clock
        self._forgotten = int(store.note(_FORGOTTEN) or 0)

    def receive(self, message: CommandMessage) -> Future[bool]:
        """Take a command once; the result, when that is durable: whether it was new.

        A command that may have been forgotten (``forget``) is known to be expired and ends so,
        without a run.
        """
        content = message.encode()  # before a handler has it, who may change its arguments
        claimed: list[Runner] = []
        stored = self._store.submit(
            lambda transaction: self._store_once(transaction, message, content, claimed)
        )

        def settled(done: Future[bool]) -> None:
            if done.exception() is not None:
                for runner in claimed:
                    runner.give(None)

        stored.add_done_callback(settled)
        return stored

    def _store_once(
        self,
        transaction: Transaction,
        message: CommandMessage,
        content: bytes,
        claimed: list[Runner],
    ) -> bool:
        """Store a new command, and begin it where the runner is free; then it is in ``claimed``."""
        key, until, runner = message.command_id, message.expires_at, self._runner
        if self._inbox.knows(transaction, key):
            return False
        if until <= self._forgotten:  # fail closed: it may have run before
            state = CommandState.EXPIRED, {"reason": "long expired"}
            self._inbox.add(transaction, key, content, until, phase="done", state=state)
            return True
        # The claim comes last, since it must be answered; before it, nothing older may wait.
        if runner is None or self._inbox.has_waiting(transaction) or not runner.claim():
            state = CommandState.RECEIVED, {}
            self._inbox.add(transaction, key, content, until, phase="waiting", state=state)
            if runner is not None:
                transaction.written.append(runner.wake)
            return True
        claimed.append(runner)
        taken, phase, state = begin(message, runner)
        self._inbox.add(transaction, key, content, until, phase=phase, state=state)
        repeats = taken.ending is None and runner.may_repeat(message.name)
        transaction.at(durability_for(may_repeat=repeats), lambda: runner.give(taken))
        return True

    def reject(self, command_id: str, payload: bytes, reason: str) -> Future[bool]:
        """Record and report a message that is not to be run; False: its id is known already."""

        def change(transaction: Transaction) -> bool:
            if self._inbox.knows(transaction, command_id):
                return False
            state = CommandState.REJECTED, {"reason": reason}
            excerpt = payload[:_MOST_OF_A_REFUSED_BYTES]
            self._inbox.add(
                transaction, command_id, excerpt, self._clock(), phase="done", state=state
            )
            return True

        return self._store.submit(change)

    def cancel(self, message: CancelMessage) -> Future[bool]:
        """Have a command that has not begun never begin; False: it has begun, or is over.

        One that has not come yet is known from now on, and ends as it comes.
        """
        key, content = message.command_id, message.encode()

        def change(transaction: Transaction) -> bool:
            if self._inbox.knows(transaction, key):
                return self._inbox.cancel(transaction, key)
            until = message.expires_at
            if until <= self._forgotten:  # fail closed: it may have run before
                return False
            state = CommandState.CANCELED, {"reason": "canceled before it came"}
            self._inbox.add(transaction, key, content, until, phase="done", state=state)
            return True

        return self._store.submit(change)

    def forget(self, *, expired_before: int) -> int:
        """Forget finished and reported commands that expired before this instant (ms); how many.

        The latest expiry among them is kept: an unknown command that old is refused for ever after.
        """

        def change(transaction: Transaction) -> int:
            count, latest = self._inbox.delete_finished(transaction, expired_before=expired_before)
            if latest is not None:
                self._forgotten = max(latest, self._forgotten)
                transaction.database.execute(
                    "INSERT OR REPLACE INTO notes VALUES (?, ?)", (_FORGOTTEN, str(self._forgotten))
                )
            return count

        return self._store.do(change)
