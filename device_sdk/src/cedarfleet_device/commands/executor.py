"""Runs handlers, each in a thread of its own, so that none can stop, block or end the agent."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.commands.handlers import Command, Handlers
from cedarfleet_device.commands.inbox import Ending
from cedarfleet_device.commands.invocation import as_sent, call_handler
from cedarfleet_device.commands.time_limits import Run, TimeLimits
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.log import event, places
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import CommandMessage, CommandState

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.commands.begun import BegunMarks
    from cedarfleet_device.commands.handlers import Handler
    from cedarfleet_device.commands.inbox import Inbox, Taken
    from cedarfleet_device.commands.invocation import Outcome
    from cedarfleet_device.commands.outbox import Outbox

_PROGRESS_EVERY_SECONDS: Final = 1.0
_AFTERWARDS_WITHIN_SECONDS: Final = 30.0
_RETRY_STORE_SECONDS: Final = 1.0
_CLOCK_WITHIN_SECONDS: Final = 10.0


class Executor:
    """Takes commands from the inbox, oldest first, and runs their handlers.

    Args:
        inbox: the commands.
        outbox: tells when the cloud has a command's end.
        handlers: what runs them.
        clock: decides what has expired.
        parallel: how many run at once.
        await_clock: whether the cloud tells the time, so that the first commands wait for it (at
            most 10 s).
        finished: told each final state.
        begun: keeps which commands have begun that must not begin twice.
        failed: told of each failure of a thread that nobody foresaw.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        outbox: Outbox,
        handlers: Handlers,
        clock: Clock,
        parallel: int,
        await_clock: bool,
        finished: Callable[[CommandState], None],
        begun: BegunMarks | None = None,
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._handlers = handlers
        self._clock = clock
        self._await_clock = await_clock
        self._finished = finished
        self._begun = begun
        self._failed = failed
        self._lock = threading.Lock()
        self._given: queue.SimpleQueue[Taken | None] = queue.SimpleQueue()
        self._free = 0  # threads that wait for what is given and are not claimed
        self._signals = 0  # times that a command came to wait
        self._looked = -1  # of which so many were made before the inbox was found empty
        self._stopping = threading.Event()
        self._stuck: dict[str, list[threading.Thread]] = {}  # by command name, past their limit
        self._names = (f"cedarfleet-executor-{number}" for number in itertools.count())
        self._threads = [self._new_thread() for _ in range(parallel)]
        self._limits = TimeLimits(
            lasts=lambda run: inbox.progress(run.command.command_id, {}),
            late=self._replace,
            failed=failed,
        )

    def start(self) -> None:
        """Begin with what waits in the inbox."""
        self._limits.start()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """A command waits; from any thread."""
        with self._lock:
            self._signals += 1
            if self._free:
                self._free -= 1
                self._given.put(None)

    def claim(self) -> bool:
        """Whether a thread is free; it then waits for ``give``."""
        with self._lock:
            # Once stopping, a claim would never be answered: its command waits for the next start.
            if not self._free or self._stopping.is_set():
                return False
            self._free -= 1
            return True

    def give(self, taken: Taken | None) -> None:
        """What a claim was for; None: nothing came of it."""
        self._given.put(taken)

    def decide(self, message: CommandMessage) -> Ending | None:
        """Whether the command is to run now (None), or how it ends."""
        # Fail closed: at the very instant it counts as expired.
        if message.expires_at <= self._clock():
            return Ending(
                state=CommandState.EXPIRED,
                reason="its time had passed before the device could start it",
            )
        if self._handlers.get(message.name) is None:
            return Ending(
                state=CommandState.REJECTED,
                reason=f"this device has no handler for `{message.name}`",
            )
        if any(thread.is_alive() for thread in self._stuck.get(message.name, ())):
            return Ending(
                state=CommandState.REJECTED,
                reason=f"an earlier `{message.name}` has not ended since its limit",
            )
        return None

    def may_repeat(self, name: str) -> bool:
        """Whether the command's handler is idempotent."""
        handler = self._handlers.get(name)
        return handler is not None and handler.idempotent

    def stop(self, *, grace_seconds: float) -> None:
        """Take no more commands, tell running handlers, and wait for them.

        What goes on after that is found at the next start.
        """
        with self._lock:
            self._stopping.set()
            for _ in range(self._free):
                self._given.put(None)
            self._free = 0
            threads = list(self._threads)
        self._limits.stop()
        deadline = time.monotonic() + grace_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _loop(self) -> None:
        self._await_clock_told()
        while not self._stopping.is_set():
            try:
                taken = self._next()
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error)
                self._stopping.wait(_RETRY_STORE_SECONDS)
                continue
            if taken is None:
                continue
            if taken.ending is not None:
                self._finished(taken.ending.state)
                event(
                    "command.ended",
                    command_id=taken.message.command_id,
                    state=taken.ending.state.value,
                )
            elif not self._run_to_an_end(taken.message):
                return

    def _next(self) -> Taken | None:
        """What waits in the inbox, or what is given; None: look again.

        Raises:
            StoreError: the store was not written.
        """
        with self._lock:
            # A thread may sleep only if no command came to wait since the inbox was found empty.
            seen = self._signals
            empty = self._looked == seen
            if empty:
                if self._stopping.is_set():
                    return None
                self._free += 1
        if empty:
            return self._given.get()
        taken = self._inbox.take(self)
        if taken is None:
            with self._lock:
                self._looked = max(self._looked, seen)
        return taken

    def _await_clock_told(self) -> None:
        """A command that waited while the device was off must meet the right time."""
        deadline = time.monotonic() + (_CLOCK_WITHIN_SECONDS if self._await_clock else 0)
        while not self._stopping.is_set() and not self._clock.wait_told(
            0.1 if self._await_clock else 0
        ):
            if time.monotonic() >= deadline:
                event("clock.untold", level=logging.WARNING if self._await_clock else logging.DEBUG)
                return

    def _run_to_an_end(self, message: CommandMessage) -> bool:
        """Run one command; a fault of ours on the way ends it in words.

        False when its limit passed, and another thread is in this one's place.
        """
        run: Run | None = None
        try:
            run = self._new_run(message, self._handler(message.name))
            return self._run(message, run)
        except BaseException as error:
            if run is not None and not self._limits.drop(run):
                return False
            self._keep_end(
                message.command_id,
                CommandState.FAILED,
                {"reason": f"{type(error).__name__} in the device's agent: {str(error)[:200]}"},
            )
            raise

    def _handler(self, name: str) -> Handler:
        handler = self._handlers.get(name)
        if handler is None:  # `decide` has refused it
            raise AssertionError(name)
        return handler

    def _run(self, message: CommandMessage, run: Run) -> bool:
        handler = run.handler
        # What was decided when it left the queue may have waited for the disk since.
        if (ending := self.decide(message)) is not None:
            self._end(run, (ending.state, {"reason": ending.reason}, None))
            return True
        if self._begun is not None and not handler.idempotent:
            self._begun.mark(message.command_id)
        self._limits.begin(run)
        outcome = call_handler(handler, run.command)
        if not self._limits.end(run):
            return False
        self._end(run, outcome)
        return True

    def _replace(self, run: Run) -> None:
        """Put a new thread, which reports it, in place of one whose handler went past its limit."""
        run.command.stopped.set()
        with self._lock:
            fresh = self._new_thread(run)
            fresh.start()
            others = [each for each in self._stuck.get(run.command.name, ()) if each.is_alive()]
            self._stuck[run.command.name] = [*others, run.thread]
            threads = [each.thread for each in self._threads]
            self._threads[threads.index(run.thread)] = fresh

    def _new_thread(self, late: Run | None = None) -> GuardedThread:
        first = [] if late is None else [late]

        def work() -> None:
            while first:  # told once, also where the loop begins again
                over = first.pop()
                limit = over.handler.time_limit_seconds
                reason = f"the handler did not end within its limit of {limit:g} s"
                self._end(over, (CommandState.FAILED, {"reason": reason}, None))
            self._loop()

        return GuardedThread(work, name=next(self._names), failed=self._failed)

    def _end(self, run: Run, outcome: Outcome) -> None:
        command, (state, detail, result) = run.command, outcome
        kept = self._keep_end(command.command_id, state, detail, idempotent=run.handler.idempotent)
        if kept is None:
            return
        if self._begun is not None:
            self._begun.ended(command.command_id)
        if not kept:  # fail closed: it has ended already, and nothing of it happens twice
            return
        self._finished(state)
        taken_ms = round((time.monotonic() - run.began) * 1000)
        event(
            "command.ended",
            command_id=command.command_id,
            name=command.name,
            state=state.value,
            ms=taken_ms,
        )
        if result is not None and result.afterwards is not None:
            self._afterwards(command.command_id, result.afterwards)

    def _keep_end(
        self,
        command_id: str,
        state: CommandState,
        detail: dict[str, Any],
        *,
        idempotent: bool = False,
    ) -> bool | None:
        """Whether this is the command's end; None: the agent stops, and it is found at the start.

        The disk may be full for a while: the outcome must not be lost as long as we live.
        """
        while True:
            try:
                return self._inbox.finish(command_id, state, detail, may_repeat=idempotent)
            except BaseException as error:  # noqa: BLE001 - as for a full disk: it is tried again
                event("store.failed", level=logging.ERROR, error=error, command_id=command_id)
                if self._stopping.wait(_RETRY_STORE_SECONDS):
                    return None

    def _afterwards(self, command_id: str, function: Callable[[], object]) -> None:
        """Call what is to happen after the command's end.

        Never before that is durable, or a reboot would be repeated: whoever asks the outbox waits
        for the disk.
        """
        deadline = time.monotonic() + _AFTERWARDS_WITHIN_SECONDS
        while True:
            try:
                told = self._outbox.reported(command_id)
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error, command_id=command_id)
                if self._stopping.wait(_RETRY_STORE_SECONDS):
                    return
                continue
            if told or time.monotonic() >= deadline or self._stopping.wait(0.05):
                break
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - no handler ends the agent
            event(
                "command.afterwards_failed",
                level=logging.ERROR,
                error=error,
                at=places(error),
                command_id=command_id,
            )

    def _new_run(self, message: CommandMessage, handler: Handler) -> Run:
        last = -_PROGRESS_EVERY_SECONDS
        process = os.getpid()

        def report(detail: dict[str, Any]) -> None:
            nonlocal last
            # In a forked child a lock that was held then is held for ever.
            if os.getpid() != process:
                return
            if (
                time.monotonic() - last >= _PROGRESS_EVERY_SECONDS
                and (fitting := as_sent(detail)) is not None
            ):
                last = time.monotonic()
                run.told = True
                self._inbox.progress(message.command_id, fitting)

        command = Command(
            command_id=message.command_id,
            name=message.name,
            arguments=message.arguments,
            issued_at=message.issued_at,
            expires_at=message.expires_at,
            report=report,
        )
        # `report` sees it too, once the handler runs.
        run = Run(command=command, handler=handler)
        return run
