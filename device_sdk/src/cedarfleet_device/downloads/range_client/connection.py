"""One HTTP/1.1 connection that asks for ranges and receives them into the caller's buffer.

``http.client`` reads a body either by copying or by blocking until the buffer is full; a server
that trickles could then hold a device for hours unnoticed. This reads what is there, straight into
the buffer, and leaves the parsing of headers to ``http.client``.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from io import BytesIO
from typing import TYPE_CHECKING, Final

from cedarfleet_device.connection.proxy import tunnel
from cedarfleet_device.downloads.range_client.answers import (
    Answer,
    TryAgainError,
    UnreachableError,
)
from cedarfleet_device.downloads.range_client.tls import TlsStream

if TYPE_CHECKING:
    import ssl

    from cedarfleet_device.downloads.ranges import ByteRange
    from cedarfleet_device.proxies import Proxy

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_MAX_HEAD_BYTES: Final = 16 * 1024
_MAX_INTERIM_ANSWERS: Final = 8
_EXCERPT_BYTES: Final = 2 * 1024


@dataclass(frozen=True, kw_only=True)
class Address:
    """One HTTP(S) address.

    Attributes:
        is_tls: ``https``.
        host: name or IP address, without brackets.
        port: TCP port.
        target: path and query as sent in the request line.
    """

    is_tls: bool
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def host_header(self) -> str:
        """The ``Host`` header.

        It is part of a presigned URL's signature, so a default port must stay away.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


