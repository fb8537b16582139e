"""Signing keys from a real HTTP server: fetched once for many, and not at an attacker's pace."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.signing_keys import JwksKeys, read_key_set
from service.adapters.memory.user_pool import MemoryUserPool
from service.errors import UnavailableError
from service.settings import AwsSettings, JwksSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class JwksServer:
    """What the server answers, and what it was asked."""

    url_template: str = ""
    status: int = 200
    body: bytes = b""
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture
def server() -> Iterator[JwksServer]:
    """A JWKS address on loopback."""
    state = JwksServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_response(state.status)
            if state.status == 302:
                self.send_header("Location", state.url_template.format(pool="elsewhere"))
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        # The base class's signature.
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - see above
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url_template = (
            f"http://127.0.0.1:{http.server_address[1]}/{{pool}}/.well-known/jwks.json"
        )
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def calls() -> Iterator[AwsCalls]:
    """The pool that fetches run on."""
    made = AwsCalls(
        AwsSettings(region="eu-central-1", threads=4, max_waiting=100, deadline_seconds=5)
    )
    yield made
    made.close()


def jwk(pool: MemoryUserPool, **changes: object) -> dict[str, Any]:
    """The pool's public key as Cognito publishes it."""
    public = json.loads(RSAAlgorithm.to_jwk(pool.key.public_key()))
    return {
        "kty": "RSA",
        "n": public["n"],
        "e": public["e"],
        "kid": pool.key_id,
        "use": "sig",
        "alg": "RS256",
    } | changes


def test_a_pool_is_asked_once_for_many_callers(server: JwksServer, calls: AwsCalls) -> None:
    """50 callers make one fetch, made-up key ids one more per interval; then a new key is found."""
    pool = MemoryUserPool("acme")
    server.body = json.dumps({"keys": [jwk(pool)]}).encode()
    clock = [0.0]
    keys = JwksKeys(
        JwksSettings(url_template=server.url_template, cache_seconds=3600, again_seconds=30),
        calls=calls,
        timeout_seconds=2,
        clock=lambda: clock[0],
    )

    async def scenario() -> None:
        found = await asyncio.gather(*(keys.find(pool.tenant, pool.key_id) for _ in range(50)))
        assert all(key is not None for key in found)
        assert server.asked == [f"/{pool.tenant.pool_id}/.well-known/jwks.json"]
        for number in range(20):
            assert await keys.find(pool.tenant, f"made-up-{number}") is None
        assert len(server.asked) == 1
        server.body = json.dumps({"keys": [jwk(pool, kid="rotated")]}).encode()
        clock[0] = 31
        assert await keys.find(pool.tenant, "rotated") is not None
        assert await keys.find(pool.tenant, pool.key_id) is None  # a removed key proves nothing
        assert len(server.asked) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (404, b"{}"),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": 1}'),
        (200, b" " * 70_000),
    ],
)
def test_an_address_that_gives_no_key_set_proves_nothing(
    server: JwksServer, calls: AwsCalls, status: int, body: bytes
) -> None:
    """Errors, redirects, other documents and floods are our outage, never an accepted token."""
    server.status, server.body = status, body
    pool = MemoryUserPool("acme")
    keys = JwksKeys(
        JwksSettings(url_template=server.url_template, cache_seconds=3600, again_seconds=30),
        calls=calls,
        timeout_seconds=2,
    )

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await keys.find(pool.tenant, pool.key_id)

    asyncio.run(scenario())
    assert len(server.asked) == 1


@pytest.mark.parametrize(("more", "taken"), [(0, True), (1, False)])
def test_a_key_set_is_read_up_to_its_bound(
    server: JwksServer, calls: AwsCalls, more: int, taken: bool
) -> None:
    """64 KiB; one byte more, though all of it is good, is refused."""
    pool = MemoryUserPool("acme")
    keys_ = json.dumps({"keys": [jwk(pool)]}).encode()
    server.body = keys_ + b" " * (64 * 1024 - len(keys_) + more)
    keys = JwksKeys(JwksSettings(url_template=server.url_template), calls=calls, timeout_seconds=2)
    if taken:
        assert asyncio.run(keys.find(pool.tenant, pool.key_id)) is not None
    else:
        with pytest.raises(UnavailableError):
            asyncio.run(keys.find(pool.tenant, pool.key_id))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/9.9 two\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_an_outage(calls: AwsCalls, answer: bytes) -> None:
    """Whatever the address answers instead, broken off or of another protocol: no keys now."""
    pool = MemoryUserPool("acme")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(65_536)
                line.sendall(answer)
                line.shutdown(socket.SHUT_WR)
                line.recv(65_536)

        thread = threading.Thread(target=serve)
        thread.start()
        template = f"http://127.0.0.1:{listening.getsockname()[1]}/{{pool}}"
        keys = JwksKeys(JwksSettings(url_template=template), calls=calls, timeout_seconds=5)
        with pytest.raises(UnavailableError):
            asyncio.run(keys.find(pool.tenant, pool.key_id))
        thread.join()


@pytest.mark.parametrize("template", ["{pool}", "http:///{pool}", "http://127.0.0.1:1/{pool}"])
def test_an_address_without_a_host_is_an_outage(calls: AwsCalls, template: str) -> None:
    """So is one where nobody listens."""
    pool = MemoryUserPool("acme")
    keys = JwksKeys(JwksSettings(url_template=template), calls=calls, timeout_seconds=2)
    with pytest.raises(UnavailableError):
        asyncio.run(keys.find(pool.tenant, pool.key_id))


