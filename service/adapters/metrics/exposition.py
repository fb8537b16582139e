"""What was measured, as a Prometheus server reads it.

Source of the format: Prometheus documentation, "Exposition formats", "Text-based format" 0.0.4.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from service.adapters.metrics.process_metrics import BOUNDS
from service.ports.metrics import MEASURES, Counter, Distribution, Gauge, Measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.adapters.metrics.process_metrics import ProcessMetrics, Spread

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_KINDS: Final[dict[type[Measure], str]] = {
    Counter: "counter",
    Distribution: "histogram",
    Gauge: "gauge",
}
_UPPER_ENDS: Final = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


def exposition(metrics: ProcessMetrics) -> bytes:
    """Every series of every measure; a measure without one is only described."""
    return ("\n".join(_lines(metrics)) + "\n").encode()


def _lines(metrics: ProcessMetrics) -> Iterator[str]:
    for measure in MEASURES:
        kind = _KINDS[type(measure)]
        yield f"# HELP {measure.name} {measure.words}"
        yield f"# TYPE {measure.name} {kind}"
        for numbers in (metrics.counts[measure], metrics.gauges[measure]):
            for labels, number in numbers.items():
                yield f"{measure.name}{_labels(measure, labels)} {number!r}"
        for labels, spread in metrics.spreads[measure].items():
            yield from _histogram(measure, labels, spread)


def _histogram(measure: Measure, labels: tuple[str, ...], spread: Spread) -> Iterator[str]:
    for end, number in zip(_UPPER_ENDS, accumulate(spread.buckets), strict=True):
        yield f"{measure.name}_bucket{_labels(measure, labels, ('le', end))} {number}"
    yield f"{measure.name}_sum{_labels(measure, labels)} {spread.seconds:.6f}"
    yield f"{measure.name}_count{_labels(measure, labels)} {spread.number}"


def _labels(measure: Measure, values: Sequence[str], *more: tuple[str, str]) -> str:
    pairs = (*zip(measure.labels, values, strict=True), *more)
    told = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in pairs)
    return f"{{{told}}}" if told else ""
