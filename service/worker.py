"""The background worker as a process: it works until SIGTERM or Ctrl-C, and ends in order.

Beside that it tells what it measured, as the API does, and tries the boundary between two tenants.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from service.adapters.metrics.process_metrics import ProcessMetrics
from service.bounded_server import listen_on, telling
from service.composition import build_worker
from service.errors import ConfigurationError

if TYPE_CHECKING:
    import socket

    from service.settings import Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def work(settings: Settings) -> int:
    """Work until a signal; the process's exit code."""
    http = settings.http
    try:
        beside = listen_on(http.metrics_host, http.metrics_port)
    except ConfigurationError as error:
        # The operator needs words, no traceback.
        log.error("worker.cannot_listen", problem=str(error))  # noqa: TRY400 - as said
        return 2
    return asyncio.run(_work(settings, beside))


async def _work(settings: Settings, beside: socket.socket) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = ProcessMetrics()
    worker, canary, close = build_worker(settings, metrics)
    trying = asyncio.ensure_future(canary.run()) if canary else None
    log.info("worker.started", queue=settings.work.queue_url)
    try:
        async with telling(metrics, beside, settings.http):
            await worker.run(stop)
    finally:
        if trying is not None:
            trying.cancel()
            await asyncio.wait({trying})
        await close()
    log.info("worker.stopped")
    return 0
