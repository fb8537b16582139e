"""Listening sockets on loopback, bound before all else, so that a taken port stops the start."""

from __future__ import annotations

import errno
import socket

from infra.local.cloud.errors import EmbeddedCloudError, PortTakenError

LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65535


def listen(*, purpose: str, wanted: int, remembered: int = 0) -> socket.socket:
    """A listening socket on loopback.

    Args:
        purpose: named in errors.
        wanted: the port, or 0: the remembered one when free, else any free one.
        remembered: port of the last run, 0 = none.

    Raises:
        PortTakenError: ``wanted`` is in use.
        EmbeddedCloudError: ``wanted`` is no port, or may not be bound by this user.
    """
    if not 0 <= wanted <= _HIGHEST_PORT:
        raise EmbeddedCloudError(
            f"`{wanted}` is no port for {purpose}: 1 to {_HIGHEST_PORT}, or 0 to have one chosen"
        )
    if wanted == 0 and remembered:
        try:
            return _bind(remembered)
        except OSError:
            return _bind(0)
    try:
        return _bind(wanted)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(purpose=purpose, port=wanted) from error
        raise EmbeddedCloudError(
            f"port {wanted} for {purpose} cannot be used: {error.strerror}; name another"
        ) from error


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(256)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
