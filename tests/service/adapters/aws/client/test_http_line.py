"""The line over real sockets: connections are kept, and whatever breaks is known for what it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import botocore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.adapters.aws.client.connection import MAX_ANSWER_BYTES, MAX_HEAD_BYTES
from service.adapters.aws.client.failures import NoAnswerError
from service.adapters.aws.client.line import HttpLine, Reply, Request
from service.errors import ConfigurationError
from service.settings import AwsSettings
from tests.device_sdk.downloads.self_signed import make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

SETTINGS: Final = AwsSettings(region="eu-central-1", connect_seconds=0.2)
FINE: Final = b"HTTP/1.1 200 OK\r\nX-Amzn-RequestId: r\r\nContent-Length: 2\r\n\r\n{}"

CHUNKED: Final = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
)


class Peer:
    """Whoever answers, with the same bytes each time; then the line stays open, ends, or hangs.

    Attributes:
        requests: heads and bodies that came.
        connections: how many were made.
        answers: of one connection, before the next request ends it; ``None``: all.
        asked: set once a request came.
        ended: set once a connection is over.
    """

    def __init__(self, said: bytes, *, then: str, answers: int | None = None) -> None:
        self.said, self.then, self.answers = said, then, answers
        self.asked, self.ended = asyncio.Event(), asyncio.Event()
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        left = self.answers
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                sizes = [line for line in head.lower().split("\r\n") if "content-length" in line]
                size = int(sizes[0].partition(":")[2]) if sizes else 0
                self.requests.append((head, await reader.readexactly(size)))
                self.asked.set()
                if left is not None:
                    left -= 1
                    if left < 0:
                        return
                writer.write(self.said)
                await writer.drain()
                if self.then == "end":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def line_to(
    said: bytes, *, then: str = "stay", answers: int | None = None
) -> AsyncGenerator[tuple[HttpLine, Peer, str]]:
    """A line, its peer and the peer's address."""
    peer, line = Peer(said, then=then, answers=answers), HttpLine(SETTINGS)
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
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "stay"),
        (CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n", 1), "stay"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "end"),  # nobody can tell it from one that was cut off
        (b"HTTP/1.1 101 Switching\r\nUpgrade: h\r\nConnection: upgrade\r\n\r\n", "stay"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n" + FINE[17:], "stay"),
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


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        (CHUNKED, {"transfer-encoding": "chunked"}),
        (b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + FINE, {"x-amzn-requestid": "r"}),
        (FINE.replace(b"X-Amzn-RequestId", b"A: 1\r\na"), {"a": "1, r"}),
    ],
)
def test_every_form_of_an_answer_is_read(said: bytes, headers: dict[str, str]) -> None:
    """In chunks, after word that it will come, and with a header that stands twice."""

    async def scenario() -> None:
        async with line_to(said) as (line, peer, url):
            for _ in range(2):
                reply = await line.send(request(url), seconds=5)
                assert (reply.status, reply.body) == (200, b"{}")
                assert headers.items() <= reply.headers.items()
            assert peer.connections == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "said",
    [
        FINE + FINE,  # an answer to nothing that was asked
        FINE.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        FINE.replace(b"1.1", b"1.0", 1),
    ],
)
def test_a_connection_of_doubt_serves_one_request(said: bytes) -> None:
    """Whatever is left on it would be taken for the next request's answer."""

    async def scenario() -> None:
        async with line_to(said) as (line, peer, url):
            for _ in range(2):
                reply = await line.send(request(url), seconds=5)
                assert (reply.status, reply.body) == (200, b"{}")
            assert peer.connections == 2

    asyncio.run(scenario())


def test_a_body_to_head_ends_the_connection() -> None:
    """The answer to HEAD has none, so nobody knows where it ends."""

    async def scenario() -> None:
        async with line_to(FINE) as (line, peer, url):
            for _ in range(2):
                reply = await line.send(request(url, method="HEAD", body=b""), seconds=5)
                assert (reply.status, reply.body) == (200, b"")
            assert peer.connections == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_a_kept_connection_that_ends_is_known(method: str) -> None:
    """What changes nothing is asked again on a new one; else whoever asked learns of the loss."""
    no_body = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def scenario() -> None:
        async with line_to(no_body, answers=1) as (line, peer, url):
            asked = request(url, method=method, body=b"")
            await line.send(asked, seconds=5)
            if method in {"GET", "HEAD"}:
                assert (await line.send(asked, seconds=5)).status == 204
                assert (peer.connections, len(peer.requests)) == (2, 3)
                return
            with pytest.raises(NoAnswerError) as caught:
                await line.send(asked, seconds=5)
            assert caught.value.is_lost
            assert (peer.connections, len(peer.requests)) == (1, 2)

    asyncio.run(scenario())


