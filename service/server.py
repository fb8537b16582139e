"""The HTTPS API as a process: it listens, serves until SIGTERM or Ctrl-C, and ends in order."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING, Final

import structlog

from service.adapters.metrics.process_metrics import ProcessMetrics
from service.bounded_server import BoundedServer, listen_on, telling
from service.composition import build
from service.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from litestar.types import ASGIApp

    from service.ports.metrics import Metrics
    from service.settings import HttpSettings, Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_YOUNG: Final = 10_000
"""Objects more than before, at which those made of late are looked through for circles: as many as
are alive in some dozens of requests, nearly all of which end by themselves."""


def serve(
    settings: Settings, *, application: Callable[[Settings, Metrics], ASGIApp] = build
) -> int:
    """Serve until a signal; the process's exit code: 2 if an address cannot be listened on."""
    http = settings.http
    try:
        listener = listen_on(http.host, http.port)
        beside = listen_on(http.metrics_host, http.metrics_port)
    except ConfigurationError as error:
        # The operator needs words, no traceback.
        log.error("service.cannot_listen", problem=str(error))  # noqa: TRY400 - as said
        return 2
    metrics = ProcessMetrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    server = BoundedServer(application(settings, metrics), http, metrics)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener, beside, metrics, http))
    log.info("service.stopped")
    return 0 if server.started else 1


async def _serve(
    server: BoundedServer,
    listener: socket.socket,
    beside: socket.socket,
    metrics: ProcessMetrics,
    http: HttpSettings,
) -> None:
    """Serve the API, and from when it listens what is measured."""
    serving = asyncio.ensure_future(server.serve([listener]))
    listening = asyncio.ensure_future(server.listening.wait())
    await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    _settle_memory()
    async with telling(metrics, beside, http):
        await serving


def _settle_memory() -> None:
    """Leave what is there since the start out of all searches for circles, and search less often.

    Source: Python's ``gc``, "freeze"; without, it takes a tenth of a request's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def _already_handled(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises the signal again after its orderly end; nothing is left to do by then."""