@dataclass
class Held:
    """Keys of one pool, whose clock and server the test turns."""

    server: JwksServer
    calls: AwsCalls
    grace_seconds: float = 50
    clock: float = 0.0
    pool: MemoryUserPool = field(default_factory=lambda: MemoryUserPool("acme"))

    def __post_init__(self) -> None:
        """The pool publishes its key."""
        self.server.body = json.dumps({"keys": [jwk(self.pool)]}).encode()
        settings = JwksSettings(
            url_template=self.server.url_template,
            cache_seconds=100,
            grace_seconds=self.grace_seconds,
            again_seconds=30,
        )
        self.keys = JwksKeys(
            settings, calls=self.calls, timeout_seconds=2, clock=lambda: self.clock
        )

    async def find(self, at: float, key_id: str | None = None) -> bool:
        """Whether there is such a key at this second; no fetch is under way afterwards."""
        self.clock = at
        found = await self.keys.find(self.pool.tenant, key_id or self.pool.key_id)
        await asyncio.gather(*self.keys._fetches._flights.values(), return_exceptions=True)
        return found is not None

    async def fails(self, at: float, key_id: str | None = None) -> bool:
        """Whether nobody can tell at this second."""
        try:
            await self.find(at, key_id)
        except UnavailableError:
            return True
        return False


def test_keys_are_fetched_anew_while_they_are_used(server: JwksServer, calls: AwsCalls) -> None:
    """From the 80th of a hundred seconds on, and a key that is gone then is refused."""

    async def scenario() -> None:
        held = Held(server, calls)
        assert await held.find(0)
        assert await held.find(79.9)
        assert len(server.asked) == 1
        assert await held.find(80)
        assert len(server.asked) == 2
        assert await held.find(159.9)
        assert len(server.asked) == 2
        server.body = json.dumps({"keys": [jwk(held.pool, kid="rotated")]}).encode()
        assert await held.find(160)  # this one's answer comes too late for it
        assert not await held.find(161)
        assert await held.find(161, "rotated")
        assert len(server.asked) == 3

    asyncio.run(scenario())


def test_good_keys_are_used_for_a_grace(server: JwksServer, calls: AwsCalls) -> None:
    """While the address gives none, and it is asked every two seconds; then nothing is proved."""

    async def scenario() -> None:
        held = Held(server, calls)
        assert await held.find(0)
        server.status = 500
        for at, asked in ((99.9, 2), (100, 2), (101.9, 3), (103.8, 3), (149.9, 4)):
            assert await held.find(at)
            assert len(server.asked) == asked
        assert await held.fails(150)
        assert await held.fails(200)
        server.status = 200
        assert await held.find(202)
        # Without an outage there is no grace: a removed key is refused at its time.
        server.body = json.dumps({"keys": [jwk(held.pool, kid="rotated")]}).encode()
        assert not await held.find(302)

    asyncio.run(scenario())


def test_a_new_key_proves_nothing_in_an_outage(server: JwksServer, calls: AwsCalls) -> None:
    """Nobody knows whether the pool has it; what is known stays good, for as long as before."""

    async def scenario() -> None:
        held = Held(server, calls, grace_seconds=0)
        assert await held.find(0)
        server.status = 500
        assert not await held.find(29.9, "made-up")  # the pool was asked a moment ago
        assert await held.fails(70, "made-up")
        assert await held.fails(71, "made-up")
        assert len(server.asked) == 2
        assert await held.find(71)
        assert await held.fails(100)
        server.status = 200
        assert await held.find(102)
        assert not await held.find(131.9, "made-up")
        assert len(server.asked) == 4
        assert not await held.find(132, "made-up")
        assert len(server.asked) == 5

    asyncio.run(scenario())


def test_a_hanging_address_is_waited_for_once(calls: AwsCalls) -> None:
    """Forty callers wait for one fetch and share its failure, instead of one behind the other."""
    pool = MemoryUserPool("acme")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        template = f"http://127.0.0.1:{silent.getsockname()[1]}/{{pool}}"
        keys = JwksKeys(JwksSettings(url_template=template), calls=calls, timeout_seconds=0.2)

        async def scenario() -> None:
            asking = (keys.find(pool.tenant, pool.key_id) for _ in range(40))
            answers = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(answer) for answer in answers} == {UnavailableError}

        asyncio.run(scenario())
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_only_proper_public_keys_are_read() -> None:
    """Other types, uses and algorithms, private and short keys, and those without an id are not."""
    pool = MemoryUserPool("acme")
    bits = 1024  # what must be refused
    short = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    weak = json.loads(RSAAlgorithm.to_jwk(short.public_key()))
    entries: list[Any] = [
        jwk(pool),
        jwk(pool, kid="enc", use="enc"),
        jwk(pool, kid="ps", alg="PS256"),
        jwk(pool, kid="ec", kty="EC"),
        jwk(pool, kid="private", d="AQAB"),
        jwk(pool, kid=7),
        jwk(pool, kid="broken", n="!"),
        weak | {"kid": "weak"},
        "text",
        None,
    ]
    assert set(read_key_set(json.dumps({"keys": entries}).encode())) == {pool.key_id}
