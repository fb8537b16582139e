"""A monotonic clock that stands still until the test turns it on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Seconds:
    """Seconds, as ``time.monotonic`` tells them."""

    at: float = 1000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.at
