"""When to try again, and when to give up: jittered exponential backoff with a budget that progress refills."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import SystemRandom
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cedarfleet_device.downloads.limits import DownloadLimits


class Random(Protocol):
    """The one draw that the jitter needs; tests pass a seeded ``random.Random``."""

    def uniform(self, a: float, b: float, /) -> float:
        """Any number from ``a`` to ``b``."""
        ...


@dataclass(kw_only=True)
class RetryBudget:
    """Counts tries in a row without noteworthy progress.

    Noteworthy is a checkpoint step: a server that gives one byte for each connection must not keep a device busy for
    ever.
    """

    limits: DownloadLimits
    step: int
    random: Random = field(default_factory=SystemRandom)
    failures: int = 0
    _reached: int = 0

    def next_pause(self, reached: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait before the next try, or None when the budget is used up.

        Args:
            reached: bytes of the file that are there now.
            retry_after: what the server asked for, in seconds; honoured up to the cap.
        """
        if reached - self._reached >= self.step:
            self.failures = 0
            self._reached = reached
        self.failures += 1
        if self.failures >= self.limits.attempts:
            return None
        cap = self.limits.backoff_cap_seconds
        # "Full jitter": a fleet that lost the same server must not come back at the same instant.
        pause = self.random.uniform(
            0, min(cap, self.limits.backoff_seconds * 2.0 ** min(self.failures - 1, 30))
        )
        return max(pause, min(cap, retry_after or 0.0))

    def start_over(self) -> None:
        """Progress counts from zero again; the failures stay."""
        self._reached = 0
