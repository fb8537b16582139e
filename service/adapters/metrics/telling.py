"""Who reads what was measured: a Prometheus server at `/metrics`, and CloudWatch in the log."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from service.adapters.metrics.embedded_format import EmbeddedFormat
from service.adapters.metrics.exposition import MEDIA_TYPE, exposition

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from service.adapters.metrics.process_metrics import ProcessMetrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def told_metrics(metrics: ProcessMetrics) -> ASGIApp:
    """An application that answers ``GET /metrics``, and 404 to anything else."""

    async def answer(scope: Scope, _: Receive, send: Send) -> None:
        is_asked = scope["method"] == "GET" and scope["path"] == "/metrics"  # type: ignore[typeddict-item]
        body = exposition(metrics) if is_asked else b""
        await send(
            {
                "type": "http.response.start",
                "status": 200 if is_asked else 404,
                "headers": [
                    (b"content-type", MEDIA_TYPE.encode()),
                    (b"content-length", str(len(body)).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer


async def tell_cloudwatch(metrics: ProcessMetrics, seconds: float) -> None:
    """Log what is new each ``seconds``, and once more when the task is canceled."""
    new = EmbeddedFormat(metrics)
    try:
        while True:
            await asyncio.sleep(seconds)
            _log(new)
    finally:
        _log(new)


def _log(new: EmbeddedFormat) -> None:
    for members in new.lines(time.time_ns() // 1_000_000):
        log.info("metrics.told", **members)
