"""Asks until something holds that nobody announces; imported by tests, not collected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Whoever asks again at once takes the processor from those who are to bring it about.
PAUSE_SECONDS: Final = 0.1


def within(seconds: float, holds: Callable[[], bool]) -> float:
    """Ask until it holds; for how long that was asked.

    Raises:
        AssertionError: it did not hold in so many seconds.
    """
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - began
