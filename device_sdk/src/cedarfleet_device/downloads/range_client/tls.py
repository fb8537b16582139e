"""TLS over a connected socket that takes many records from the kernel at once.

``ssl.SSLSocket`` makes two system calls for each record of 16 KiB. Here the records come in large
reads and are decrypted from memory, which costs a copy and still less processor time.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Final, TypeVar, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

_READ_BYTES: Final = 512 * 1024
_T = TypeVar("_T")


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """The authorities that a server's certificate is judged by; None: the system's.

    Raises:
        OSError: the file cannot be read, or holds none.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class TlsStream:
    """The calls of a socket that ``Connection`` needs.

    The socket keeps its time limits and may be shut down.
    """

    def __init__(self, below: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Wrap ``below``.

        ``do_handshake`` comes next, in which the certificate must be good for ``host``.
        """
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        # With a buffer it returns a count, which the stubs do not know.
        self._read = cast("Callable[[int, memoryview], int]", self._tls.read)
        self._records = memoryview(bytearray(_READ_BYTES))

    def do_handshake(self) -> None:
        """Shake hands.

        Raises:
            OSError: the server speaks no TLS, closes, or its certificate does not hold.
        """
        try:
            self._until_done(self._tls.do_handshake)
        finally:
            with contextlib.suppress(OSError):  # the server hears why its certificate was refused
                self._flush()

    def sendall(self, data: bytes) -> None:
        """Encrypt and send ``data``."""
        self._until_done(lambda: self._tls.write(data))
        self._flush()

    def recv_into(self, buffer: memoryview) -> int:
        """Wait for the first byte, then take what is there without waiting again.

        0: the server closed.

        Raises:
            OSError: connection lost, or an altered record; what the buffer holds then does not
                count.
        """
        try:
            filled = self._until_done(lambda: self._read(len(buffer), buffer))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        # The end comes again at the next call; any other trouble would not, and is raised now: fail
        # closed.
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while 0 < filled < len(buffer) and (
                more := self._read(len(buffer) - filled, buffer[filled:])
            ):
                filled += more
        return filled

    def recv(self, most: int) -> bytes:
        """As ``recv_into``, at most ``most`` bytes."""
        buffer = bytearray(most)
        count = self.recv_into(memoryview(buffer))
        return bytes(buffer[:count])

    def _until_done(self, step: Callable[[], _T]) -> _T:
        """Repeat ``step`` with more records until it needs none."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                if (count := self._below.recv_into(self._records)) == 0:
                    self._incoming.write_eof()
                else:
                    self._incoming.write(self._records[:count])

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._below.sendall(data)
