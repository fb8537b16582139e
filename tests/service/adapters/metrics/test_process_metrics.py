"""The measurements of a process: what is kept, and that no label can make it grow."""

from __future__ import annotations

from service.adapters.metrics.process_metrics import MOST_SERIES, OTHER, ProcessMetrics
from service.ports.metrics import BREAKERS_OPEN, CACHE_LOOKUPS, CONNECTIONS, MEASURES, REQUESTS


def test_each_kind_of_measure_keeps_its_numbers() -> None:
    """Counts add up, durations fall into their buckets, and a gauge is its newest value."""
    metrics = ProcessMetrics()
    metrics.count(CACHE_LOOKUPS, "keys", "hit")
    metrics.count(CACHE_LOOKUPS, "keys", "hit", by=2)
    for seconds in (0.001, 0.002, 99.0):
        metrics.observe(REQUESTS, seconds, "GET", "/v1/me", "200")
    metrics.gauge(CONNECTIONS, 7)
    metrics.gauge(CONNECTIONS, 3)
    assert metrics.counts[CACHE_LOOKUPS] == {("keys", "hit"): 3}
    spread = metrics.spreads[REQUESTS]["GET", "/v1/me", "200"]
    assert (spread.number, spread.seconds) == (3, 99.003)
    assert (spread.buckets[0], spread.buckets[1], spread.buckets[-1]) == (1, 1, 1)
    assert metrics.gauges[CONNECTIONS] == {(): 3}


def test_labels_without_number_end_in_one_series() -> None:
    """Label combinations beyond the bound are counted together: memory does not follow them."""
    metrics = ProcessMetrics()
    for number in range(MOST_SERIES + 500):
        metrics.count(CACHE_LOOKUPS, f"cache-{number}", "hit")
        metrics.observe(REQUESTS, 0.1, "GET", f"/{number}", "404")
        metrics.gauge(BREAKERS_OPEN, number, f"dependency-{number}")
    assert metrics.counts[CACHE_LOOKUPS][OTHER, OTHER] == 500
    assert metrics.spreads[REQUESTS][OTHER, OTHER, OTHER].number == 500
    for kept in (
        metrics.counts[CACHE_LOOKUPS],
        metrics.spreads[REQUESTS],
        metrics.gauges[BREAKERS_OPEN],
    ):
        assert len(kept) == MOST_SERIES + 1


def test_no_measure_is_told_apart_by_who_asks() -> None:
    """Tenants, devices and principals are no labels, and each name says its unit or kind."""
    without_bound = {"tenant", "device", "principal", "request", "path"}
    for measure in MEASURES:
        assert not without_bound & set(measure.labels)
        assert measure.name.startswith("cedarfleet_")
