"""Attacks on the HTTP layer over real sockets: each is bounded in size, number and time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from service.adapters.memory.metrics import MemoryMetrics
from service.bounded_server import BoundedServer
from service.ports.metrics import CONNECTIONS, REFUSED_BY_SERVER
from service.settings import HttpSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from service.ports.metrics import Counter, Gauge

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
QUICK = {"head_seconds": 0.2, "body_seconds": 0.2, "write_seconds": 0.2, "drain_seconds": 0.1}
LONG_SECONDS = 20  # what is bounded must be over long before


class ToldMetrics(MemoryMetrics):
    """Metrics that tell of each count, and of the server's own gauge ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def count(self, what: Counter, *labels: str, by: int = 1) -> None:
        """Tell of it."""
        super().count(what, *labels, by=by)
        self.changed.set()

    def gauge(self, what: Gauge, value: float, *labels: str) -> None:
        """Tell of it."""
        super().gauge(what, value, *labels)
        self.changed.set()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait for what is measured, or what changes beside it."""
        async with asyncio.timeout(LONG_SECONDS):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


class Attacked:
    """A server in this loop, whose application reads a body and answers with its length.

    Attributes:
        held: while it is clear, the application answers nobody.
        left: requests whose caller was gone before the body's end.
    """

    def __init__(self, **bounds: Any) -> None:
        settings: dict[str, Any] = {"shutdown_seconds": 5, **QUICK, **bounds}
        self.metrics = ToldMetrics()
        self.server = BoundedServer(
            self._answer,
            HttpSettings(**settings),
            self.metrics,
        )
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.address = self.listener.getsockname()
        self.held = asyncio.Event()
        self.held.set()
        self.started = asyncio.Event()
        self.left = 0

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            size, more = size + len(message["body"]), message["more_body"]
        self.started.set()
        await self.held.wait()
        body = b"x" * 4_000_000 if scope["path"] == "/much" else str(size).encode()
        head = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.open_connection(*self.address[:2])

    async def tell(self, *parts: bytes) -> bytes:
        """All that comes for these bytes until the server closes."""
        reader, writer = await self.open()
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        said = await _all_of(reader)
        writer.close()
        return said

    def refused(self, reason: str) -> int:
        """How often the HTTP layer refused for this reason."""
        return self.metrics.counts[REFUSED_BY_SERVER, (reason,)]


@contextlib.asynccontextmanager
async def attacked(**bounds: Any) -> AsyncGenerator[Attacked]:
    """A server that listens; it is ended afterwards."""
    one = Attacked(**bounds)
    serving = asyncio.ensure_future(one.server._serve([one.listener]))
    try:
        (await asyncio.wait_for(one.open(), 5))[1].close()
        yield one
    finally:
        one.held.set()
        one.server.should_exit = True
        await asyncio.wait_for(serving, LONG_SECONDS)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65_536), LONG_SECONDS):
            said += part
    return said


def run(attack: Coroutine[Any, Any, None]) -> None:
    """Run an attack on the loop that the service runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(attack)


def problem(said: bytes) -> dict[str, Any]:
    """The problem document of an answer that is one, and says that it is the last."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"Connection: close" in head
    return json.loads(body)


def test_a_head_or_body_that_never_ends_is_given_up() -> None:
    """Each of many heads and bodies that stop, or trickle, gets 408 in its time and is closed."""

    async def trickle(one: Attacked, begin: bytes, drop: bytes) -> bytes:
        reader, writer = await one.open()
        writer.write(begin)
        said = asyncio.ensure_future(_all_of(reader))
        with contextlib.suppress(ConnectionError):
            while not said.done():
                writer.write(drop)
                await writer.drain()
                await asyncio.wait([said], timeout=0.05)
        writer.close()
        return await said

    async def attack() -> None:
        post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with attacked() as one:
            heads = await asyncio.gather(*(one.tell(GET) for _ in range(50)))
            bodies = await asyncio.gather(*(one.tell(post, b"x") for _ in range(50)))
            trickled = await asyncio.gather(
                trickle(one, GET, b"A"),
                trickle(one, post, b"x"),
                trickle(one, chunked, b"1\r\nx\r\n"),
            )
            assert {problem(said)["type"] for said in heads} == {
                "urn:cedarfleet:problem:head-too-slow"
            }
            assert {problem(said)["type"] for said in bodies} == {
                "urn:cedarfleet:problem:body-too-slow"
            }
            assert [problem(said)["status"] for said in trickled] == [408, 408, 408]
            assert (one.refused("head-too-slow"), one.refused("body-too-slow")) == (51, 52)
            # The application was told of each caller that was given up, and is free again.
            assert one.left == 52
            assert not one.server.server_state.tasks

    run(attack())


def test_a_silent_connection_is_closed_without_an_answer() -> None:
    """Who says nothing is closed in a head's time, and line ends between requests save nobody."""

    async def attack() -> None:
        async with attacked(keep_alive_seconds=1) as one:
            assert await asyncio.gather(*(one.tell() for _ in range(50))) == [b""] * 50
            assert one.refused("silent") == 50
            reader, writer = await one.open()
            writer.write(GET + b"\r\n")
            assert await reader.readuntil(b"\r\n\r\n0")
            closed = asyncio.ensure_future(_all_of(reader))
            with contextlib.suppress(ConnectionError):
                while not closed.done():
                    writer.write(b"\r\n")
                    await writer.drain()
                    await asyncio.wait([closed], timeout=0.1)
            assert await closed == b""
            writer.close()

    run(attack())


