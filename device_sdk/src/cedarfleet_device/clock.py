"""What time it is, also on a device whose clock is wrong: the cloud's answers correct it.

A command carries an absolute expiry, so a clock that is a day slow would run stale commands and one
that is a day fast would refuse every command. Answers of AWS IoT Jobs carry the cloud's time in
seconds (docs: AWS IoT "Jobs device MQTT API", member ``timestamp``); they arrive over the
authenticated connection.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE_MS: Final = 5_000  # answers carry whole seconds and travel for a while


class Clock:
    """Milliseconds since the epoch, corrected once the cloud has told its time.

    Args:
        device: seconds since the epoch, by the device.
    """

    def __init__(self, device: Callable[[], float] = time.time) -> None:
        self._device = device
        self._offset_ms = 0
        self._told = threading.Event()

    def __call__(self) -> int:
        """Now, in milliseconds since the epoch."""
        return int(self._device() * 1000) + self._offset_ms

    @property
    def skew_ms(self) -> int:
        """Device minus cloud; 0 while unknown or within ``TOLERANCE_MS``."""
        return -self._offset_ms

    @property
    def told(self) -> bool:
        """Whether the cloud has told its time since the start."""
        return self._told.is_set()

    def tell(self, cloud_ms: int) -> None:
        """Take the cloud's time; small differences are the answer's own and are ignored."""
        difference = cloud_ms - int(self._device() * 1000)
        self._offset_ms = difference if abs(difference) > TOLERANCE_MS else 0
        self._told.set()

    def wait_told(self, timeout_seconds: float) -> bool:
        """Wait for the first answer; whether it came."""
        return self._told.wait(timeout_seconds)
