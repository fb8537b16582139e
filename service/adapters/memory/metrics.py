"""A twin of the metrics, to be looked at: every measurement by its measure and labels."""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.ports.metrics import Counter, Distribution, Gauge, Measure

    Series = tuple[Measure, tuple[str, ...]]


@dataclass(kw_only=True)
class MemoryMetrics:
    """What was measured so far.

    Attributes:
        counts: how often, by measure and labels.
        durations: seconds, in their order.
        gauges: the newest value.
    """

    counts: Tally[Series] = field(default_factory=Tally["Series"])
    durations: dict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))
    gauges: dict[Series, float] = field(default_factory=dict["Series", float])

    def count(self, what: Counter, *labels: str, by: int = 1) -> None:
        self.counts[_series(what, labels)] += by

    def observe(self, what: Distribution, seconds: float, *labels: str) -> None:
        self.durations[_series(what, labels)].append(seconds)

    def gauge(self, what: Gauge, value: float, *labels: str) -> None:
        self.gauges[_series(what, labels)] = value

    def labels_of(self, what: Measure) -> set[tuple[str, ...]]:
        """The label values under which ``what`` was measured."""
        found = (*self.counts, *self.durations, *self.gauges)
        return {labels for measure, labels in found if measure is what}


def _series(what: Measure, labels: tuple[str, ...]) -> Series:
    if len(labels) != len(what.labels):
        raise ValueError(f"{what.name} is told apart by {what.labels}, not by {labels}")
    return what, labels
