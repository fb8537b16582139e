"""Threads of the agent that go on, whatever is raised in them: none ends unnoticed.

A thread that dies takes what it did out of service for good, while the process goes on and looks
well: commands that are never run, files that never come, states that are never told. So each of
them runs in a ``GuardedThread``: what nobody foresaw is logged with its place and counted, and
after a pause the loop begins again.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from cedarfleet_device.backoff import Backoff
from cedarfleet_device.log import event, places

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 60.0


def tell_nobody() -> None:
    """For whoever does not count failures."""


class GuardedThread:
    """A daemon thread whose loop is begun again until it returns.

    Attributes:
        thread: where the loop runs.

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
        self.thread: Final = threading.Thread(target=self._run, name=name, daemon=True)

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
                event(
                    "thread.failed",
                    level=logging.ERROR,
                    error=error,
                    thread=self.thread.name,
                    at=places(error),
                )
                self._failed()
                # Asked to end, it had its chance to notice: it is not begun again.
                if self._ending.wait(self._backoff.next_pause()):
                    return
            else:
                return
