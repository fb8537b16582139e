"""The HTTPS API as a process: it listens, serves until SIGTERM or Ctrl-C, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
import uvicorn

from service.adapters.metrics.process_metrics import ProcessMetrics
from service.composition import build
from service.http_protocol import BoundedProtocol, BoundedServerState
from service.ports.metrics import CONNECTIONS

if TYPE_CHECKING:
    from types import FrameType

    from litestar.types import ASGIApp

    from service.ports.metrics import Metrics
    from service.settings import HttpSettings, Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_LISTEN_QUEUE: Final = 2048


class BoundedServer(uvicorn.Server):
    """uvicorn with bounded connections, and an end that loses no request.

    Args:
        app: what is served.
        bounds: of size and time.
        metrics: counts connections, and what is refused.
    """

    def __init__(self, app: ASGIApp, bounds: HttpSettings, metrics: Metrics) -> None:
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
            lifespan="on",
        )
        super().__init__(config)
        self.server_state: BoundedServerState = BoundedServerState()
        self._drain_seconds = bounds.drain_seconds
        self._metrics = metrics

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            host, port = (sockets or [])[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("service.listening", url=f"http://{shown}:{port}")

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


def serve(settings: Settings) -> int:
    """Serve until a signal; the process's exit code: 2 if the address cannot be listened on."""
    http = settings.http
    try:
        listener = socket.create_server((http.host, http.port), backlog=_LISTEN_QUEUE)
    except OSError as error:
        address, words = f"{http.host}:{http.port}", error.strerror
        # The operator needs words, no traceback.
        log.error("service.cannot_listen", address=address, problem=words)  # noqa: TRY400 - as said
        return 2
    metrics = ProcessMetrics()
    app = build(settings, metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    server = BoundedServer(app, http, metrics)
    server.run(sockets=[listener])
    log.info("service.stopped")
    return 0 if server.started else 1


def _already_handled(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises the signal again after its orderly end; nothing is left to do by then."""
