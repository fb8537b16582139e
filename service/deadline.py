"""The time that one request has, from its arrival: every wait of it ends with that.

A call of AWS has limits of its own. A request makes several, one after the other, so what it may
take in all is said once, here, and heeded by the door to AWS and by whoever waits for what others
asked.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from service.errors import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Generator

V = TypeVar("V")
_ends_at: contextvars.ContextVar[float] = contextvars.ContextVar("ends_at", default=math.inf)


def begin(seconds: float) -> None:
    """Give the request of this context so much time from now on."""
    _ends_at.set(asyncio.get_running_loop().time() + seconds)


def remaining() -> float:
    """Seconds that are left, below zero after the end; without a request no end is near."""
    ends_at = _ends_at.get()
    return ends_at if ends_at == math.inf else ends_at - asyncio.get_running_loop().time()


@contextmanager
def at_least(seconds: float) -> Generator[None]:
    """Give what is done inside so much time, also after the end: to write down how far it came."""
    before = _ends_at.set(max(_ends_at.get(), asyncio.get_running_loop().time() + seconds))
    try:
        yield
    finally:
        _ends_at.reset(before)


@asynccontextmanager
async def within(what: str) -> AsyncGenerator[None]:
    """Wait inside no longer than the request has time; ``what`` names whom it waits for.

    Raises:
        OutOfTimeError: its time is over.
    """
    left = remaining()
    if left == math.inf:
        yield
        return
    limit = asyncio.timeout(max(0.0, left))
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise OutOfTimeError(what) from None


def shared(work: Coroutine[Any, Any, V]) -> asyncio.Task[V]:
    """A task for whoever waits for it, so that the time of who began it does not end it."""
    context = contextvars.copy_context()
    context.run(_ends_at.set, math.inf)
    return asyncio.get_running_loop().create_task(work, context=context)
