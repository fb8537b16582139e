"""When a download tells the cloud how far it is: rarely, since a whole account shares the rate.

AWS IoT Jobs takes 200 writes a second of job executions from *all devices of an account* together,
StartNextPendingJobExecution and UpdateJobExecution alike, and raises that for nobody (source: AWS
General Reference, "AWS IoT Device Management endpoints and quotas"). What 5,000 devices ask of it
that download at once, writes a second at most:

====================================  =====================================  ===
reports of progress                   5,000 / 60 s, as if all passed a mark   83
StartNext, the end, StartNext again   3 * 1,000 a minute, the fastest rollout 50
states of an install, where it is one 3 * 1,000 a minute, likewise            50
====================================  =====================================  ===

A report waits up to a minute after its mark was passed: devices that begin at the same instant and
are as fast as each other pass each mark at the same instant too.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from random import SystemRandom
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.backoff import Random

MARKS: Final = (10, 25, 50, 75, 90)
"""Per cent of the file; a report says how much of it is there, and comes once one is passed."""
_LEAST_PAUSE_SECONDS: Final = 60.0
_DRAWN_SECONDS: Final = (0.0, 60.0)


class ProgressReports:
    """Decides for one download when to report.

    What was passed before it is asked first is not reported: a download that is resumed says
    nothing anew.

    Args:
        clock: seconds that never go back.
        chance: draws how long a report waits.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, chance: Random | None = None
    ) -> None:
        self._clock = clock
        self._chance = chance or SystemRandom()
        self._told: int | None = None
        self._told_at = self._clock() - _LEAST_PAUSE_SECONDS
        self._due_at: float | None = None

    def is_due(self, received: int, size: int) -> bool:
        """Whether to report now.

        Args:
            received: bytes that are there.
            size: bytes of the whole file.
        """
        passed, now = bisect_right(MARKS, 100 * received // max(1, size)), self._clock()
        if self._told is None:
            self._told = passed
        if passed <= self._told:
            return False
        if self._due_at is None:
            earliest = max(now, self._told_at + _LEAST_PAUSE_SECONDS)
            self._due_at = earliest + self._chance.uniform(*_DRAWN_SECONDS)
        if now < self._due_at:
            return False
        self._told, self._told_at, self._due_at = passed, now, None
        return True
