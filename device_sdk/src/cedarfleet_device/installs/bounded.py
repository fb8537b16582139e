"""Calls a maker's function and waits for it so long and no longer.

One that does not end cannot be stopped from outside. It goes on in a thread of its own, and no
other is begun until it has returned.
"""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING, TypeVar

from cedarfleet_device.guard import GuardedThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")


class StepError(Exception):
    """A step failed or did not end; the message is for people."""


class BoundedCalls:
    """The calls of one device, one at a time.

    Args:
        name: of their threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: GuardedThread | None = None

    def call(self, what: str, function: Callable[[], _T], *, seconds: float) -> _T:
        """What ``function`` returns.

        Args:
            what: of the message, e.g. ``install``.
            function: may raise whatever it likes; ``SystemExit`` ends nothing but itself.
            seconds: after which nobody waits for it any more.

        Raises:
            StepError: it raised or did not end, or an earlier one has not ended.
        """
        if self._last is not None and self._last.is_alive():
            raise StepError(f"`{what}` is not begun: an earlier step has not ended since its limit")
        answer: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()
        process = os.getpid()

        def work() -> None:
            try:
                answer.put((function(), None))
            except BaseException as error:  # noqa: BLE001 - the one who waits gets it
                answer.put((None, error))
            finally:
                # It forked and the child came back: it must not go on as an agent.
                if os.getpid() != process:
                    os._exit(0)

        self._last = GuardedThread(work, name=self._name)
        self._last.start()
        try:
            result, error = answer.get(timeout=seconds)
        except queue.Empty:
            raise StepError(f"`{what}` did not end within its limit of {seconds:g} s") from None
        self._last.join(seconds)
        if isinstance(error, StepError):
            raise error
        if error is not None:
            raise StepError(f"`{what}` failed: {_said(error)}") from error
        return result  # pyright: ignore[reportReturnType] - of the function


def _said(error: BaseException) -> str:
    try:
        words = str(error)[:500]
    except Exception:  # noqa: BLE001 - a maker's class
        words = "it fails to say why"
    return f"{type(error).__name__}: {words}"


def bounded(install: Callable[[Path], object], *, seconds: float) -> Callable[[Path], None]:
    """A maker's function that holds up no other file for longer."""
    calls = BoundedCalls("cedarfleet-hook")

    def hook(path: Path) -> None:
        calls.call("install", lambda: install(path), seconds=seconds)

    return hook
