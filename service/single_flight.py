"""One question at a time for each key: whoever asks meanwhile shares its outcome, failures too."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from service import deadline
from service.bounded_cache import BoundedCache
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
_MAX_FAILURES: Final = 4096


class SingleFlight(Generic[K, V]):
    """Questions under way, and those that failed a moment ago; for one event loop.

    Callers who wait for a question that fails are told so together, instead of asking again one
    behind the other. For ``pause_seconds`` from the end of that failure, which may have taken
    long, the question is not put again: who asks is told of it at once.

    Args:
        pause_seconds: after a failure.
        clock: seconds, monotonic.
    """

    def __init__(
        self, *, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_seconds = pause_seconds
        self._flights: dict[K, asyncio.Task[V]] = {}
        self._failed: BoundedCache[K, UpstreamError] = BoundedCache(
            max_entries=_MAX_FAILURES, clock=clock
        )

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: K) -> bool:
        return key in self._flights

    def failure(self, key: K) -> UpstreamError | None:
        """The failure of a moment ago, while it is not asked again."""
        return self._failed.get(key)

    async def ask(self, key: K, question: Callable[[], Coroutine[object, object, V]]) -> V:
        """The answer to ``question``, put by this caller or by one before.

        Raises:
            UpstreamError: it failed, now or a moment ago.
        """
        # One caller that leaves must not cancel what the others wait for.
        return await asyncio.shield(self.begin(key, question))

    def begin(
        self, key: K, question: Callable[[], Coroutine[object, object, V]]
    ) -> asyncio.Task[V]:
        """Put the question without waiting; the task is shared and not to be cancelled.

        Raises:
            UpstreamError: it failed a moment ago.
        """
        if (task := self._flights.get(key)) is not None:
            return task
        if (failure := self._failed.get(key)) is not None:
            raise failure.with_traceback(None)
        task = self._flights[key] = deadline.shared(self._fly(key, question))
        task.add_done_callback(_seen)
        return task

    async def _fly(self, key: K, question: Callable[[], Coroutine[object, object, V]]) -> V:
        try:
            return await question()
        except UpstreamError as error:
            self._failed.put(key, error, seconds=self._pause_seconds)
            raise
        finally:
            del self._flights[key]


def _seen(task: asyncio.Task[V]) -> None:
    """Of a question that nobody waits for any more, the failure is none of the loop's."""
    if not task.cancelled():
        task.exception()
