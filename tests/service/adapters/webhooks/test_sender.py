"""An event goes to the address that was looked at, over TLS, once; and never inside."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.adapters.webhooks.sender import _HEAD_BYTES, PublicSender
from tests.service.domain.test_public_addresses import INSIDE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

HOST = "hooks.example.com"
URL = f"https://{HOST}/in?a=b"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Receiver:
    """A target on loopback: what it was sent, and how often somebody connected."""

    answer: bytes = OK
    pause: float = 0
    port: int = 0
    connected: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connected += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.requests.append(head + await reader.readexactly(length))
        await asyncio.sleep(self.pause)
        writer.write(self.answer)
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of the target's name with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(encoding)
    )
    return file


@asynccontextmanager
async def receiving(certificate: Path, receiver: Receiver) -> AsyncGenerator[Receiver]:
    """The target, while it listens."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls) as server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver


def anything(found: Sequence[str]) -> Sequence[str]:
    """A test's target is on loopback."""
    return found


def sender(certificate: Path, receiver: Receiver, *, inside: bool = True, **changes: Any) -> Any:
    """One that believes the target's certificate, and finds the name on loopback."""

    async def resolve(host: str) -> list[str]:
        assert host == HOST
        return ["127.0.0.1"]

    tls = ssl.create_default_context(cafile=str(certificate))
    known: dict[str, Any] = {"resolve": resolve, "port": receiver.port, "tls": tls}
    if inside:
        known["callable_of"] = anything
    return PublicSender(**known | changes)


def post(certificate: Path, receiver: Receiver, url: str = URL, **changes: Any) -> Any:
    """What came of one event that is sent to the target."""

    async def scenario() -> Any:
        async with receiving(certificate, receiver):
            made = sender(certificate, receiver, **changes)
            return await made.post(url, {"webhook-id": "evt_1"}, b'{"a":1}')

    return asyncio.run(scenario())


def test_an_event_is_posted_once(certificate: Path) -> None:
    """With its headers and body, to the path that was said; any 2xx is a success."""
    receiver = Receiver()
    sent = post(certificate, receiver)
    assert (sent.delivered, sent.outcome) == (True, "204")
    [request] = receiver.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /in?a=b HTTP/1.1"
    assert {f"Host: {HOST}", "webhook-id: evt_1", "Connection: close"} <= set(lines)
    assert body == b'{"a":1}'


@pytest.mark.parametrize("status", [301, 302, 307, 308, 200, 201, 400, 404, 410, 429, 500, 503])
def test_nothing_but_2xx_is_a_success(certificate: Path, status: int) -> None:
    """Where a redirect leads nobody goes, also if it leads to the task's credentials."""
    location = b"Location: http://169.254.170.2/v2/credentials\r\n"
    receiver = Receiver(answer=b"HTTP/1.1 %d X\r\n%bContent-Length: 0\r\n\r\n" % (status, location))
    sent = post(certificate, receiver)
    assert (sent.delivered, sent.outcome) == (status in {200, 201}, str(status))
    assert receiver.connected == 1


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
def test_a_name_that_leads_inside_is_not_called(certificate: Path, address: str) -> None:
    """Alone or among public ones; nothing is connected, whatever listens there."""
    receiver = Receiver()
    for found in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):

        async def resolve(_: str, found: list[str] = found) -> list[str]:
            return found

        sent = post(certificate, receiver, inside=False, resolve=resolve)
        assert (sent.delivered, sent.outcome) == (False, "not-public")
    assert receiver.connected == 0


def test_a_name_that_changes_is_asked_once(certificate: Path) -> None:
    """DNS rebinding: what is connected to is what was looked at, and looked at when connected."""
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["93.184.216.34" if len(asked) == 1 else "127.0.0.1"]

    looked_at: list[Sequence[str]] = []

    def looked(found: Sequence[str]) -> Sequence[str]:
        # The first look is passed, as a public address would: the socket then is on loopback.
        looked_at.append(found)
        return ["127.0.0.1"] if len(looked_at) == 1 else ()

    receiver = Receiver()
    sent = post(certificate, receiver, resolve=resolve, callable_of=looked)
    assert sent.outcome == "not-public"
    assert (asked, looked_at) == ([HOST], [["93.184.216.34"], ["127.0.0.1"]])
    assert receiver.requests == []


def test_a_certificate_proves_the_name(certificate: Path) -> None:
    """One that nobody believes, or of another name: nothing is sent."""
    receiver = Receiver()
    sent = post(certificate, receiver, tls=ssl.create_default_context())
    assert sent.outcome == "tls"

    async def resolve(_: str) -> list[str]:
        return ["127.0.0.1"]

    sent = post(certificate, receiver, "https://other.example.com/", resolve=resolve)
    assert sent.outcome == "tls"
    assert receiver.requests == []


def test_what_goes_wrong_is_an_outcome(certificate: Path) -> None:
    """Too slow, no HTTP, a head without an end, nobody there, no address, no target."""
    outcomes = [
        post(certificate, Receiver(pause=5), seconds=0.5).outcome,
        post(certificate, Receiver(answer=b"SSH-2.0-x\r\n")).outcome,
        post(certificate, Receiver(answer=b"HTTP/1.1 200 OK\r\nA: " + b"x" * 60_000)).outcome,
        post(certificate, Receiver(answer=b"")).outcome,
        post(certificate, Receiver(), port=1).outcome,
    ]
    assert outcomes == ["too-slow", "no-http", "no-http", "no-http", "no-connection"]

    async def unknown(_: str) -> list[str]:
        raise OSError("no such name")

    async def nowhere(_: str) -> list[str]:
        return []

    for resolve in (unknown, nowhere):
        assert post(certificate, Receiver(), resolve=resolve).outcome == "no-address"
    for url in ("http://hooks.example.com/", "https://127.0.0.1/", "https://a@hooks.example.com/"):
        receiver = Receiver()
        assert post(certificate, receiver, url).outcome == "no-target"
        assert receiver.connected == 0


@pytest.mark.parametrize(("beyond", "outcome"), [(0, "204"), (1, "no-http")])
def test_the_head_of_an_answer_is_bounded(certificate: Path, beyond: int, outcome: str) -> None:
    """It may be as long as the bound, and not a byte longer."""
    begin, end = b"HTTP/1.1 204 No Content\r\nA: ", b"\r\n\r\n"
    answer = begin.ljust(_HEAD_BYTES + beyond - len(end), b"x") + end
    assert post(certificate, Receiver(answer=answer)).outcome == outcome


def test_the_real_resolver_keeps_loopback_out(certificate: Path) -> None:
    """A name that this machine itself knows, by the sender as the worker has it."""
    receiver = Receiver()

    async def resolve(_: str) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo("localhost", 443)
        return [str(one[4][0]) for one in found]

    assert post(certificate, receiver, inside=False, resolve=resolve).outcome == "not-public"
    assert ipaddress.ip_address("127.0.0.1").is_loopback
    assert receiver.connected == 0
