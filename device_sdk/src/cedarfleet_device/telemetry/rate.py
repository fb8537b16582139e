"""A token bucket: how often something may be done in the long run, and how often at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """Gives tokens at a rate; full at the start. For one thread.

    Args:
        per_second: tokens that come.
        burst: most that are kept.
        clock: seconds of a clock that nobody sets.
    """

    def __init__(
        self, *, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst = per_second, burst
        self._clock = clock
        self._tokens, self._since = float(burst), clock()

    def wait_seconds(self) -> float:
        """How long until a token is there; 0: there is one."""
        self._fill()
        return max(0.0, (1.0 - self._tokens) / self._per_second)

    def take(self) -> bool:
        """Take a token, if one is there."""
        self._fill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _fill(self) -> None:
        now = self._clock()
        came = (now - self._since) * self._per_second
        self._tokens, self._since = min(self._burst, self._tokens + max(0.0, came)), now
