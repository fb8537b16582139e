"""A few questions at once, and no more: a list asks many, and others wait in the same line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")
# Of the 32 that one tenant may ask of one dependency (ADR 0024): three lists leave room for others.
_AT_ONCE: Final = 8


async def each(ask: Callable[[T], Awaitable[R]], of: Sequence[T]) -> list[R]:
    """The answers in the order of the questions; the first that fails ends them all."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def in_place(one: T) -> R:
        async with places:
            return await ask(one)

    tasks = [asyncio.ensure_future(in_place(one)) for one in of]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
