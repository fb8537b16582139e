"""Reports of progress are few: a fleet that downloads at once stays within the account's rate."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads.progress_reports import MARKS, ProgressReports

from infra.local.cloud.limits.table import RATES
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICES = 5_000
FASTEST_ROLLOUT = 1_000  # devices a minute
WRITES = next(rate.figure for rate in RATES if rate.id == "writes-of-job-executions")


class Clock:
    """Stands where it is put."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def seeded() -> random.Random:
    """Draws the pauses of all devices."""
    return random.Random(new_seed())  # noqa: S311 - pauses


def reported(seconds: float, chance: random.Random, *, began_at: float = 0.0) -> Iterator[float]:
    """When a download of so many seconds reports, asked each second."""
    clock = Clock()
    clock.now = began_at
    reports = ProgressReports(clock=clock, chance=chance)
    for second in range(int(seconds) + 1):
        clock.now = began_at + second
        if reports.is_due(second, int(seconds)):
            yield clock.now


def test_a_report_comes_at_each_mark(seeded: random.Random):
    """A long download tells each mark once, within a minute of passing it."""
    told = list(reported(3600, seeded))
    late = [at - 36 * mark for at, mark in zip(told, MARKS, strict=True)]
    assert all(0 <= one <= 61 for one in late), late


@pytest.mark.parametrize("seconds", [2, 30, 100, 300, 1000])
def test_a_report_comes_once_a_minute_at_most(seeded: random.Random, seconds: int):
    """However fast the marks are passed."""
    told = list(reported(seconds, seeded))
    assert all(later - sooner >= 60 for sooner, later in pairwise(told))
    assert len(told) <= min(len(MARKS), seconds / 60 + 1)


def test_an_empty_file_has_no_marks(seeded: random.Random):
    """It is there at once."""
    reports = ProgressReports(clock=Clock(), chance=seeded)
    assert not reports.is_due(0, 0)


def test_a_resumed_download_says_nothing_anew(seeded: random.Random):
    """What was there when it began again was told before, or is told with the next mark."""
    clock = Clock()
    reports = ProgressReports(clock=clock, chance=seeded)

    def is_told(per_cent: int) -> bool:
        reports.is_due(per_cent, 100)  # the mark is passed
        clock.now += 61
        return reports.is_due(per_cent, 100)

    assert [per_cent for per_cent in (60, 74, 75, 89, 90, 100) if is_told(per_cent)] == [75, 90]


@pytest.mark.parametrize(
    ("fastest", "slowest", "rollout"),
    [(300, 300, None), (10, 300, FASTEST_ROLLOUT)],
)
def test_5000_devices_stay_within_the_accounts_writes(
    seeded: random.Random, fastest: float, slowest: float, rollout: int | None
):
    """Going on at one instant, at one speed or not, or begun as fast as any rollout lets them."""
    writes: Counter[int] = Counter()
    for number in range(DEVICES):
        began = 0.0 if rollout is None else number * 60 / rollout
        seconds = seeded.uniform(fastest, slowest)
        writes.update(int(at) for at in reported(seconds, seeded, began_at=began))
        if rollout is not None:  # StartNext; the end and the next StartNext
            writes[int(began)] += 1
            writes[int(began + seconds)] += 2
    second, most = writes.most_common(1)[0]
    assert most <= WRITES, f"{most} writes in second {second}"