def test_who_leaves_takes_the_connection_along() -> None:
    """The answer that nobody waits for any more is never another one's."""

    async def scenario() -> None:
        async with line_to(FINE) as (line, peer, url):
            await line.send(request(url), seconds=5)
            peer.said = b""
            peer.asked.clear()
            asking = asyncio.ensure_future(line.send(request(url), seconds=5))
            await peer.asked.wait()
            asking.cancel()
            await asyncio.wait([asking])
            await peer.ended.wait()
            peer.said = FINE
            assert (await line.send(request(url), seconds=5)).body == b"{}"
            assert peer.connections == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("/a\r\nX-Amz-Target: Other", "u"),
        ("/a HTTP/1.1", "u"),
        ("/", "u\r\nX-Amz-Target: Other"),
        ("/", "u\n\nPOST / HTTP/1.1"),
        ("/", "u\0"),
        ("?x=1", "u"),
        ("@example.com/", "u"),
    ],
)
def test_no_parameter_becomes_a_line_of_the_head(address: str, header: str) -> None:
    """What could be read as another request is not sent."""

    async def scenario() -> None:
        async with line_to(FINE) as (line, peer, url):
            asked = replace(request(f"{url}{address}"), headers={"User-Agent": header})
            with pytest.raises(NoAnswerError) as caught:
                await line.send(asked, seconds=5)
            assert not caught.value.is_lost
            assert peer.requests == []

    asyncio.run(scenario())


def test_only_whom_we_trust_is_asked(tmp_path: Path) -> None:
    """By TLS with its name and authority; a stranger, or one under another name, gets no byte."""
    certificate, key = make_certificate(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    trust = ssl.create_default_context(cafile=certificate)

    async def scenario() -> None:
        peer = Peer(FINE, then="stay")
        hosts = ["127.0.0.1", "127.0.0.2"]
        server = await asyncio.start_server(peer.serve, hosts, 0, ssl=served)
        ports = dict(one.getsockname()[:2] for one in server.sockets)
        port, other = (ports[host] for host in hosts)
        known, strict = HttpLine(SETTINGS, trust=trust), HttpLine(SETTINGS)
        try:
            reply = await known.send(request(f"https://localhost:{port}"), seconds=5)
            assert reply.status == 200
            strangers = ((known, f"127.0.0.2:{other}"), (strict, f"localhost:{port}"))
            for line, host in strangers:
                with pytest.raises(NoAnswerError) as caught:
                    await line.send(request(f"https://{host}"), seconds=5)
                assert not caught.value.is_lost
            assert len(peer.requests) == 1
        finally:
            await known.close()
            await strict.close()
            server.close()

    asyncio.run(scenario())


def test_a_connection_that_nobody_needs_is_ended() -> None:
    """Of those that were kept, whatever was used last stays; nothing is kept of the others."""

    async def scenario() -> None:
        async with line_to(FINE) as (line, peer, url):
            await asyncio.gather(*(line.send(request(url), seconds=5) for _ in range(2)))
            [kept] = line._idle.values()
            old, new = kept
            old.idle_since -= 1_000
            line._prune(asyncio.get_running_loop())
            assert [*kept] == [new]
            assert line._pruning is not None, "it is looked at again"
            assert not old.is_usable
            await asyncio.wait_for(peer.ended.wait(), 20)
            assert (await line.send(request(url), seconds=5)).status == 200
            assert peer.connections == 2
            new.idle_since -= 1_000
            line._prune(asyncio.get_running_loop())
            assert (line._idle, line._pruning) == ({}, None)
            await line.send(request(url), seconds=5)
            [[kept_to_the_end]] = line._idle.values()
            await line.close()
            assert not kept_to_the_end.is_usable

    asyncio.run(scenario())


def revocations() -> str:
    """A file in PEM form that names no authority: a list of what one took back."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
    signed = made.next_update(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("content", [None, "", "no certificate", revocations()])
def test_a_wrong_bundle_is_told_at_the_start(tmp_path: Path, content: str | None) -> None:
    """A file that is not there, or holds none: else each call would fail, or nobody be checked."""
    bundle = tmp_path / "authorities.pem"
    if content is not None:
        bundle.write_text(content, encoding="ascii")
    with pytest.raises(ConfigurationError, match=f"AWS_CA_BUNDLE is `{bundle}`"):
        HttpLine(replace(SETTINGS, ca_bundle=str(bundle)))
    own = Path(botocore.__file__).parent / "cacert.pem"
    assert HttpLine(replace(SETTINGS, ca_bundle=str(own)))._trust is not None
