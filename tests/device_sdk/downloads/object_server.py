"""A small object store over real sockets that serves ranges well, and badly when told to."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Self, cast

from cedarfleet_device.wire import DownloadDocument

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_SLICE = 16 * 1024


@dataclass(frozen=True)
class Request:
    """What the server saw of one request."""

    token: str
    span: tuple[int, int]
    if_match: str | None
    is_ranged: bool = True
    is_head: bool = False


class Exchange:
    """One request whose answer a fault may spoil."""

    def __init__(self, handler: _Handler, server: ObjectServer, request: Request) -> None:
        self._handler, self.server, self.request = handler, server, request
        self.start, self.end = request.span

    @property
    def body(self) -> bytes:
        """The bytes that were asked for."""
        return self.server.content[self.start : self.end]

    def head(self, status: int, **headers: str | int) -> None:
        """Send a status line and header; ``_`` in a name becomes ``-``."""
        lines = [
            f"HTTP/1.1 {status} Words",
            *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()),
        ]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n")

    def good_head(self, **changed: str | int) -> None:
        """The header of a right answer, with some of it changed; an empty value drops a header."""
        size = len(self.server.content)
        headers: dict[str, str | int] = {
            "Content_Length": self.end - self.start,
            "Content_Range": f"bytes {self.start}-{self.end - 1}/{size}",
            "ETag": self.server.etag,
        }
        self.head(206, **{key: value for key, value in (headers | changed).items() if value != ""})

    def raw(self, data: bytes) -> None:
        """Send bytes that are no body."""
        self._handler.connection.sendall(data)

    def send(self, data: bytes | memoryview) -> None:
        """Send body bytes, counted and paced."""
        view = memoryview(data)
        while view:
            self._handler.connection.sendall(view[:_SLICE])
            self.server.count(min(_SLICE, len(view)))
            view = view[_SLICE:]

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self._handler.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._handler.connection.close()

    def wait(self, seconds: float) -> None:
        """Keep the client waiting, but not the end of the test."""
        self.server.closing.wait(seconds)


def serve(exchange: Exchange) -> None:
    """The right answer, as S3 gives it."""
    server, request = exchange.server, exchange.request
    if request.token != server.token and server.checks_token:
        excerpt = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
        exchange.head(403, Content_Length=len(excerpt))
        exchange.raw(excerpt)
    elif request.if_match not in (None, server.etag):
        exchange.head(412, Content_Length=0)
    elif request.span[1] > len(server.content):
        exchange.head(416, Content_Length=0)
    elif request.is_ranged and not request.is_head:
        exchange.good_head()
        exchange.send(exchange.body)
    else:
        exchange.head(
            200,
            Content_Length=len(server.content),
            ETag=server.etag,
            Accept_Ranges="bytes",
            Last_Modified="Sun, 22 Nov 2026 00:00:00 GMT",
        )
        if not request.is_head:
            exchange.send(exchange.body)


@dataclass
class ObjectServer:
    """One object at ``/object?token=<token>``.

    Attributes:
        content: its bytes.
        etag: its ETag; ``put`` changes both.
        token: what a URL must carry to be good; ``checks_token`` False lets every URL pass.
        faults: answers the next requests, one each; ``serve`` answers the others.
        port: where it listens; 0: any that is free.
        bytes_per_second: pace of all bodies together; None: none.
        sent: body bytes given to sockets.
        requests: what was asked.
    """

    content: bytes
    etag: str = ""
    token: str = "1"
    checks_token: bool = True
    tls: ssl.SSLContext | None = None
    port: int = 0
    bytes_per_second: int | None = None
    faults: deque[Callable[[Exchange], None]] = field(default_factory=deque)
    sent: int = 0
    requests: list[Request] = field(default_factory=list[Request])
    closing: threading.Event = field(default_factory=threading.Event)
    _held: socket.socket | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.put(self.content)
        self._lock = threading.Lock()
        self._free_at = time.monotonic()
        self._listener = _Listener(("127.0.0.1", self.port), _Handler)
        self.port = self._listener.server_address[1]
        self._listener.owner = self
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._held is not None:
            self._held.close()

    def leave(self) -> None:
        """Answer nobody any more: connections are refused.

        The port stays held, so that the server of no other test comes to answer there.
        """
        self._stop()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # who is back may listen
        self._held.bind(("127.0.0.1", self.port))

    def _stop(self) -> None:
        self.closing.set()
        self._listener.shutdown()
        self._listener.cut_all()
        self._listener.server_close()
        self._thread.join()

    def put(self, content: bytes) -> None:
        """Replace the object."""
        self.content, self.etag = content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'

    @property
    def url(self) -> str:
        """A URL that is good until ``expire``."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://localhost:{self._listener.server_address[1]}/object?token={self.token}"

    def expire(self) -> None:
        """Make every URL given so far bad."""
        self.token = str(int(self.token) + 1)

    def document(self, name: str = "firmware/image.bin") -> DownloadDocument:
        """The job document for the object as it is now."""
        digest = hashlib.sha256(self.content).hexdigest()
        return DownloadDocument(
            name=name, size=len(self.content), sha256=digest, etag=self.etag, url=self.url
        )

    def await_idle(self) -> None:
        """Return when no connection is open: what a killed client was being sent is counted."""
        listener = self._listener
        with listener.changed:
            assert listener.changed.wait_for(lambda: not listener.is_open, timeout=60)

    def count(self, sent: int) -> None:
        """Add to ``sent`` and hold the sender to the pace."""
        with self._lock:
            self.sent += sent
            if self.bytes_per_second is None:
                return
            self._free_at = max(self._free_at, time.monotonic()) + sent / self.bytes_per_second
            pause = self._free_at - time.monotonic()
        self.closing.wait(max(0.0, pause))


