"""Twins of the work queue and of the timers that send to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.work import ReceivedWork
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from service.domain.work import Work


@dataclass(kw_only=True)
class MemoryWorkQueue:
    """Messages by receipt; ``available = False`` makes it fail.

    What is sent for later is ``delayed``, and waits until somebody hands it on.
    What was given out is neither waiting nor gone until it is done, or ``abandon`` is called: that
    is what happens to the messages of a task that died.
    """

    waiting: list[ReceivedWork] = field(default_factory=list[ReceivedWork])
    given_out: dict[str, ReceivedWork] = field(default_factory=dict[str, ReceivedWork])
    postponed: dict[str, int] = field(default_factory=dict[str, int])
    delayed: list[tuple[int, Work]] = field(default_factory=list[tuple[int, "Work"]])
    held: list[str] = field(default_factory=list[str])
    available: bool = True
    at_once: int = 10
    _sent: int = 0

    async def send(self, work: Sequence[Work], *, delay_seconds: int = 0) -> None:
        self._check()
        for one in work:
            self._sent += 1
            if delay_seconds:
                self.delayed.append((delay_seconds, one))
                continue
            self.waiting.append(ReceivedWork(receipt=str(self._sent), text=one.encode(), attempt=1))

    async def receive(self) -> Sequence[ReceivedWork]:
        self._check()
        await asyncio.sleep(0)
        taken, self.waiting = self.waiting[: self.at_once], self.waiting[self.at_once :]
        self.given_out |= {one.receipt: one for one in taken}
        return taken

    async def done(self, received: ReceivedWork) -> None:
        self._check()
        self.given_out.pop(received.receipt, None)

    async def hold(self, received: ReceivedWork) -> None:
        self._check()
        self.held.append(received.receipt)

    async def postpone(self, received: ReceivedWork, *, seconds: int) -> None:
        self._check()
        self.postponed[received.receipt] = seconds
        self._again(received.receipt)

    def abandon(self) -> None:
        """Give out again what was given out: whoever had it is no more."""
        for receipt in list(self.given_out):
            self._again(receipt)

    def _again(self, receipt: str) -> None:
        one = self.given_out.pop(receipt)
        self.waiting.append(
            ReceivedWork(receipt=one.receipt, text=one.text, attempt=one.attempt + 1)
        )

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the work queue")


@dataclass(kw_only=True)
class MemoryTimers:
    """What is sent when, by name; nothing fires by itself."""

    set_for: dict[str, tuple[datetime, Work]] = field(
        default_factory=dict[str, "tuple[datetime, Work]"]
    )

    async def wake(self, name: str, at: datetime, work: Work) -> None:
        self.set_for[name] = (at, work)

    async def forget(self, name: str) -> None:
        self.set_for.pop(name, None)

    def due(self, now: datetime) -> list[Work]:
        """What is to be sent by now; it is forgotten."""
        due = [name for name, (at, _) in self.set_for.items() if at <= now]
        return [self.set_for.pop(name)[1] for name in due]
