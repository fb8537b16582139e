"""One connection of the HTTP layer on a line that a test holds: each moment is the test's own."""

from __future__ import annotations

import asyncio
from typing import Any

from service.adapters.memory.metrics import MemoryMetrics
from service.api.request_state import FAREWELL
from service.bounded_server import BoundedServer
from service.http_protocol import BoundedProtocol
from service.settings import HttpSettings

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
LONG_SECONDS = 20  # what is bounded must be over long before


class Line(asyncio.Transport):
    """What a connection is written to; asyncio's words to the protocol are the test's to say.

    Attributes:
        written: all of it.
        wrote: set with each write.
        closed: set once nothing more is written.
        cut: set once what was not read is given up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.wrote, self.closed, self.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += bytes(data)
        self.wrote.set()

    def close(self) -> None:
        """See `closed`."""
        self.closed.set()

    def is_closing(self) -> bool:
        """Whether it is closed or cut."""
        return self.closed.is_set() or self.cut.is_set()

    def abort(self) -> None:
        """See `cut`."""
        self.cut.set()

    async def until(self, words: bytes) -> None:
        """Wait for what is written."""
        async with asyncio.timeout(LONG_SECONDS):
            while words not in self.written:
                self.wrote.clear()
                await self.wrote.wait()


async def within(event: asyncio.Event) -> None:
    """Wait for what is bounded."""
    await asyncio.wait_for(event.wait(), LONG_SECONDS)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer `ok`, or begin a stream with a farewell that ends once its reader is given up."""
    if scope["path"] == "/stream":
        scope["state"][FAREWELL] = b"bye"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    head = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def connected(**bounds: Any) -> tuple[BoundedProtocol, Line]:
    """A connection of a server in this loop."""
    known: dict[str, Any] = {"write_seconds": 0.1, "head_seconds": LONG_SECONDS, **bounds}
    settings = HttpSettings(**known)
    metrics = MemoryMetrics()
    server = BoundedServer(answer, settings, metrics)
    protocol = BoundedProtocol(
        bounds=settings,
        metrics=metrics,
        config=server.config,
        server_state=server.server_state,
        app_state={},
    )
    line = Line()
    protocol.connection_made(line)
    return protocol, line


def test_an_end_waits_for_a_head_that_is_on_its_way() -> None:
    """Half a head at the signal: it is answered once it is whole; a kept one is closed at once."""

    async def scenario() -> None:
        protocol, line = connected()
        protocol.data_received(ASKED)
        protocol.shutdown()
        assert not line.is_closing()
        protocol.data_received(b"\r\n")
        await line.until(b"\r\n\r\nok")
        kept, idle = connected()
        kept.data_received(ASKED + b"\r\n")
        await idle.until(b"\r\n\r\nok")
        kept.shutdown()
        assert idle.is_closing()

    asyncio.run(scenario())


def test_what_is_left_of_a_closing_connection_is_timed() -> None:
    """Also once most of it was read; on one that stays open, who reads again has time again."""

    async def scenario() -> None:
        staying, open_line = connected()
        staying.data_received(ASKED + b"\r\n")
        await open_line.until(b"\r\n\r\nok")
        staying.pause_writing()
        staying.resume_writing()
        ending, line = connected()
        ending.data_received(ASKED + b"Connection: close\r\n\r\n")
        await within(line.closed)
        ending.pause_writing()
        ending.resume_writing()
        await within(line.cut)
        assert not open_line.is_closing()

    asyncio.run(scenario())


def test_a_stream_that_nobody_reads_ends_with_its_farewell() -> None:
    """Behind what was written, as its last chunk; then it is closed, and cut if nobody reads."""

    async def scenario() -> None:
        protocol, line = connected()
        protocol.data_received(STREAM)
        await line.until(b"first")
        protocol.pause_writing()
        await line.until(b"bye")
        assert line.written.endswith(b"3\r\nbye\r\n0\r\n\r\n")
        assert line.closed.is_set()
        assert not line.cut.is_set()
        await within(line.cut)

    asyncio.run(scenario())
