"""Runs blocking calls beside the event loop, bounded in number, waiting and time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog

from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import AwsSettings

P = ParamSpec("P")
T = TypeVar("T")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class AwsCalls:
    """A bounded pool for blocking calls.

    The deadline is how long a caller waits; the thread itself is bounded by the call's own limits.
    What AWS is asked goes through the door; here the user pools' signing keys are fetched.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._pool = ThreadPoolExecutor(max_workers=settings.threads, thread_name_prefix="aws")
        self._limit = settings.threads + settings.max_waiting
        self._deadline_seconds = settings.deadline_seconds
        self._open = 0
        self._lock = threading.Lock()

    async def run(self, what: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of ``call``; ``what`` names the part in errors and log.

        Raises:
            UnavailableError: no answer in time, or too many calls waiting.
        """
        with self._lock:
            # Fail closed: shed load instead of queueing without end.
            if self._open >= self._limit:
                log.warning("aws.overloaded", what=what, open=self._open)
                raise UnavailableError(what, is_lost=False)
            self._open += 1
        future = self._pool.submit(partial(call, *args, **kwargs))
        # Of the thread's own future: after a deadline the thread may still run.
        future.add_done_callback(self._closed)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._deadline_seconds)
        except TimeoutError as error:
            log.warning("aws.no_answer", what=what, error="deadline")
            raise UnavailableError(what) from error
        except OSError as error:
            log.warning("aws.no_answer", what=what, error=type(error).__name__)
            raise UnavailableError(what) from error

    def close(self) -> None:
        """Accept no more calls; those that run end by their own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _closed(self, _: Future[Any]) -> None:
        with self._lock:
            self._open -= 1
