"""What was measured, as a Prometheus server and as CloudWatch read it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

import structlog

from service.adapters.metrics.embedded_format import DIMENSIONS, EmbeddedFormat
from service.adapters.metrics.exposition import exposition
from service.adapters.metrics.process_metrics import ProcessMetrics
from service.adapters.metrics.telling import tell_cloudwatch
from service.ports.metrics import (
    CACHE_LOOKUPS,
    CONNECTIONS,
    DECISIONS,
    MEASURES,
    REFUSED_BY_SERVER,
    REQUESTS,
)

# Prometheus documentation, "Exposition formats", "Text format details".
SAMPLE: Final = re.compile(
    r'[a-z_]+(\{[a-z_]+="([^"\\\n]|\\[\\"n])*"(,[a-z_]+="([^"\\\n]|\\[\\"n])*")*\})? [0-9.+e-]+'
)


def measured() -> ProcessMetrics:
    """Some of each kind."""
    metrics = ProcessMetrics()
    for seconds in (0.002, 0.02, 0.02, 40.0):
        metrics.observe(REQUESTS, seconds, "GET", "/v1/me", "200")
    metrics.observe(REQUESTS, 0.2, "POST", "/v1/me", "405")
    metrics.count(REFUSED_BY_SERVER, 'a "quoted"\nreason\\', by=3)
    metrics.gauge(CONNECTIONS, 12)
    return metrics


def test_prometheus_reads_every_series() -> None:
    """Each line is a comment or a sample; buckets add up, and a strange label stays one line."""
    lines = exposition(measured()).decode().splitlines()
    assert [
        line for line in lines if not line.startswith("# ") and not SAMPLE.fullmatch(line)
    ] == []
    assert [line.split()[2] for line in lines if line.startswith("# TYPE")] == [
        measure.name for measure in MEASURES
    ]
    told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("# "))
    of = 'cedarfleet_http_request_seconds{}{{method="GET",route="/v1/me",status="200"{}}}'
    assert told[of.format("_bucket", ',le="0.0025"')] == "1"
    assert told[of.format("_bucket", ',le="30"')] == "3"
    assert told[of.format("_bucket", ',le="+Inf"')] == told[of.format("_count", "")] == "4"
    assert float(told[of.format("_sum", "")]) == 40.042
    assert told["cedarfleet_http_connections"] == "12"
    assert told['cedarfleet_http_refused_total{reason="a \\"quoted\\"\\nreason\\\\"}'] == "3"


def test_cloudwatch_is_told_what_is_new_and_adds_up() -> None:
    """Labels that are no dimension are added up, and nothing is told twice."""
    metrics = measured()
    new = EmbeddedFormat(metrics)
    first = list(new.lines(1_790_000_000_000))
    [requests] = [line for line in first if "route" in line]
    name = REQUESTS.name
    assert {key: requests[key] for key in requests if key != "_aws"} == {
        "route": "/v1/me",
        f"{name}_count": 5,
        f"{name}_sum": 40.242,
        f"{name}_p99": 30.0,
    }
    for line in first:
        meta = json.loads(json.dumps(line))["_aws"]
        [directive] = meta["CloudWatchMetrics"]
        # Each dimension and metric that is declared stands beside, as text and as a number.
        assert all(isinstance(line[one], str) for one in directive["Dimensions"][0])
        assert all(isinstance(line[one["Name"]], int | float) for one in directive["Metrics"])
        assert meta["Timestamp"] == 1_790_000_000_000
    assert {key for line in new.lines(1) for key in line} == {"_aws", CONNECTIONS.name}
    metrics.observe(REQUESTS, 0.02, "GET", "/v1/me", "500")
    metrics.count(DECISIONS, "ViewDevice", "denied", "copy")
    metrics.count(CACHE_LOOKUPS, "keys", "hit")
    second = [line for line in new.lines(2) if CONNECTIONS.name not in line]
    assert [line.get(f"{name}_count") for line in second] == [1, None]
    assert second[0][f"{name}_p99"] == 0.025
    assert second[1] == second[1] | {"outcome": "denied", DECISIONS.name: 1}
    assert CACHE_LOOKUPS not in DIMENSIONS


def test_what_is_new_is_told_at_the_end_too() -> None:
    """A process that ends loses none of its last numbers."""

    async def end() -> None:
        telling = asyncio.ensure_future(tell_cloudwatch(measured(), 600))
        await asyncio.sleep(0)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)

    with structlog.testing.capture_logs() as logs:
        asyncio.run(end())
    told: list[Any] = [line for line in logs if line["event"] == "metrics.told"]
    assert {line["route"] for line in told if "route" in line} == {"/v1/me"}
