"""The HTTPS API as a process: it listens, serves until SIGTERM or Ctrl-C, and ends in order."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import structlog
import uvicorn

from service.composition import build

if TYPE_CHECKING:
    from types import FrameType

    from service.settings import Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class _Server(uvicorn.Server):
    """Says where it listens once it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            host, port = (sockets or [])[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("service.listening", url=f"http://{shown}:{port}")


def serve(settings: Settings) -> int:
    """Serve until a signal; the process's exit code: 2 if the address cannot be listened on."""
    http = settings.http
    try:
        listener = socket.create_server((http.host, http.port), backlog=2048)
    except OSError as error:
        address, words = f"{http.host}:{http.port}", error.strerror
        # The operator needs words, no traceback.
        log.error("service.cannot_listen", address=address, problem=words)  # noqa: TRY400 - as said
        return 2
    config = uvicorn.Config(
        build(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=http.trusted_proxies,
        timeout_keep_alive=http.keep_alive_seconds,
        timeout_graceful_shutdown=http.shutdown_seconds,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    server = _Server(config)
    server.run(sockets=[listener])
    log.info("service.stopped")
    return 0 if server.started else 1


def _already_handled(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises the signal again after its orderly end; nothing is left to do by then."""
