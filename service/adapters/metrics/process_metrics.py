"""The measurements of this process: numbers in dictionaries, bounded whatever the labels are."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, TypeVar

from service.ports.metrics import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ports.metrics import Counter, Distribution, Gauge, Measure

    V = TypeVar("V")
    Kept = dict[Measure, dict[tuple[str, ...], V]]

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of a distribution, in seconds; beyond the last is one more."""
MOST_SERIES: Final = 1_000
"""Label combinations that one measure keeps; what is beyond is counted under `other`."""
OTHER: Final = "other"


class Spread:
    """How long something took: the sum, and how many fell into each bucket."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    @property
    def number(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    def add(self, other: Spread, *, minus: Spread) -> None:
        """Add what ``other`` has more than ``minus``."""
        self.seconds += other.seconds - minus.seconds
        for place, number in enumerate(other.buckets):
            self.buckets[place] += number - minus.buckets[place]

    def copy(self) -> Spread:
        """The same numbers, which do not change."""
        same = Spread()
        same.seconds, same.buckets = self.seconds, list(self.buckets)
        return same


class ProcessMetrics:
    """Keeps each measure's series; for one thread.

    Measuring must cost a request next to nothing: a measurement is two look-ups and an addition, a
    third of what `prometheus_client` takes for it (docs/adr/0026).
    """

    def __init__(self) -> None:
        self.counts: Kept[int] = {measure: {} for measure in MEASURES}
        self.spreads: Kept[Spread] = {measure: {} for measure in MEASURES}
        self.gauges: Kept[float] = {measure: {} for measure in MEASURES}

    def count(self, what: Counter, *labels: str, by: int = 1) -> None:
        series = self.counts[what]
        known = series.get(labels)
        if known is None:
            labels = _bounded(series, labels)
            known = series.get(labels, 0)
        series[labels] = known + by

    def observe(self, what: Distribution, seconds: float, *labels: str) -> None:
        series = self.spreads[what]
        spread = series.get(labels)
        if spread is None:
            spread = series.setdefault(_bounded(series, labels), Spread())
        spread.seconds += seconds
        spread.buckets[bisect_left(BOUNDS, seconds)] += 1

    def gauge(self, what: Gauge, value: float, *labels: str) -> None:
        series = self.gauges[what]
        series[labels if labels in series else _bounded(series, labels)] = value


def _bounded(series: Mapping[tuple[str, ...], object], labels: tuple[str, ...]) -> tuple[str, ...]:
    return labels if len(series) < MOST_SERIES else (OTHER,) * len(labels)
