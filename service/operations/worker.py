"""The background worker: takes messages from the queue and does what each one is about."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from service.domain.work import UnreadableWorkError, Work
from service.errors import CedarfleetError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant
    from service.domain.work import ReceivedWork, WorkKind
    from service.ports.tenants import TenantRegistry
    from service.ports.work import WorkQueue

_FIRST_PAUSE: Final = 5  # seconds; doubled with each attempt
_LONGEST_PAUSE: Final = 900  # seconds
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Handler(Protocol):
    """Does what a message is about; twice is as good as once, and at any moment it may be over."""

    async def __call__(self, tenant: Tenant, work: Work) -> None:
        """Do it; any error has the message come again, and in the end to the dead letters."""
        ...


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Handles messages until it is stopped.

    Attributes:
        handlers: what is done for each kind; a kind without one waits among the dead letters.
        pause: seconds until a queue that does not answer is asked again, doubled each time.
    """

    queue: WorkQueue
    tenants: TenantRegistry
    handlers: Mapping[WorkKind, Handler]
    pause: float = _FIRST_PAUSE

    async def run(self, stop: asyncio.Event) -> None:
        """Take and handle messages until ``stop`` is set; what was begun then is ended."""
        stopped = asyncio.ensure_future(stop.wait())
        pause = self.pause
        try:
            while not stop.is_set():
                receiving = asyncio.ensure_future(self.queue.receive())
                await asyncio.wait({receiving, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    # What it is given meanwhile comes again, to another task.
                    receiving.cancel()
                    return
                try:
                    await asyncio.gather(*map(self.handle, receiving.result()))
                    pause = self.pause
                except UpstreamError:
                    log.warning("work.queue_away", again_seconds=pause)
                    await asyncio.wait({stopped}, timeout=pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            stopped.cancel()

    async def handle(self, received: ReceivedWork) -> None:
        """Do what one message is about, and take it off the queue only then.

        Raises:
            UpstreamError: the queue itself does not answer.
        """
        try:
            work = Work.decode(received.text)
        except UnreadableWorkError as error:
            log.error("work.unreadable", problem=str(error))  # noqa: TRY400 - a word is enough
            await self._again(received)
            return
        known = {"kind": work.kind, "tenant": work.tenant, **work.about}
        try:
            tenant = await (
                self.tenants.find(work.issuer) if work.issuer else self.tenants.named(work.tenant)
            )
            handler = self.handlers.get(work.kind)
            # Fail closed: a message says which tenant it is for, and the registry whether it is.
            if tenant is None or tenant.id != work.tenant or handler is None:
                log.error("work.unknown", **known)
                await self._again(received)
                return
            await handler(tenant, work)
        except CedarfleetError as error:
            log.warning("work.failed", attempt=received.attempt, problem=str(error), **known)
            await self._again(received)
            return
        except Exception:
            # A fault of ours in one message must not keep the others from being handled.
            log.exception("work.broken", attempt=received.attempt, **known)
            await self._again(received)
            return
        log.info("work.done", attempt=received.attempt, **known)
        await self.queue.done(received)

    async def _again(self, received: ReceivedWork) -> None:
        seconds = min(_FIRST_PAUSE * 2 ** min(received.attempt - 1, 10), _LONGEST_PAUSE)
        await self.queue.postpone(received, seconds=seconds)
