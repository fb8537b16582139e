"""The HTTPS API as a process: it listens, serves until SIGTERM or Ctrl-C, and ends in order.

Beside it, on a port of its own, the process tells what it measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
import uvicorn

from service.adapters.metrics.process_metrics import ProcessMetrics
from service.adapters.metrics.telling import tell_cloudwatch, told_metrics
from service.composition import build
from service.errors import ConfigurationError
from service.http_protocol import BoundedProtocol, BoundedServerState
from service.ports.metrics import CONNECTIONS, UNMEASURED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from litestar.types import ASGIApp

    from service.ports.metrics import Metrics
    from service.settings import HttpSettings, Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_LISTEN_QUEUE: Final = 2048
_READERS: Final = 16  # of what is measured, at once


class BoundedServer(uvicorn.Server):
    """uvicorn with bounded connections, and an end that loses no request.

    Args:
        app: what is served.
        bounds: of size and time.
        metrics: counts connections, and what is refused.
        event: that is logged once the server listens.
        heeds_signals: whether it ends by a signal; one server of a process does.
    """

    def __init__(
        self,
        app: ASGIApp,
        bounds: HttpSettings,
        metrics: Metrics,
        *,
        event: str = "service.listening",
        heeds_signals: bool = True,
    ) -> None:
        protocol: Any = partial(BoundedProtocol, bounds=bounds, metrics=metrics)
        config = uvicorn.Config(
            app,  # type: ignore[arg-type] - Litestar's own type of the same interface
            interface="asgi3",
            http=protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(bounds.trusted_proxies),
            forwarded_allow_ips=bounds.trusted_proxies,
            timeout_keep_alive=bounds.keep_alive_seconds,
            timeout_graceful_shutdown=bounds.shutdown_seconds,
            backlog=_LISTEN_QUEUE,
            lifespan="on" if heeds_signals else "off",
        )
        super().__init__(config)
        self.server_state: BoundedServerState = BoundedServerState()
        self._drain_seconds = bounds.drain_seconds
        self._metrics = metrics
        self._event = event
        self._heeds_signals = heeds_signals
        self.listening = asyncio.Event()

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return super().capture_signals() if self._heeds_signals else contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            host, port = (sockets or [])[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info(self._event, url=f"http://{shown}:{port}")
            self.listening.set()

    async def on_tick(self, counter: int) -> bool:
        self._metrics.gauge(CONNECTIONS, len(self.server_state.connections))
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on for a while, saying goodbye; then take what waits in the listen queue, and end.

        A connection that waits to be accepted would be reset with its request (source: man page
        tcp(7), of closing a listening socket), and whoever uses an open one learns only from an
        answer that it must not use it again (RFC 9112, 9.6).
        """
        state = self.server_state
        state.ending = True
        for connection in cast("set[BoundedProtocol]", state.connections):
            connection.end_with_answer()
        if state.connections:
            state.emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(state.emptied.wait(), self._drain_seconds)
        queues = [one.dup() for one in sockets or []]
        for queue in queues:
            await self._accept_all(queue)
        # Whatever else: from here on nobody can connect.
        for queue in queues:
            queue.close()
        await super().shutdown(sockets)

    async def _accept_all(self, queue: socket.socket) -> None:
        """Take every connection that waits in a listen queue."""
        queue.setblocking(False)
        loop = asyncio.get_running_loop()
        protocol: Any = partial(
            self.config.http_protocol_class,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=loop,
        )
        while True:
            try:
                accepted, _ = queue.accept()
            except OSError:
                return  # the queue is empty
            await loop.connect_accepted_socket(protocol, accepted)


def serve(
    settings: Settings, *, application: Callable[[Settings, Metrics], ASGIApp] = build
) -> int:
    """Serve until a signal; the process's exit code: 2 if an address cannot be listened on."""
    http = settings.http
    try:
        listener = _listen(http.host, http.port)
        beside = _listen(http.metrics_host, http.metrics_port)
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


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=_LISTEN_QUEUE)
    except OSError as error:
        raise ConfigurationError(f"`{host}:{port}`: {error.strerror}") from error


async def _serve(
    server: BoundedServer,
    listener: socket.socket,
    beside: socket.socket,
    metrics: ProcessMetrics,
    http: HttpSettings,
) -> None:
    """Serve the API, and from when it listens what is measured."""
    told = replace(http, connections_max=_READERS, requests_max=_READERS, drain_seconds=0)
    telling = BoundedServer(
        told_metrics(metrics), told, UNMEASURED, event="metrics.listening", heeds_signals=False
    )
    serving = asyncio.ensure_future(server.serve([listener]))
    listening = asyncio.ensure_future(server.listening.wait())
    await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    tasks = [asyncio.ensure_future(telling.serve([beside]))]
    if http.metrics_line_seconds:
        tasks.append(asyncio.ensure_future(tell_cloudwatch(metrics, http.metrics_line_seconds)))
    try:
        await serving
    finally:
        telling.should_exit = True
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _already_handled(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises the signal again after its orderly end; nothing is left to do by then."""
