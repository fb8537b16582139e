"""Time limits of running handlers: says that one takes its time, and when its time is up."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.commands.handlers import Command, Handler

# A handler that is over by then reports its end alone: one message, not two.
_QUIET_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 1.0


@dataclass(kw_only=True, eq=False)
class Run:
    """A handler that is being run.

    Attributes:
        command: what it was given.
        handler: with its time limit.
        thread: where it runs.
        began: ``time.monotonic()``.
        until: when its limit passes.
        over: it ended, or its limit passed: whichever came first.
        told: RUNNING was reported.
        late: its limit passed first, and another thread ends it.
    """

    command: Command
    handler: Handler
    thread: threading.Thread = field(default_factory=threading.current_thread)
    began: float = field(default_factory=time.monotonic)
    until: float = field(init=False)
    over: bool = False
    told: bool = False
    late: bool = False

    def __post_init__(self) -> None:
        self.until = self.began + self.handler.time_limit_seconds

    @property
    def next_look(self) -> float:
        """When something is to be done about it."""
        return self.until if self.told else min(self.until, self.began + _QUIET_SECONDS)


class TimeLimits:
    """Watches what runs.

    Args:
        lasts: told once of each run that is not over in no time, unless it has ``told`` already;
            must not wait.
        late: told of each run whose limit has passed, which is over by that; must not wait. Where
            it raises, the run goes on, for another second.
        failed: told of each failure of the thread that nobody foresaw.
    """

    def __init__(
        self,
        *,
        lasts: Callable[[Run], object],
        late: Callable[[Run], None],
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._lasts = lasts
        self._late = late
        self._runs: set[Run] = set()
        self._changed = threading.Condition()
        self._looks_at = float("inf")
        self._stopping = False
        self._thread = GuardedThread(self._loop, name="cedarfleet-time-limits", failed=failed)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def begin(self, run: Run) -> None:
        """Watch ``run``, which begins."""
        with self._changed:
            self._runs.add(run)
            if self._stopping:  # it was begun as the agent began to stop
                run.command.stopped.set()
            if run.next_look < self._looks_at:
                self._changed.notify()

    def end(self, run: Run) -> bool:
        """``run`` has ended; False: its limit had passed before."""
        with self._changed:
            if run.over:
                return False
            run.over = True
            self._runs.discard(run)
            if self._stopping:
                self._changed.notify()
            return True

    def drop(self, run: Run) -> bool:
        """Watch ``run`` no longer, whether or not it was; False: another thread ends it."""
        with self._changed:
            run.over = True
            self._runs.discard(run)
            return not run.late

    def stop(self) -> None:
        """Tell what runs, and what begins, that it is to stop."""
        with self._changed:
            self._stopping = True
            for run in self._runs:
                run.command.stopped.set()
            self._changed.notify()

    def _loop(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = [run for run in self._runs if run.next_look <= now]
                for run in due:
                    run.over = run.late = run.until <= now
                    run.told = True
                self._runs.difference_update(run for run in due if run.over)
            # Without the lock: whoever is told may begin or end runs.
            for run in due:
                self._tell(run)
            with self._changed:
                if self._stopping and not self._runs:
                    return
                self._looks_at = min((run.next_look for run in self._runs), default=float("inf"))
                # A limit may be longer than a thread can wait: then the next change wakes it.
                pause = self._looks_at - time.monotonic()
                self._changed.wait(pause if pause < threading.TIMEOUT_MAX else None)

    def _tell(self, run: Run) -> None:
        try:
            (self._late if run.over else self._lasts)(run)
        except BaseException as error:  # noqa: BLE001 - e.g. no thread could be started; others go on
            event(
                "command.limit_not_enforced",
                level=logging.ERROR,
                error=error,
                command_id=run.command.command_id,
            )
            with self._changed:
                if run.over:
                    run.over = run.late = False
                    run.until = time.monotonic() + _AGAIN_SECONDS
                    self._runs.add(run)
