"""A plain connection, by way of an HTTP proxy where one is configured."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.proxies import Proxy

_MOST_BYTES: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_WHO: Final = str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value)


def dial(config: DeviceConfig, *, seconds: float) -> socket.socket:
    """A connection on which TLS can begin.

    Args:
        config: endpoint and proxy.
        seconds: for each answer.

    Raises:
        ConfigError: the proxy that the environment names is none.
        OSError: nobody is reached, or the proxy does not connect to the endpoint.
    """
    proxy = config.proxy
    if proxy is None:
        return socket.create_connection((config.endpoint, config.port), timeout=seconds)
    line = socket.create_connection(proxy.address, timeout=seconds)
    try:
        tunnel(line, proxy, config.endpoint, config.port, seconds=seconds)
    except BaseException:
        line.close()
        raise
    return line


def tunnel(line: socket.socket, proxy: Proxy, host: str, port: int, *, seconds: float) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6).

    Args:
        line: to the proxy; its time limit is for each read.
        proxy: whose credentials are shown to it.
        host: name or address, without brackets.
        port: of it.
        seconds: for the whole answer, which may drip.

    Raises:
        OSError: the proxy does not connect; shows no credentials.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    until = time.monotonic() + seconds
    who = "" if proxy.authorization is None else f"Proxy-Authorization: {proxy.authorization}\r\n"
    line.sendall(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{who}\r\n".encode())
    answer = b""
    while _END not in answer and len(answer) < _MOST_BYTES:
        if not (more := line.recv(1)):  # not a byte of what comes behind the answer
            break
        answer += more
        if time.monotonic() > until:
            raise TimeoutError(0, "the proxy does not end its answer")
    status = answer.split(b"\r\n", 1)[0].decode(errors="replace")
    if len(words := status.split()) < 2 or words[1] != str(HTTPStatus.OK.value):  # noqa: PLR2004 - version and code
        hint = ""
        if words[1:2] == [_WHO]:
            hint = f": it asks for {'other ' if who else ''}credentials"
        raise ConnectionError(0, f"the proxy answers `{status[:100]}`{hint}")
