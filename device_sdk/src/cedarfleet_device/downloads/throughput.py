"""Bandwidth limit and stall detection, both on a clock that is passed in."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """Bounds the bytes a second over all connections, with bursts of at most 0.25 s."""

    def __init__(
        self, bytes_per_second: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def largest_read(self) -> int | None:
        """Bytes to ask a socket for at once, so that no read is a burst of its own.

        None: any number.
        """
        return None if self._rate is None else max(1, self._rate // 16)

    def take(self, count: int) -> float:
        """Account for ``count`` received bytes.

        The seconds that the caller must wait before it reads on.
        """
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - 0.25) + count / self._rate
            return max(0.0, self._free_at - now)


class StallDetector:
    """Whether one connection still brings enough bytes.

    Written by its thread, read by the thread that waits for it. It covers the TLS handshake and the
    header too: no body byte, no progress.
    """

    def __init__(
        self, *, window_seconds: float, smallest: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window_seconds
        self._smallest = max(1, smallest)
        self._clock = clock
        self.received = 0
        self.excused = False
        """True while the connection waits for a buffer, the bandwidth limit or work."""
        self._since = clock()
        self._seen = 0

    def reset(self) -> None:
        """Begin a new window."""
        self._since = self._clock()
        self._seen = self.received

    def is_stalled(self) -> bool:
        """Whether a whole window passed with less than the smallest progress."""
        if self.excused or self.received - self._seen >= self._smallest:
            self.reset()
        return self._clock() - self._since >= self._window
