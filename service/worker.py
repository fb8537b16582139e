"""The background worker as a process: it works until SIGTERM or Ctrl-C, and ends in order."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from service.composition import build_worker

if TYPE_CHECKING:
    from service.settings import Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def work(settings: Settings) -> int:
    """Work until a signal; the process's exit code."""
    return asyncio.run(_work(settings))


async def _work(settings: Settings) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker, close = build_worker(settings)
    log.info("worker.started", queue=settings.work.queue_url)
    try:
        await worker.run(stop)
    finally:
        await close()
    log.info("worker.stopped")
    return 0
