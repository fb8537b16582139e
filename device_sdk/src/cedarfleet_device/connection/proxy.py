"""A plain connection, by way of an HTTP proxy where one is configured."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cedarfleet_device.config import DeviceConfig

_MOST_BYTES: Final = 16 * 1024
_END: Final = b"\r\n\r\n"


def dial(config: DeviceConfig, *, seconds: float) -> socket.socket:
    """A connection on which TLS can begin.

    Args:
        config: endpoint and proxy.
        seconds: for each answer.

    Raises:
        OSError: nobody is reached, or the proxy does not connect to the endpoint.
    """
    proxy = config.connection.proxy_address
    line = socket.create_connection(proxy or (config.endpoint, config.port), timeout=seconds)
    if proxy is None:
        return line
    try:
        tunnel(line, config.endpoint, config.port, seconds=seconds)
    except BaseException:
        line.close()
        raise
    return line


def tunnel(line: socket.socket, host: str, port: int, *, seconds: float) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6).

    Args:
        line: to the proxy; its time limit is for each read.
        host: name or address, without brackets.
        port: of it.
        seconds: for the whole answer, which may drip.

    Raises:
        OSError: the proxy does not connect.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    until = time.monotonic() + seconds
    line.sendall(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    answer = b""
    while _END not in answer and len(answer) < _MOST_BYTES:
        if not (more := line.recv(1)):  # not a byte of what comes behind the answer
            break
        answer += more
        if time.monotonic() > until:
            raise TimeoutError(0, "the proxy does not end its answer")
    status = answer.split(b"\r\n", 1)[0].decode(errors="replace")
    if len(words := status.split()) < 2 or words[1] != str(HTTPStatus.OK.value):  # noqa: PLR2004 - version and code
        raise ConnectionError(0, f"the proxy answers `{status[:100]}`")
