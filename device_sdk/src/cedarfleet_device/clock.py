"""What time it is, also on a device whose clock is wrong: the cloud's answers correct it.

A command carries an absolute expiry, so a clock that is a day slow would run stale commands and one
that is a day fast would refuse every command. Answers of AWS IoT Jobs carry the cloud's time in
seconds (docs: AWS IoT "Jobs device MQTT API", member ``timestamp``); they arrive over the
authenticated connection.

Once it is told, time goes on by a clock that nobody sets: a device without a battery for its clock
is corrected by NTP after it has connected, and that step must neither expire what is good nor run
what is stale.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE_MS: Final = 5_000  # answers carry whole seconds and travel for a while


def steady() -> float:
    """Seconds since the machine started, asleep or awake; nobody sets it (clock_gettime(2))."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class Clock:
    """Milliseconds since the epoch, corrected once the cloud has told its time.

    Args:
        device: seconds since the epoch, by the device; somebody may set it at any time.
        since_start: seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        device: Callable[[], float] = time.time,
        since_start: Callable[[], float] = steady,
    ) -> None:
        self._device = device
        self._since_start = since_start
        self._epoch_ms: int | None = None  # what the time was when `since_start` was 0
        self._told = threading.Event()

    def __call__(self) -> int:
        """Now, in milliseconds since the epoch."""
        if self._epoch_ms is None:
            return int(self._device() * 1000)
        return self._epoch_ms + int(self._since_start() * 1000)

    def latest(self) -> int:
        """The later of what the device and the cloud say, for what must not come back to life."""
        return max(self(), int(self._device() * 1000))

    @property
    def skew_ms(self) -> int:
        """Device minus cloud, now; 0 while unknown or within ``TOLERANCE_MS``."""
        skew = int(self._device() * 1000) - self()
        return skew if abs(skew) > TOLERANCE_MS else 0

    @property
    def told(self) -> bool:
        """Whether the cloud has told its time since the start."""
        return self._told.is_set()

    def tell(self, cloud_ms: int) -> None:
        """Take the cloud's time; small differences are the answer's own and are ignored."""
        device_ms = int(self._device() * 1000)
        now_ms = cloud_ms if abs(cloud_ms - device_ms) > TOLERANCE_MS else device_ms
        self._epoch_ms = now_ms - int(self._since_start() * 1000)
        self._told.set()

    def wait_told(self, timeout_seconds: float) -> bool:
        """Wait for the first answer; whether it came."""
        return self._told.wait(timeout_seconds)
