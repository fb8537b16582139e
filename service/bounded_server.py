"""A server of a process: connections bounded, an end that loses no request, and its measures told.

Beside what a program is for, it tells on a port of its own what it measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
import uvicorn

from service.adapters.metrics.telling import tell_cloudwatch, told_metrics
from service.errors import ConfigurationError
from service.http_protocol import BoundedProtocol, BoundedServerState
from service.ports.metrics import CONNECTIONS, UNMEASURED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from litestar.types import ASGIApp

    from service.adapters.metrics.process_metrics import ProcessMetrics
    from service.ports.metrics import Metrics
    from service.settings import HttpSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_LISTEN_QUEUE: Final = 2048
ENDING: Final = "ending"
"""In the state of each request's scope: an ``asyncio.Event``, set once the server ends."""
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
            # Each request finds it in its scope's state: a stream ends by it.
            self.lifespan.state[ENDING] = self.server_state.ends
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
        state.ends.set()
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


@contextlib.asynccontextmanager
async def telling(
    metrics: ProcessMetrics, beside: socket.socket, http: HttpSettings
) -> AsyncGenerator[None]:
    """Tell what is measured for as long as is done what stands inside.

    Args:
        metrics: of this process.
        beside: where `/metrics` is read.
        http: the server's bounds, and how often log lines tell CloudWatch.
    """
    told = replace(http, connections_max=_READERS, requests_max=_READERS, drain_seconds=0)
    server = BoundedServer(
        told_metrics(metrics), told, UNMEASURED, event="metrics.listening", heeds_signals=False
    )
    serving = asyncio.ensure_future(server.serve([beside]))
    lines = (
        [asyncio.ensure_future(tell_cloudwatch(metrics, http.metrics_line_seconds))]
        if http.metrics_line_seconds
        else []
    )
    try:
        yield
    finally:
        server.should_exit = True
        for task in lines:
            task.cancel()
        await asyncio.gather(serving, *lines, return_exceptions=True)


def listen_on(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        return socket.create_server((host, port), backlog=_LISTEN_QUEUE)
    except OSError as error:
        raise ConfigurationError(f"`{host}:{port}`: {error.strerror}") from error
