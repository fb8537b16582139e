"""Commands as they arrive: each is stored once, and begun at once where somebody is free to run it.

A command begins, and its states are published, once that is durable: what ran is known after the power was lost, too.
A command that *may be repeated* (its handler is idempotent) need not wait: it begins as it arrives, where nothing else
does, and its states are published once they are written. Whatever ends the process before it is durable, the broker,
which got no PUBACK, sends it again, and it runs again. So it does where the disk is full: but then only once the store
has kept it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from cedarfleet_device.commands import rows as records
from cedarfleet_device.commands.running import Taken, begin
from cedarfleet_device.wire import CommandMessage, CommandState

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from cedarfleet_device.commands.rows import Records
    from cedarfleet_device.commands.running import Runner
    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Step

_RECENT: Final = 1024  # known without a look into the store; a broker sends fewer without PUBACK (AWS IoT Core: 100)
_FORGOTTEN: Final = (
    "forgotten until"  # note: every command that expired until then may have been forgotten
)


class Arrivals:
    """Takes in what the broker sends.

    Args:
        store: where it is kept.
        records_: how.
        clock: milliseconds since the epoch.

    Attributes:
        runner: told what has arrived; None: it waits until it is taken.
    """

    def __init__(self, store: Store, records_: Records, *, clock: Callable[[], int]) -> None:
        self._store = store
        self._records = records_
        self._clock = clock
        self.runner: Runner | None = None
        self._recent, self._unsure = store.do(
            lambda step: records.last_commands(step, _RECENT)
        )  # see `_remember`
        self._forgotten = int(store.note(_FORGOTTEN) or 0)
        self._coming = (
            0  # commands that are being stored and may have to begin before any that comes now
        )
        self._keeps = True  # the store has kept what came last
        self._lock = threading.Lock()

    def receive(self, message: CommandMessage) -> Future[bool]:
        """Take a command once; the result, when that is durable, is False when it was known already.

        A command that may have been forgotten (``forget``) is known to be expired and ends so, without a run.
        """
        content = message.encode()  # before a handler has it, who may change its arguments
        ahead = self._claim_ahead(message)
        claimed: list[Runner] = []

        def settled(done: Future[bool]) -> None:
            failed = done.exception() is not None
            with self._lock:
                self._coming -= 0 if ahead is not None else 1
                self._keeps = not failed
            if claimed and failed:
                claimed[0].give(None)

        stored = self._store.submit(
            lambda step: self._store_first(
                step, message, content, claimed, begun=ahead is not None
            ),
            lazy=ahead is not None,
        )
        stored.add_done_callback(settled)
        if ahead is not None:  # after the change is queued: the command's end must come after it
            ahead.give(Taken(message=message, ending=None))
        return stored

    def _claim_ahead(self, message: CommandMessage) -> Runner | None:
        """A runner for a command that may begin before it is stored: it may be repeated, and nothing comes before."""
        runner = self.runner
        with self._lock:
            new = self._remember(message.command_id, message.expires_at)
            if (
                runner is not None
                and new
                and self._keeps
                and not self._coming
                and message.expires_at > self._forgotten
                and runner.may_repeat(message.name)
                and runner.decide(message) is None
                and runner.claim()
            ):
                return runner
            self._coming += 1
            return None

    def _remember(self, command_id: str, expires_at: int) -> bool:
        """Whether the command is certainly new; from now on it is not, whatever becomes of it.

        Where one that may come again leaves the memory, whatever expires no later than it is not certainly new.
        """
        new = command_id not in self._recent and expires_at > self._unsure
        self._recent.setdefault(command_id, expires_at)
        if len(self._recent) > _RECENT:
            self._unsure = max(self._unsure, self._recent.pop(next(iter(self._recent))))
        return new

    def _store_first(
        self,
        step: Step,
        message: CommandMessage,
        content: bytes,
        claimed: list[Runner],
        *,
        begun: bool,
    ) -> bool:
        """Store a command that has arrived, and begin it, where a runner is free; he is put into ``claimed``."""
        key, until = message.command_id, message.expires_at
        if records.knows(step, key):
            return False
        if begun:
            self._records.insert(step, key, content, until, phase="running", state=None)
            return True
        if until <= self._forgotten:  # fail closed: it may have run before
            state = CommandState.EXPIRED, {"reason": "long expired"}
            self._records.insert(step, key, content, until, phase="done", state=state)
            return True
        runner = self.runner
        if runner is None or records.one_waits(step) or not runner.claim():
            self._records.insert(
                step, key, content, until, phase="waiting", state=(CommandState.RECEIVED, {})
            )
            if runner is not None:
                step.written.append(runner.wake)
            return True
        claimed.append(runner)
        taken, phase, state = begin(message, runner)
        early = taken.ending is None and runner.may_repeat(message.name)
        self._records.insert(step, key, content, until, phase=phase, state=state)
        (step.written if early else step.durable).append(lambda: runner.give(taken))
        return True

    def reject(self, command_id: str, payload: bytes, reason: str) -> Future[bool]:
        """Record and report a message that is not to be run; the result is False when its id is known already."""
        with self._lock:
            self._remember(command_id, self._clock())

        def change(step: Step) -> bool:
            if records.knows(step, command_id):
                return False
            state = CommandState.REJECTED, {"reason": reason}
            self._records.insert(
                step, command_id, payload[:1024], self._clock(), phase="done", state=state
            )
            return True

        return self._store.submit(change)

    def forget_until(self, step: Step, expired_until: int) -> None:
        """From now on whatever expired until this instant (ms) is refused, since it may have been forgotten."""
        self._forgotten = max(expired_until, self._forgotten)
        step.database.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?)", (_FORGOTTEN, str(self._forgotten))
        )
