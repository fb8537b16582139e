"""The background worker: takes messages from the queue and does what each one is about."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from service.domain.instants import milliseconds, now_in_utc
from service.domain.work import LAST_ATTEMPT, UnreadableWorkError, Work
from service.errors import CedarfleetError, UpstreamError
from service.ports.metrics import UNMEASURED, WORK, WORK_IN_HAND, WORK_SECONDS, WORK_WAITED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import ReceivedWork, WorkKind
    from service.ports.metrics import Metrics
    from service.ports.tenants import TenantRegistry
    from service.ports.work import WorkQueue

_FIRST_PAUSE: Final = 5  # seconds; doubled with each attempt
_LONGEST_PAUSE: Final = 900  # seconds
_NO_KIND: Final = "none"
_MOST_IN_HAND: Final = 32  # messages; nobody waits for the slowest of those that came with it
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class _Outcome(StrEnum):
    """What became of a message; the measure's words (`ports.metrics.WORK`)."""

    DONE = "done"
    FAILED = "failed"
    BROKEN = "broken"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    DEAD = "dead"


class Handler(Protocol):
    """Does what a message is about; twice is as good as once, and at any moment it may be over."""

    async def __call__(self, tenant: Tenant, work: Work) -> None:
        """Do it; any error has the message come again, and in the end to the dead letters."""
        ...


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Handles messages until it is stopped.

    Attributes:
        metrics: is told of each message.
        clock: by which the age of a message is told.
        handlers: what is done for each kind; a kind without one waits among the dead letters.
        pause: seconds until a queue that does not answer is asked again, doubled each time.
        patience: seconds that the next messages wait for those that are being handled.
        held_seconds: for which the queue gives a message to nobody else; as long as its handler
            runs it is held anew.
        grace: seconds that what was begun may take once the worker is told to stop.
    """

    queue: WorkQueue
    tenants: TenantRegistry
    handlers: Mapping[WorkKind, Handler]
    metrics: Metrics = UNMEASURED
    clock: Clock = now_in_utc
    pause: float = _FIRST_PAUSE
    patience: float = 2
    held_seconds: float = 60
    grace: float = 20

    async def run(self, stop: asyncio.Event) -> None:
        """Take and handle messages until ``stop`` is set; what was begun then is ended in time.

        What takes longer is given up, and comes again.
        """
        stopped = asyncio.ensure_future(stop.wait())
        in_hand: set[asyncio.Future[None]] = set()
        pause = self.pause
        try:
            while not stop.is_set():
                if len(in_hand) >= _MOST_IN_HAND:
                    await asyncio.wait({*in_hand, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    continue
                receiving = asyncio.ensure_future(self.queue.receive())
                await asyncio.wait({receiving, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    # What it is given meanwhile comes again, to another task.
                    receiving.cancel()
                    return
                try:
                    given = receiving.result()
                    pause = self.pause
                except UpstreamError:
                    log.warning("work.queue_away", again_seconds=pause)
                    await asyncio.wait({stopped}, timeout=pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                begun = [asyncio.ensure_future(self._handle(received)) for received in given]
                for handling in begun:
                    in_hand.add(handling)
                    handling.add_done_callback(in_hand.discard)
                self.metrics.gauge(WORK_IN_HAND, len(in_hand))
                if begun:
                    await asyncio.wait(begun, timeout=self.patience)
        finally:
            stopped.cancel()
            if in_hand:
                _, late = await asyncio.wait(in_hand, timeout=self.grace)
                for handling in late:
                    handling.cancel()

    async def _handle(self, received: ReceivedWork) -> None:
        try:
            await self.handle(received)
        except UpstreamError:
            # It is done or not, and comes again either way.
            log.warning("work.queue_away", again_seconds=self.held_seconds)

    async def handle(self, received: ReceivedWork) -> None:
        """Do what one message is about, and take it off the queue only then.

        Raises:
            UpstreamError: the queue itself does not answer.
        """
        began = self.clock()
        kind, outcome = await self._outcome(received)
        took = self.clock() - began
        if outcome is not _Outcome.DONE and received.attempt >= LAST_ATTEMPT:
            outcome = _Outcome.DEAD
            log.error("work.dead", kind=kind, attempt=received.attempt)
        self.metrics.count(WORK, kind, outcome)
        self.metrics.observe(WORK_SECONDS, max(0.0, took.total_seconds()), kind)
        if received.attempt == 1 and received.sent_at:
            waited = (milliseconds(began) - received.sent_at) / 1000
            self.metrics.observe(WORK_WAITED, max(0.0, waited), kind)
        if outcome is _Outcome.DONE:
            await self.queue.done(received)
        else:
            await self._again(received)

    async def _outcome(self, received: ReceivedWork) -> tuple[str, _Outcome]:
        """Do what one message is about; of which kind it is, and what became of it."""
        try:
            work = Work.decode(received.text)
        except UnreadableWorkError as error:
            log.error("work.unreadable", problem=str(error))  # noqa: TRY400 - a word is enough
            return _NO_KIND, _Outcome.UNREADABLE
        known = {"kind": work.kind, "tenant": work.tenant, **work.about}
        try:
            tenant = await (
                self.tenants.find(work.issuer) if work.issuer else self.tenants.named(work.tenant)
            )
            handler = self.handlers.get(work.kind)
            # Fail closed: a message says which tenant it is for, and the registry whether it is.
            if tenant is None or tenant.id != work.tenant or handler is None:
                log.error("work.unknown", **known)
                return work.kind, _Outcome.UNKNOWN
            async with self._held(received):
                await handler(tenant, work)
        except CedarfleetError as error:
            log.warning("work.failed", attempt=received.attempt, problem=str(error), **known)
            return work.kind, _Outcome.FAILED
        except Exception:
            # A fault of ours in one message must not keep the others from being handled.
            log.exception("work.broken", attempt=received.attempt, **known)
            return work.kind, _Outcome.BROKEN
        log.info("work.done", attempt=received.attempt, **known)
        return work.kind, _Outcome.DONE

    @asynccontextmanager
    async def _held(self, received: ReceivedWork) -> AsyncGenerator[None]:
        """Hold a message for as long as it takes; what cannot be held goes on all the same."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(self.held_seconds / 2)
                try:
                    await self.queue.hold(received)
                except UpstreamError:
                    log.warning("work.not_held")

        holding = asyncio.ensure_future(hold())
        try:
            yield
        finally:
            holding.cancel()

    async def _again(self, received: ReceivedWork) -> None:
        seconds = min(_FIRST_PAUSE * 2 ** min(received.attempt - 1, 10), _LONGEST_PAUSE)
        await self.queue.postpone(received, seconds=seconds)
