"""When to try again, and when to give up: back-off with a budget that progress refills.

A server that is not reached has said nothing, so such tries are not counted: a site may be without
network for hours, and a download goes on when it is back. They end by time alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from cedarfleet_device.backoff import Backoff
from cedarfleet_device.clock import steady

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.backoff import Random
    from cedarfleet_device.config import DownloadLimits


# Once the network is back, it is not noticed much later than that.
_LONGEST_WHILE_UNREACHABLE: Final = 30.0


@dataclass(kw_only=True)
class RetryBudget:
    """Counts tries in a row without noteworthy progress.

    Noteworthy is a checkpoint step: a server that gives one byte for each connection must not keep
    a device busy for ever.
    """

    limits: DownloadLimits
    step: int
    random: Random = field(default_factory=SystemRandom)
    now: Callable[[], float] = steady
    failures: int = 0
    unreachable_since: float | None = None
    _reached: int = 0
    _backoff: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self._backoff = Backoff(
            self.limits.backoff_seconds,
            self.limits.backoff_cap_seconds,
            jitter=(0.0, 1.0),
            chance=self.random,
        )

    def next_pause(
        self, reached: int, retry_after: float | None = None, *, unreachable: bool = False
    ) -> float | None:
        """Seconds to wait before the next try, or None when the budget is used up.

        Args:
            reached: bytes of the file that are there now.
            retry_after: what the server asked for, in seconds; honoured up to the cap.
            unreachable: whether no connection was made, or nobody could be asked for a URL.
        """
        if reached - self._reached >= self.step:
            self.failures = 0
            self._backoff.reset()
            self._reached = reached
            self.unreachable_since = None
        if unreachable:
            if self.unreachable_since is None:
                self.unreachable_since = self.now()
            if self.now() - self.unreachable_since >= self.limits.unreachable_seconds:
                return None
            return min(self._backoff.next_pause(), _LONGEST_WHILE_UNREACHABLE)
        self.unreachable_since = None
        self.failures += 1
        if self.failures >= self.limits.attempts:
            return None
        # A server that asks for more than the cap may not switch the device off.
        asked = min(self.limits.backoff_cap_seconds, retry_after or 0.0)
        return max(self._backoff.next_pause(), asked)

    def start_over(self) -> None:
        """Progress counts from zero again; the failures stay."""
        self._reached = 0
