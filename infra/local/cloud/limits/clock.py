"""The rehearsal's own clock: real time, which tests advance instead of waiting."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Clock:
    """Seconds since the epoch, ahead of the machine's by what it was advanced.

    Args:
        real: tells the machine's time; a test that has no use for real time gives a fixed one.
    """

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._ahead = 0.0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._real() + self._ahead

    @property
    def ahead(self) -> float:
        """Seconds that it was advanced by."""
        return self._ahead

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Time passes only by `advance`, however slow the machine is."""
        real, at = self._real, self._real()
        self._real = lambda: at
        try:
            yield
        finally:
            self._real = real

    def advance(self, seconds: float) -> None:
        """Let time pass at once; whoever sleeps until then wakes up. From any thread."""
        self._ahead += seconds
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)

    async def sleep(self, seconds: float) -> None:
        """Return when so much time has passed on this clock."""
        until = self.now() + seconds
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.add(waiter)
        try:
            while (left := until - self.now()) > 0:
                waiter[1].clear()
                try:
                    await asyncio.wait_for(waiter[1].wait(), left)
                except TimeoutError:
                    continue
        finally:
            self._waiting.discard(waiter)
