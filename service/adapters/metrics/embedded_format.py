"""What was measured since the last time, as log lines of which CloudWatch makes metrics.

Source: CloudWatch user guide, "Specification: Embedded metric format". The log driver of a task
needs no setting for it: the header that names the format is "not required" (same guide, "Using the
PutLogEvents API to send manually-created embedded metric format logs").

Each combination of dimensions is a metric that AWS charges for, so there are fewer than at
`/metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.adapters.metrics.process_metrics import BOUNDS, Spread
from service.ports import metrics as measures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.adapters.metrics.process_metrics import ProcessMetrics
    from service.ports.metrics import Measure

NAMESPACE: Final = "Cedarfleet/Service"
DIMENSIONS: Final[dict[Measure, tuple[str, ...]]] = {
    measures.REQUESTS: ("route",),
    measures.REFUSED_BY_SERVER: ("reason",),
    measures.CONNECTIONS: (),
    measures.AWS_CALLS: ("dependency",),
    measures.DECISIONS: ("outcome",),
    measures.POLICY_DIFFERENCES: ("kind",),
    measures.SHARES: ("outcome",),
    measures.BREAKERS_OPEN: ("dependency",),
    measures.WORK: ("outcome",),
    measures.WORK_WAITED: (),
    measures.WORK_IN_HAND: (),
    measures.JOBS: ("act",),
    measures.PROBLEMS: ("problem",),
    measures.HAPPENED: ("event", "how"),
    measures.AUDIT_VERIFIED: ("outcome",),
    measures.ISOLATION: ("outcome",),
}
"""Of each measure that CloudWatch is told, the labels that are dimensions there."""
_SLOW: Final = 0.99


class EmbeddedFormat:
    """Tells what is new since it was asked before.

    Args:
        metrics: what was measured so far.
    """

    def __init__(self, metrics: ProcessMetrics) -> None:
        self._metrics = metrics
        self._counted: dict[tuple[Measure, tuple[str, ...]], int] = {}
        self._spread: dict[tuple[Measure, tuple[str, ...]], Spread] = {}

    def lines(self, now_ms: int) -> Iterator[dict[str, Any]]:
        """Members of one log line for each combination of dimensions in which something is new.

        Args:
            now_ms: milliseconds since the epoch.
        """
        for measure, dimensions in DIMENSIONS.items():
            told = tuple(measure.labels.index(name) for name in dimensions)
            for labels, number in self._new_counts(measure, told).items():
                yield _line(now_ms, dimensions, labels, {measure.name: (number, "Count")})
            for labels, spread in self._new_spreads(measure, told).items():
                values = {
                    f"{measure.name}_count": (spread.number, "Count"),
                    f"{measure.name}_sum": (round(spread.seconds, 6), "Seconds"),
                    f"{measure.name}_p99": (_slowest(spread), "Seconds"),
                }
                yield _line(now_ms, dimensions, labels, values)
            for labels, value in self._metrics.gauges[measure].items():
                shown = tuple(labels[place] for place in told)
                yield _line(now_ms, dimensions, shown, {measure.name: (value, "Count")})

    def _new_counts(self, measure: Measure, told: tuple[int, ...]) -> dict[tuple[str, ...], int]:
        new: dict[tuple[str, ...], int] = {}
        for labels, number in self._metrics.counts[measure].items():
            more = number - self._counted.get((measure, labels), 0)
            self._counted[measure, labels] = number
            if more:
                shown = tuple(labels[place] for place in told)
                new[shown] = new.get(shown, 0) + more
        return new

    def _new_spreads(
        self, measure: Measure, told: tuple[int, ...]
    ) -> dict[tuple[str, ...], Spread]:
        new: dict[tuple[str, ...], Spread] = {}
        for labels, spread in self._metrics.spreads[measure].items():
            before = self._spread.get((measure, labels)) or Spread()
            if spread.number != before.number:
                shown = new.setdefault(tuple(labels[place] for place in told), Spread())
                shown.add(spread, minus=before)
                self._spread[measure, labels] = spread.copy()
        return new


def _slowest(spread: Spread) -> float:
    """The upper end of the bucket in which the 99th percentile lies; the last has none."""
    most = spread.number * _SLOW
    passed = 0
    for end, number in zip(BOUNDS, spread.buckets, strict=False):
        passed += number
        if passed >= most:
            return end
    return BOUNDS[-1]


def _line(
    now_ms: int,
    dimensions: tuple[str, ...],
    labels: tuple[str, ...],
    values: dict[str, tuple[float, str]],
) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()],
    }
    return {
        "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]},
        **dict(zip(dimensions, labels, strict=True)),
        **{name: value for name, (value, _) in values.items()},
    }