def test_a_head_is_bounded_in_bytes_and_fields() -> None:
    """5,000 fields, a field of 1 MB, an endless one and a long path get 431 and their limit."""

    async def attack() -> None:
        async with attacked(head_seconds=5) as one:
            many = b"".join(b"A%d: 1\r\n" % number for number in range(5_000))
            for parts, limit in (
                ((GET, many, b"\r\n"), "100 header fields"),
                ((GET, b"A: ", b"x" * 1_000_000, b"\r\n\r\n"), "65536 bytes"),
                ((GET, b"A: ", *[b"x" * 10_000] * 500), "65536 bytes"),
                ((GET + b"A: " + b"x" * 70_000 + b"\r\n\r\n",), "65536 bytes"),
                ((b"GET /", b"x" * 70_000, b" HTTP/1.1\r\nHost: x\r\n\r\n"), "65536 bytes"),
            ):
                refused = problem(await one.tell(*parts))
                assert refused["status"] == 431
                assert refused["detail"].endswith(f"of more than {limit}") or limit in str(refused)
            most = GET + b"".join(b"A%d: 1\r\n" % n for n in range(98)) + b"Connection: close\r\n"
            assert (await one.tell(most, b"\r\n")).startswith(b"HTTP/1.1 200")

    run(attack())


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no-host"),
        (GET + b"Host: y\r\n\r\n", "no-host"),
        (b"HELO example.org\r\n\r\n", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01", "malformed"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "malformed"),
    ],
)
def test_what_is_not_of_http_is_told_so(request_: bytes, reason: str) -> None:
    """No or two hosts, another protocol, two lengths: 400 with its reason, and the end."""

    async def attack() -> None:
        async with attacked() as one:
            said = await one.tell(request_)
            refused = problem(said)
            assert (refused["status"], refused["type"].rpartition(":")[2]) == (400, reason)
            assert b"Retry-After" not in said, "the same again is refused again"

    run(attack())


def test_an_upgrade_is_answered_as_a_plain_request() -> None:
    """Websocket and HTTP/2 are not spoken: the request beside is answered, and that is the end."""

    async def attack() -> None:
        async with attacked() as one:
            for protocol in (b"websocket", b"h2c"):
                said = await one.tell(
                    GET + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
                )
                assert said.startswith(b"HTTP/1.1 200")
                assert b"connection: close" in said

    run(attack())


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    """Who asks for much and reads nothing loses the connection, and holds no buffer."""

    async def attack() -> None:
        async with attacked() as one:
            asking = socket.socket()
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            asking.connect(one.address)
            asking.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
            await asyncio.wait_for(one.started.wait(), 5)
            await one.metrics.until(lambda: one.refused("answer-not-read") == 1)
            await asyncio.wait_for(one.server.server_state.emptied.wait(), 5)
            asking.close()

    run(attack())


def test_connections_and_open_requests_have_a_most() -> None:
    """A connection too many is closed, a request too many gets 503; a health check is answered."""

    async def attack() -> None:
        async with attacked(connections_max=20, requests_max=5, head_seconds=5) as one:
            one.held.clear()
            busy = [await one.open() for _ in range(5)]
            for _, writer in busy:
                writer.write(GET + b"\r\n")
            await one.metrics.until(lambda: len(one.server.server_state.tasks) == 5)
            said = await one.tell(GET + b"\r\n")
            refused = problem(said)
            assert (refused["status"], refused["type"].rpartition(":")[2]) == (503, "overloaded")
            assert b"Retry-After: 1\r\n" in said
            alive = asyncio.ensure_future(
                one.tell(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            )
            await one.metrics.until(lambda: len(one.server.server_state.tasks) == 6)
            one.held.set()
            assert (await alive).startswith(b"HTTP/1.1 200")
            silent = [await one.open() for _ in range(15)]
            await one.metrics.until(lambda: len(one.server.server_state.connections) == 20)
            assert await one.tell(GET) == b""
            assert one.refused("too-many-connections") == 1
            await one.metrics.until(lambda: one.metrics.gauges.get((CONNECTIONS, ())) == 20)
            for _, writer in busy + silent:
                writer.close()

    run(attack())


def test_the_end_loses_no_request_of_a_full_listen_queue() -> None:
    """400 connections that nobody accepted yet, each with a request: all are answered, and last."""

    async def attack() -> None:
        one = Attacked(drain_seconds=0.2)
        one.server.config.load()
        one.server.lifespan = one.server.config.lifespan_class(one.server.config)
        await one.server.startup([one.listener])
        waiting = [socket.create_connection(one.address[:2]) for _ in range(400)]
        for connection in waiting:
            connection.sendall(GET + b"\r\n")
        # Nothing was awaited since the first of them: the loop has accepted none.
        ending = asyncio.ensure_future(one.server.shutdown([one.listener]))
        said = await asyncio.gather(*(_read(connection) for connection in waiting))
        await asyncio.wait_for(ending, LONG_SECONDS)
        assert sum(one.startswith(b"HTTP/1.1 200") for one in said) == 400
        assert sum(b"connection: close" in one for one in said) == 400

    run(attack())


def test_a_kept_connection_learns_that_the_server_ends() -> None:
    """Between signal and end, each answer on old and new connections says that it is the last."""

    async def attack() -> None:
        async with attacked(drain_seconds=5, head_seconds=5) as one:
            kept = [await one.open() for _ in range(2)]
            for reader, writer in kept:
                writer.write(GET + b"\r\n")
                assert b"connection: close" not in await reader.readuntil(b"\r\n\r\n0")
            one.server.should_exit = True
            await one.metrics.until(lambda: one.server.server_state.ending)
            assert b"connection: close" in await one.tell(GET + b"\r\n")
            for reader, writer in kept:
                writer.write(GET + b"\r\n")
                assert b"connection: close" in await _all_of(reader)
                writer.close()

    run(attack())


async def _read(connection: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=connection)
    said = await _all_of(reader)
    writer.close()
    return said
