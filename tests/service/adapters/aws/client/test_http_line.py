"""The line over real sockets: connections are kept, and whatever breaks is known for what it is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from service.adapters.aws.client.failures import NoAnswerError
from service.adapters.aws.client.line import MAX_ANSWER_BYTES, HttpLine, Reply, Request
from service.settings import AwsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

SETTINGS: Final = AwsSettings(region="eu-central-1", connect_seconds=0.2)
FINE: Final = b"HTTP/1.1 200 OK\r\nX-Amzn-RequestId: r\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """Whoever answers, with the same bytes each time; then the line stays open, ends, or hangs.

    Attributes:
        requests: heads and bodies that came.
        connections: how many were made.
    """

    def __init__(self, said: bytes, *, then: str) -> None:
        self.said, self.then = said, then
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                sizes = [line for line in head.lower().split("\r\n") if "content-length" in line]
                size = int(sizes[0].partition(":")[2]) if sizes else 0
                self.requests.append((head, await reader.readexactly(size)))
                writer.write(self.said)
                await writer.drain()
                if self.then == "end":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def line_to(said: bytes, *, then: str = "stay") -> AsyncGenerator[tuple[HttpLine, Peer, str]]:
    """A line, its peer and the peer's address."""
    peer, line = Peer(said, then=then), HttpLine(SETTINGS)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield line, peer, f"http://{host}:{port}"
    finally:
        await line.close()
        server.close()


def request(url: str, *, method: str = "POST", body: bytes = b"{}") -> Request:
    """One request to there."""
    return Request(
        service="dynamodb",
        operation="GetItem",
        parameters={},
        method=method,
        url=url,
        headers={"X-Amz-Target": "T", "User-Agent": "u"},
        body=body,
    )


def asked(ask: Callable[[HttpLine, Peer, str], Awaitable[Reply]], said: bytes, then: str) -> Reply:
    """What comes of asking."""

    async def scenario() -> Reply:
        async with line_to(said, then=then) as (line, peer, url):
            return await ask(line, peer, url)

    return asyncio.run(scenario())


def test_one_connection_serves_many_requests() -> None:
    """It is kept; what is sent is what was signed: the address and no header beside ours."""

    async def scenario() -> None:
        async with line_to(FINE) as (line, peer, url):
            address = f"{url}/topics/a%2Fb%20c?qos=1&x=%7E"
            for _ in range(2):
                await line.send(request(address), seconds=5)
            reply = await line.send(request(address), seconds=5)
            assert (reply.status, reply.body) == (200, b"{}")
            assert reply.headers["x-amzn-requestid"] == "r"
            assert peer.connections == 1
            head, body = peer.requests[-1]
            assert body == b"{}"
            first, *rest = head.strip().split("\r\n")
            assert first == "POST /topics/a%2Fb%20c?qos=1&x=%7E HTTP/1.1"
            names = sorted(line.partition(":")[0].lower() for line in rest)
            assert names == ["content-length", "host", "user-agent", "x-amz-target"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (b"", "end"),
        (b"", "stay"),
        (FINE[:40], "end"),
        (FINE[:40], "stay"),
        (FINE[:-1], "end"),
        (FINE[:-1], "stay"),
        (b"\x16\x03\x01 no http at all\r\n\r\n", "stay"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "stay"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", "stay"),
    ],
)
def test_half_an_answer_is_none(said: bytes, then: str) -> None:
    """Closed or silent at any point, or no HTTP: AWS may have done it, and nobody waits on."""

    async def ask(line: HttpLine, _: Peer, url: str) -> Reply:
        return await line.send(request(url), seconds=0.1)

    with pytest.raises(NoAnswerError) as caught:
        asked(ask, said, then)
    assert caught.value.is_lost
    assert "no http" not in str(caught.value)


def test_an_endless_answer_is_given_up() -> None:
    """Nothing of AWS says so much, so no more of it is kept."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def ask(line: HttpLine, _: Peer, url: str) -> Reply:
        return await line.send(request(url), seconds=30)

    with pytest.raises(NoAnswerError, match="too long"):
        asked(ask, head + chunk * (MAX_ANSWER_BYTES // 0x10000 + 2), "stay")


def test_where_nobody_listens_nothing_was_done() -> None:
    """So anything may be asked again."""

    async def scenario() -> None:
        async with line_to(FINE) as (_, _, url):
            pass
        line = HttpLine(SETTINGS)
        try:
            with pytest.raises(NoAnswerError) as caught:
                await line.send(request(url), seconds=1)
        finally:
            await line.close()
        assert not caught.value.is_lost

    asyncio.run(scenario())


def test_an_answer_that_sends_elsewhere_is_not_followed() -> None:
    """A signed request goes to the one it was signed for."""
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"

    async def ask(line: HttpLine, _: Peer, url: str) -> Reply:
        return await line.send(request(url), seconds=5)

    assert asked(ask, moved, "stay").status == 307


def test_an_answer_to_head_has_no_body() -> None:
    """However long the object is that it tells of."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nETag: e\r\n\r\n"

    async def ask(line: HttpLine, _: Peer, url: str) -> Reply:
        return await line.send(request(url, method="HEAD", body=b""), seconds=5)

    reply = asked(ask, head, "stay")
    assert (reply.body, reply.headers["content-length"]) == (b"", "99999999999")