class RangeConnection:
    """A connected socket to a server; not safe for several threads, save ``cut``."""

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        *,
        connect_seconds: float,
        read_seconds: float,
        proxy: Proxy | None = None,
    ) -> None:
        """Connect to the port; ``secure`` comes next.

        Args:
            address: where to.
            tls: context for ``https``; not needed for ``http``.
            connect_seconds: for the TCP handshake, each address of the host.
            read_seconds: longest wait of one read.
            proxy: an HTTP proxy that connects to the server; None: none.

        Raises:
            UnreachableError: the host cannot be reached.
            ValueError: ``https`` without ``tls``; fail closed.
        """
        if address.is_tls and tls is None:
            raise ValueError("https needs the authorities that the server is judged by")
        self._address, self._tls = address, tls
        where = (address.host, address.port) if proxy is None else proxy.address
        started = time.monotonic()
        try:
            self._socket = socket.create_connection(where, timeout=connect_seconds)
            if proxy is not None:
                self._go_through(proxy, seconds=connect_seconds)
        except OSError as error:
            raise UnreachableError(
                f"cannot connect to {address.host}:{address.port}: {_words(error)}"
            ) from error
        self.round_trip = time.monotonic() - started
        """Seconds that the TCP handshake took (name resolution included)."""
        self._socket.settimeout(read_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream: socket.socket | TlsStream = self._socket
        self._pending = bytearray()  # received behind a header, not yet read
        self._left = 0

    def _go_through(self, proxy: Proxy, *, seconds: float) -> None:
        try:
            tunnel(self._socket, proxy, self._address.host, self._address.port, seconds=seconds)
        except BaseException:
            self._socket.close()
            raise

    def secure(self) -> None:
        """Shake hands over ``https``; a step of its own, so that ``cut`` ends one that stalls.

        Raises:
            UnreachableError: the handshake was cut off, or did not end.
            TryAgainError: no TLS, or the server's certificate does not hold (the device's clock may
                still be wrong).
        """
        try:
            if self._tls is not None and self._address.is_tls:
                self._stream = stream = TlsStream(self._socket, self._tls, self._address.host)
                stream.do_handshake()
        except (OSError, ValueError) as error:
            where = f"{self._address.host}:{self._address.port}"
            cut_off = isinstance(error, (TimeoutError, ConnectionError))
            kind = UnreachableError if cut_off else TryAgainError
            raise kind(f"no TLS connection to {where}: {_words(error)}") from error

    def ask(self, target: str, span: ByteRange, *, etag: str | None) -> Answer:
        """Ask for ``span``; afterwards ``read_into`` gives the body when the status is 200 or 206.

        Raises:
            TryAgainError: connection lost, or the answer is not HTTP.
        """
        # A weak ETag never satisfies If-Match (RFC 9110, 13.1.1); it is compared with the answer's
        # instead.
        condition = (
            f"If-Match: {etag}\r\n" if etag is not None and not etag.startswith("W/") else ""
        )
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {self._address.host_header}\r\n"
            f"Range: {span.header}\r\n{condition}"
            "Accept-Encoding: identity\r\nUser-Agent: cedarfleet-device\r\n\r\n"
        )
        try:
            self._stream.sendall(request.encode("ascii"))
            answer = self._read_answer()
            if answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                self._left = answer.length or 0
                return answer
            return Answer(
                status=answer.status, headers=answer.headers, excerpt=self._read_excerpt(answer)
            )
        except (OSError, HTTPException, ValueError) as error:
            raise TryAgainError(f"no answer: {_words(error)}") from error

    def read_into(self, buffer: memoryview) -> int:
        """Receive at least one and at most ``len(buffer)`` bytes of the body; 0 at its end.

        Raises:
            TryAgainError: connection lost before the announced length.
        """
        if len(buffer) > self._left:
            buffer = buffer[: self._left]
        if self._pending or self._left == 0:
            return self._take_pending(buffer)
        try:
            count = self._stream.recv_into(buffer)
        except (OSError, ValueError) as error:
            raise TryAgainError(f"connection lost: {_words(error)}") from error
        if count == 0:
            raise TryAgainError(f"the server closed the connection {self._left} bytes too early")
        self._left -= count
        return count

    def cut(self) -> None:
        """Wake a thread that waits in ``ask`` or ``read_into``; it gets ``TryAgainError``.

        Safe from another thread.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the socket; to be called by the thread that reads."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _take_pending(self, room: memoryview) -> int:
        count = min(len(room), len(self._pending))
        room[:count] = self._pending[:count]
        del self._pending[:count]
        self._left -= count
        return count

    def _read_answer(self) -> Answer:
        """Status line and header of the next answer that is not interim."""
        for _ in range(_MAX_INTERIM_ANSWERS):
            status_line, _, header = self._read_head().partition(b"\r\n")
            match = _STATUS_LINE.fullmatch(status_line)
            if match is None:
                raise TryAgainError("the answer is not HTTP/1.1")
            fields: dict[str, str] = {}
            for name, value in parse_headers(BytesIO(header)).items():
                key = name.lower()
                fields[key] = f"{fields[key]}, {value}" if key in fields else value
            status = int(match[1])
            if status >= HTTPStatus.OK:
                return Answer(status=status, headers=fields)
        raise TryAgainError("the server sent only interim answers")

    def _read_head(self) -> bytes:
        while (end := self._pending.find(b"\r\n\r\n")) < 0:
            if len(self._pending) > _MAX_HEAD_BYTES:
                raise TryAgainError(
                    "the answer's header is too long, or the answer is not HTTP/1.1"
                )
            chunk = self._stream.recv(_MAX_HEAD_BYTES)
            if chunk == b"":
                raise TryAgainError("the server closed the connection")
            self._pending += chunk
        head = bytes(self._pending[: end + 4])
        del self._pending[: end + 4]
        return head

    def _read_excerpt(self, answer: Answer) -> bytes:
        """The beginning of a refusal's body; the connection is not used afterwards."""
        wanted = _EXCERPT_BYTES if answer.length is None else min(_EXCERPT_BYTES, answer.length)
        with contextlib.suppress(OSError):  # the status alone decides then
            while len(self._pending) < wanted and (chunk := self._stream.recv(wanted)):
                self._pending += chunk
        return bytes(self._pending[:wanted])


def _words(error: Exception) -> str:
    return "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
