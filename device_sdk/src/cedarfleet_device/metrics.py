"""Counters of what the agent has done since it started."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Metrics:
    """Counters since the agent started.

    Attributes:
        connects: connections made.
        disconnects: connections lost, or attempts that failed.
        received: commands taken into the inbox.
        duplicates: deliveries of a command that was known.
        rejected: messages that were refused.
        canceled: commands that a cancel kept from beginning.
        unreportable: messages that were refused and carried no command id to report under.
        store_failures: deliveries that could not be stored and were left for the broker to send
            again.
        thread_failures: times that a thread met what nobody foresaw, and began again.
        telemetry_sent: messages of telemetry that the cloud has.
        telemetry_dropped: those that gave way in a full queue.
        ended: commands by final state.
        jobs: jobs by outcome.
    """

    connects: int = 0
    disconnects: int = 0
    received: int = 0
    duplicates: int = 0
    rejected: int = 0
    canceled: int = 0
    unreportable: int = 0
    store_failures: int = 0
    thread_failures: int = 0
    telemetry_sent: int = 0
    telemetry_dropped: int = 0
    ended: dict[str, int] = field(default_factory=dict[str, int])
    jobs: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str, more: int = 1) -> None:
        """One more of a counter, or so many."""
        with self._lock:
            setattr(self, name, getattr(self, name) + more)

    def count_in(self, name: str, key: str) -> None:
        """One more of ``ended`` or ``jobs``."""
        with self._lock:
            table: dict[str, int] = getattr(self, name)
            table[key] = table.get(key, 0) + 1

    def snapshot(self) -> dict[str, Any]:
        """All counters, as JSON members."""
        with self._lock:
            return asdict(self)
