"""``python -m service``: the API as a process with JSON logs and an orderly end on SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from service import log as log_format
from service.composition import build
from service.errors import ConfigurationError
from service.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class _Server(uvicorn.Server):
    """Says where it listens once it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            host, port = (sockets or [])[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("service.listening", url=f"http://{shown}:{port}")


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; exit code 2 says that the settings are wrong."""
    log_format.configure()
    try:
        settings = Settings.read(os.environ)
    except ConfigurationError as error:
        # The operator needs words, no traceback.
        log.error("service.misconfigured", problem=str(error))  # noqa: TRY400 - as said
        return 2
    http = settings.http
    try:
        listener = socket.create_server((http.host, http.port), backlog=2048)
    except OSError as error:
        address = f"{http.host}:{http.port}"
        problem = error.strerror
        log.error("service.cannot_listen", address=address, problem=problem)  # noqa: TRY400 - same
        return 2
    config = uvicorn.Config(
        build(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=http.trusted_proxies,
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


if __name__ == "__main__":
    sys.exit(main())
