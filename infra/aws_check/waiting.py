"""Waits for AWS: an interface, since a rehearsal's clock is advanced instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Waiting(Protocol):
    """Time, as it passes where the calls go."""

    def pause(self, seconds: float) -> None:
        """Return when so much time has passed."""
        ...

    def until(self, event: threading.Event, seconds: float) -> bool:
        """Whether it came about within so much time."""
        ...

    def here(self, seconds: float) -> float:
        """How long so much time takes on this machine, for an answer that may never come."""
        ...


class RealTime:
    """AWS's time is everybody's."""

    def pause(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def until(self, event: threading.Event, seconds: float) -> bool:
        """Wait."""
        return event.wait(seconds)

    def here(self, seconds: float) -> float:
        """As long."""
        return seconds
