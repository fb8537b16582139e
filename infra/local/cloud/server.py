"""The cloud's event loop in a thread of its own: HTTP gateway, MQTT broker, snapshot writer."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hypercorn.asyncio import serve
from hypercorn.config import Config

from infra.local.cloud.errors import EmbeddedCloudError

if TYPE_CHECKING:
    import socket

    from infra.local.cloud.emulator import Emulator
    from infra.local.cloud.front_door import Application, Receive, Scope, Send
    from infra.local.cloud.snapshot import Snapshots

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_GRACE_SECONDS: Final = 1  # for answers that are under way when the cloud stops
_ROUNDS_OF_AN_ACCEPTED: Final = 8  # of the loop, until an accepted socket is a connection
_WORKERS: Final = 64  # as the emulator's own start: re-entrant calls must not wait for each other


class Server:
    """Serve ``application`` on the gateway's socket, and the broker, until ``stop``.

    Raises:
        EmbeddedCloudError: from ``start``, when the loop does not come up.
    """

    def __init__(
        self,
        *,
        emulator: Emulator,
        application: Application,
        snapshots: Snapshots,
        gateway: socket.socket,
    ) -> None:
        self._emulator = emulator
        self._application = application
        self._snapshots = snapshots
        self._gateway = gateway
        self._started: concurrent.futures.Future[asyncio.AbstractEventLoop] = (
            concurrent.futures.Future()
        )
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-cloud", daemon=True)

    def start(self) -> None:
        """Load the last run's state and listen; returns when both ports are served."""
        self._thread.start()
        try:
            self._started.result(_START_SECONDS)
        except TimeoutError as error:
            raise EmbeddedCloudError(
                f"the embedded cloud was not ready after {_START_SECONDS:.0f} s"
            ) from error

    def save(self) -> None:
        """Write the state now, from another thread.

        Raises:
            OSError: it cannot be written.
        """
        asyncio.run_coroutine_threadsafe(self._snapshots.save_now(), self._started.result()).result(
            _STOP_SECONDS
        )

    def stop(self) -> None:
        """Close every connection, write the state a last time, end the thread."""
        if self._started.done() and self._started.exception() is None and self._stop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself; its reason follows
                self._started.result().call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise EmbeddedCloudError(
                f"the embedded cloud did not stop within {_STOP_SECONDS:.0f} s"
            )
        if self._started.exception() is None:
            self._ended.result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            (self._ended if self._started.done() else self._started).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _main(self) -> None:
        loop, app = asyncio.get_running_loop(), self._emulator.app
        loop.set_default_executor(
            concurrent.futures.ThreadPoolExecutor(_WORKERS, thread_name_prefix="embedded-cloud")
        )
        app._MAIN_LOOP = loop  # for the emulator's worker threads
        self._stop = asyncio.Event()
        iot = self._emulator.module("services.iot")
        self._snapshots.load()
        await iot.mtls_start()
        # Makes the CA and the broker's certificate, which else the first device would wait for.
        await iot._mtls_context()
        app._iot_mtls_state = "listening"
        saver = asyncio.create_task(self._snapshots.keep_saving())
        ender = asyncio.create_task(self._end_connections())
        loop.call_soon(self._started.set_result, loop)
        try:
            application = _no_lifespan(self._application)
            await serve(application, self._configuration(), shutdown_trigger=self._stop.wait)
        finally:
            for task in (saver, ender):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self._cut(loop)
            await iot.mtls_stop()
            self._snapshots.save()

    async def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut what was let in as the listeners closed, and is made into a connection by now."""
        for _ in range(_ROUNDS_OF_AN_ACCEPTED):
            for transport in list(loop.connections if isinstance(loop, _Loop) else ()):
                transport.abort()
            await asyncio.sleep(0)

    async def _end_connections(self) -> None:
        """After the grace, cut what is open: who stopped reading would hold up the end."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, _Loop) or self._stop is None:
            raise TypeError(type(loop))
        await self._stop.wait()
        await asyncio.sleep(_GRACE_SECONDS)
        while True:  # also what comes in meanwhile
            for transport in list(loop.connections):
                transport.abort()
            await asyncio.sleep(_GRACE_SECONDS)

    def _configuration(self) -> Config:
        configuration = Config()
        configuration.bind = [f"fd://{self._gateway.detach()}"]
        configuration.keep_alive_timeout = 75
        configuration.graceful_timeout = 2 * _GRACE_SECONDS
        configuration.accesslog = configuration.errorlog = None
        return configuration


class _Loop(asyncio.SelectorEventLoop):
    """Knows its servers' connections, which neither asyncio (before 3.13) nor hypercorn tell."""

    def __init__(self) -> None:
        super().__init__()
        # Held until they are lost: of a connection whose task was cancelled before it began nobody
        # else knows, and it would be collected while it is open.
        self.connections: set[asyncio.WriteTransport] = set()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As asyncio's, but that a connection was cut at the end is no error."""
        # asyncio's streams ask the task of a connection for its exception, also a cancelled one
        # (Python 3.11, `StreamReaderProtocol.connection_made`).
        if not isinstance(context.get("exception"), asyncio.CancelledError):
            super().call_exception_handler(context)

    async def create_server(self, protocol_factory: Any, *rest: Any, **options: Any) -> Any:
        """As asyncio's, but every transport is noted in ``connections``."""

        def noted() -> asyncio.BaseProtocol:
            protocol: asyncio.BaseProtocol = protocol_factory()
            made, lost = protocol.connection_made, protocol.connection_lost
            of_it: list[asyncio.WriteTransport] = []

            def connection_made(transport: asyncio.BaseTransport) -> None:
                if isinstance(transport, asyncio.WriteTransport):
                    of_it.append(transport)
                    self.connections.add(transport)
                made(transport)

            def connection_lost(exc: Exception | None) -> None:
                self.connections.difference_update(of_it)
                of_it.clear()
                lost(exc)

            protocol.connection_made = connection_made
            protocol.connection_lost = connection_lost
            return protocol

        return await super().create_server(noted, *rest, **options)


def _no_lifespan(application: Application) -> Any:
    """Answer start and stop here: the emulator's own run scripts, Docker and schedulers."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped
