"""Time as a download that waits sees it, so that a test may shorten hours of outage."""

from __future__ import annotations

import threading

from cedarfleet_device.clock import steady


class Pace:
    """Real time.

    Attributes:
        step: seconds after which who waits looks whether it is still to wait.
    """

    step: float = 0.2

    def now(self) -> float:
        """Seconds by a clock that nobody sets."""
        return steady()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds."""
        threading.Event().wait(seconds)
