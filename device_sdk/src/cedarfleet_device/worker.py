"""Runs handlers, each in a thread of its own, so that none can stop, block or end the agent."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.commands import Command, Handlers
from cedarfleet_device.lane import Lane, call_handler, fits
from cedarfleet_device.log import event
from cedarfleet_device.running import Ending
from cedarfleet_device.store import StoreError
from cedarfleet_device.wire import CommandMessage, CommandState

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.inbox import Inbox
    from cedarfleet_device.running import Taken

_PROGRESS_EVERY_SECONDS: Final = 1.0
_AFTERWARDS_WITHIN_SECONDS: Final = 30.0
_RETRY_STORE_SECONDS: Final = 1.0
_CLOCK_WITHIN_SECONDS: Final = 10.0


class Worker:
    """Takes commands from the inbox, oldest first, and runs their handlers.

    Args:
        inbox: the commands.
        handlers: what runs them.
        clock: decides what has expired.
        parallel: how many run at once.
        await_clock: whether the cloud tells the time, so that the first commands wait for it (at most 10 s).
        finished: told each final state.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        handlers: Handlers,
        clock: Clock,
        parallel: int,
        await_clock: bool,
        finished: Callable[[CommandState], None],
    ) -> None:
        self._inbox = inbox
        self._handlers = handlers
        self._clock = clock
        self._await_clock = await_clock
        self._finished = finished
        self._wake = threading.Condition()
        self._signals = 0
        self._free = 0  # threads that wait and are not claimed
        self._given: deque[Taken | None] = deque()  # one for each that is claimed
        self._stopping = threading.Event()
        self._running: dict[str, Command] = {}
        self._stuck: dict[str, threading.Thread] = {}
        self._threads = [
            threading.Thread(target=self._loop, name=f"cedarfleet-worker-{number}", daemon=True)
            for number in range(parallel)
        ]

    def start(self) -> None:
        """Begin with what waits in the inbox."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look into the inbox again; from any thread."""
        with self._wake:
            self._signals += 1
            self._wake.notify_all()

    def claim(self) -> bool:
        """Whether a thread is free; it then waits for ``give``."""
        with self._wake:
            if not self._free or self._stopping.is_set():
                return False
            self._free -= 1
            return True

    def give(self, taken: Taken | None) -> None:
        """What a claim was for; None: nothing came of it."""
        with self._wake:
            self._given.append(taken)
            self._wake.notify_all()

    def stop(self, *, grace_seconds: float) -> None:
        """Take no more commands, tell running handlers, wait for them; what goes on is found at the next start."""
        self._stopping.set()
        for command in list(self._running.values()):
            command.stopped.set()
        self.wake()
        deadline = time.monotonic() + grace_seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _loop(self) -> None:
        self._meet_the_clock()
        lane = Lane()
        while not self._stopping.is_set():
            seen = self._signals
            try:
                taken = self._inbox.take(self.decide) or self._await(seen)
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error)
                self._stopping.wait(_RETRY_STORE_SECONDS)
                continue
            if taken is None:
                continue
            if taken.ending is not None:
                self._finished(taken.ending.state)
                event("command.ended", command_id=taken.message.command_id, state=taken.ending.state.value)
            else:
                lane = self._run(taken.message, lane)
        lane.end()

    def _await(self, seen: int) -> Taken | None:
        """What is given, or None on a signal; a thread that is claimed waits for what it is claimed for."""
        with self._wake:
            self._free += 1
            self._wake.wait_for(
                lambda: self._given or (self._free and (self._signals != seen or self._stopping.is_set()))
            )
            if self._given:
                return self._given.popleft()
            self._free -= 1
            return None

    def _meet_the_clock(self) -> None:
        """A command that waited while the device was off must meet the right time."""
        deadline = time.monotonic() + (_CLOCK_WITHIN_SECONDS if self._await_clock else 0)
        while not self._stopping.is_set() and not self._clock.wait_told(0.1 if self._await_clock else 0):
            if time.monotonic() >= deadline:
                event("clock.untold", level=logging.WARNING if self._await_clock else logging.DEBUG)
                return

    def decide(self, message: CommandMessage) -> Ending | None:
        """Whether the command is to run now (None), or how it ends."""
        if message.expires_at <= self._clock():  # fail closed: at the very instant it counts as expired
            return Ending(state=CommandState.EXPIRED, reason="its time had passed before the device could start it")
        if self._handlers.get(message.name) is None:
            return Ending(state=CommandState.REJECTED, reason=f"this device has no handler for `{message.name}`")
        stuck = self._stuck.get(message.name)
        if stuck is not None and stuck.is_alive():
            return Ending(
                state=CommandState.REJECTED, reason=f"an earlier `{message.name}` has not ended since its limit"
            )
        return None

    def _run(self, message: CommandMessage, lane: Lane) -> Lane:
        """Run one command; the lane for the next one, a new one if this one's is stuck."""
        handler = self._handlers.get(message.name)
        if handler is None:  # `decide` has refused it
            raise AssertionError(message.name)
        command = self._command(message)
        self._running[message.command_id] = command
        if self._stopping.is_set():  # it was begun as the agent began to stop
            command.stopped.set()
        began = time.monotonic()
        outcome = lane.call(lambda: call_handler(handler, command), handler.time_limit_seconds)
        del self._running[message.command_id]
        if outcome is None:
            command.stopped.set()
            self._stuck[message.name] = lane.thread
            lane = Lane()
            reason = f"the handler did not end within its limit of {handler.time_limit_seconds:g} s"
            outcome = CommandState.FAILED, {"reason": reason}, None
        state, detail, result = outcome
        self._finish(message.command_id, state, detail)
        taken_ms = round((time.monotonic() - began) * 1000)
        event("command.ended", command_id=message.command_id, name=message.name, state=state.value, ms=taken_ms)
        if result is not None and result.afterwards is not None:
            self._afterwards(message.command_id, result.afterwards)
        return lane

    def _finish(self, command_id: str, state: CommandState, detail: dict[str, Any]) -> None:
        while True:  # the disk may be full for a while: the outcome must not be lost as long as we live
            try:
                if self._inbox.finish(command_id, state, detail):
                    self._finished(state)
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error, command_id=command_id)
                if self._stopping.wait(_RETRY_STORE_SECONDS):
                    return
            else:
                return

    def _afterwards(self, command_id: str, function: Callable[[], object]) -> None:
        deadline = time.monotonic() + _AFTERWARDS_WITHIN_SECONDS
        while time.monotonic() < deadline and not self._inbox.reported(command_id):
            self._stopping.wait(0.05)
        try:
            function()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a maker's code must not end the agent
            event("command.afterwards_failed", level=logging.ERROR, error=error, command_id=command_id)

    def _command(self, message: CommandMessage) -> Command:
        last = -_PROGRESS_EVERY_SECONDS

        def report(detail: dict[str, Any]) -> None:
            nonlocal last
            if time.monotonic() - last >= _PROGRESS_EVERY_SECONDS and fits(detail):
                last = time.monotonic()
                self._inbox.progress(message.command_id, detail)

        return Command(
            command_id=message.command_id,
            name=message.name,
            arguments=message.arguments,
            issued_at=message.issued_at,
            expires_at=message.expires_at,
            report=report,
        )