class _Listener(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    owner: ObjectServer
    request_queue_size = 64

    def __init__(self, *args: object) -> None:
        self._open: set[socket.socket] = set()
        self.changed = threading.Condition()
        super().__init__(*args)  # pyright: ignore[reportArgumentType]

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def add(self, connection: socket.socket) -> None:
        self._open.add(connection)

    def discard(self, connection: socket.socket) -> None:
        with self.changed:
            self._open.discard(connection)
            self.changed.notify_all()

    def cut_all(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(StreamRequestHandler):
    def setup(self) -> None:
        listener = cast("_Listener", self.server)
        self.raw_socket = self.request
        listener.add(self.raw_socket)
        # Small buffers: what was sent and what was received then differ little when a process is
        # killed.
        self.raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SLICE)
        if listener.owner.tls is not None:
            self.request = listener.owner.tls.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
        super().setup()

    def handle(self) -> None:
        server = cast("_Listener", self.server).owner
        with suppress(OSError, ValueError):  # the client may go at any moment: killed, cut, content
            while (request := self._read()) is not None:
                server.requests.append(request)
                fault = server.faults.popleft() if server.faults else serve
                fault(Exchange(self, server, request))
                if fault is not serve:
                    return

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        cast("_Listener", self.server).discard(self.raw_socket)
        with suppress(OSError):
            self.request.close()

    def _read(self) -> Request | None:
        line = self.rfile.readline()
        if not line:
            return None
        method, target = line.decode().split()[:2]
        headers: dict[str, str] = {}
        while (field_line := self.rfile.readline().strip()) != b"":
            key, _, value = field_line.decode().partition(":")
            headers[key.lower()] = value.strip()
        size = len(cast("_Listener", self.server).owner.content)
        first, _, last = headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        return Request(
            token=target.partition("token=")[2],
            span=(int(first), int(last) + 1 if last else size),
            if_match=headers.get("if-match"),
            is_ranged="range" in headers,
            is_head=method == "HEAD",
        )
