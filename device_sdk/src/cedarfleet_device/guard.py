"""Threads of the agent that go on, whatever is raised in them: none ends unnoticed.

A thread that dies takes what it did out of service for good, while the process goes on and looks
well: commands that are never run, files that never come, states that are never told. So each of
them runs in a ``GuardedThread``: what nobody foresaw is logged with its place and counted, and
after a pause the loop begins again. One that fails again and again is named in status and shadow.
The watchdog of systemd is told all the same: a restart would cure no fault that comes each time,
and would break off what the other threads do.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from cedarfleet_device.backoff import Backoff
from cedarfleet_device.log import event, places

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 60.0
_FAILING_SECONDS: Final = 3 * _PAUSE_MAX_SECONDS  # after a failure, unless the loop has ended
_ALL: Final[weakref.WeakSet[GuardedThread]] = weakref.WeakSet()
_ALL_LOCK: Final = threading.Lock()


def tell_nobody() -> None:
    """For whoever does not count failures."""


def failing_threads(now: float | None = None) -> dict[str, str]:
    """What threads of this process met in the last minutes, by their names; empty: all is well.

    Args:
        now: of ``time.monotonic``.
    """
    now = time.monotonic() if now is None else now
    with _ALL_LOCK:
        failures = [(each.thread.name, each.last_failure) for each in _ALL]
    return {
        name: failure[1]
        for name, failure in sorted(failures, key=lambda each: each[0])
        if failure is not None and now - failure[0] < _FAILING_SECONDS
    }


class GuardedThread:
    """A daemon thread whose loop is begun again until it returns.

    Attributes:
        thread: where the loop runs.
        last_failure: when that was, by ``time.monotonic``, and the error in words; None: there was
            none, or the loop has ended since.

    Args:
        loop: what the thread does; it must be able to begin again after anything was raised in it.
        name: of the thread.
        failed: told after each failure.
        backoff: pauses between a failure and the next beginning.
    """

    def __init__(
        self,
        loop: Callable[[], object],
        *,
        name: str,
        failed: Callable[[], object] = tell_nobody,
        backoff: Backoff | None = None,
    ) -> None:
        self._loop = loop
        self._failed = failed
        self._backoff = backoff or Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        self._ending = threading.Event()
        self.last_failure: tuple[float, str] | None = None
        self.thread: Final = threading.Thread(target=self._run, name=name, daemon=True)
        with _ALL_LOCK:
            _ALL.add(self)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self.thread.is_alive()

    def join(self, seconds: float | None = None) -> None:
        """Wait for its end; a pause after a failure is cut short. Before ``start`` it is over."""
        self._ending.set()
        if self.thread.ident is not None:
            self.thread.join(seconds)

    def _run(self) -> None:
        while True:
            try:
                self._loop()
            except BaseException as error:  # noqa: BLE001 - the purpose of this class
                self.last_failure = time.monotonic(), f"{type(error).__name__}: {str(error)[:200]}"
                event(
                    "thread.failed",
                    level=logging.ERROR,
                    error=error,
                    thread=self.thread.name,
                    at=places(error),
                )
                with contextlib.suppress(Exception):  # who counts it must not end it
                    self._failed()
                # Asked to end, it had its chance to notice: it is not begun again.
                if not self._ending.wait(self._backoff.next_pause()):
                    continue
            self.last_failure = None
            return
