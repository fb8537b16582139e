"""The download's own TLS stream, against a server whose records the test holds in its hands."""

from __future__ import annotations

import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cedarfleet_device.downloads.range_client.answers import TryAgainError
from cedarfleet_device.downloads.range_client.connection import RangeConnection
from cedarfleet_device.downloads.range_client.tls import TlsStream
from cedarfleet_device.downloads.range_client.url import parse_address

from tests.device_sdk.downloads.self_signed import make_certificate

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

RECORD = 16 * 1024


class Ends(NamedTuple):
    """Both ends of one connection; ``seal`` gives records that were not sent yet."""

    client: TlsStream
    server: socket.socket
    tls: ssl.SSLObject
    outgoing: ssl.MemoryBIO

    def seal(self, data: bytes) -> bytes:
        """The records of ``data``."""
        assert self.tls.write(data) == len(data)
        return self.outgoing.read()


class TlsSockets(NamedTuple):
    """A pair of connected sockets, and the certificate of the one that serves."""

    below: socket.socket
    server: socket.socket
    certificate: Path
    key: Path


@pytest.fixture
def sockets(tmp_path: Path) -> Generator[TlsSockets]:
    """Sockets that end a test that waits for ever."""
    below, server = socket.socketpair()
    with below, server:
        below.settimeout(5)
        server.settimeout(5)
        yield TlsSockets(below, server, *make_certificate(tmp_path))


def shake_hands(sockets: TlsSockets, host: str = "localhost") -> Ends:
    """Connect both ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sockets.certificate, sockets.key)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    client = TlsStream(sockets.below, ssl.create_default_context(cafile=sockets.certificate), host)

    def serve() -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                sockets.server.sendall(outgoing.read())
                incoming.write(sockets.server.recv(65536))
            else:
                sockets.server.sendall(outgoing.read())
                return

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        try:
            client.do_handshake()
        finally:
            problem = serving.exception()
    assert problem is None
    return Ends(client, sockets.server, tls, outgoing)


def test_one_call_takes_every_record_there_and_waits_for_none(sockets: TlsSockets):
    """Three records and a short one come at once, though the buffer has room for more."""
    ends, sent, buffer = shake_hands(sockets), os.urandom(3 * RECORD + 7), bytearray(8 * RECORD)
    ends.server.sendall(ends.seal(sent))
    assert ends.client.recv_into(memoryview(buffer)) == len(sent)
    assert buffer[: len(sent)] == sent


def test_a_record_that_came_in_part_is_waited_for_not_guessed(sockets: TlsSockets):
    """Half a record gives nothing; with its other half it gives its bytes."""
    ends, buffer = shake_hands(sockets), bytearray(4 * RECORD)
    records = ends.seal(bytes(RECORD)) + (second := ends.seal(b"second" * 1000))[:3000]
    ends.server.sendall(records)
    assert ends.client.recv_into(memoryview(buffer)) == RECORD
    ends.server.sendall(second[3000:])
    assert ends.client.recv_into(memoryview(buffer)) == 6000
    assert buffer[:6000] == b"second" * 1000


def test_a_small_buffer_leaves_the_rest_for_the_next_call(sockets: TlsSockets):
    """No byte is lost between the calls."""
    ends, sent = shake_hands(sockets), os.urandom(2 * RECORD)
    ends.server.sendall(ends.seal(sent))
    got = b""
    while len(got) < len(sent):
        got += ends.client.recv(5000)
    assert got == sent


def test_an_altered_record_is_an_error_and_gives_no_byte(sockets: TlsSockets):
    """Also when good records came before it in the same read.

    Afterwards the connection gives nothing.
    """
    ends, buffer = shake_hands(sockets), bytearray(4 * RECORD)
    altered = bytearray(ends.seal(b"good" * 100) + ends.seal(b"evil" * 100))
    altered[-50] ^= 1
    ends.server.sendall(altered)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        ends.client.recv_into(memoryview(buffer))
    assert ends.client.recv_into(memoryview(buffer)) == 0
    assert b"evil" not in buffer


def test_a_connection_that_is_cut_ends_after_its_last_bytes(sockets: TlsSockets):
    """As with a plain socket: what came, then 0, which is too early for a body with a length."""
    ends, buffer = shake_hands(sockets), bytearray(RECORD)
    ends.server.sendall(ends.seal(b"last"))
    ends.server.shutdown(socket.SHUT_WR)
    assert [ends.client.recv_into(memoryview(buffer)) for _ in range(3)] == [4, 0, 0]


def test_a_silent_server_ends_by_the_sockets_time_limit(sockets: TlsSockets):
    """The limit of the socket below holds for a read."""
    ends = shake_hands(sockets)
    sockets.below.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ends.client.recv(1)


def test_a_certificate_for_another_host_is_refused(sockets: TlsSockets):
    """The name is checked, not only who signed; the server hears of it by an alert."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(sockets, host="other.example")


def test_a_stalled_handshake_is_cut_from_another_thread(sockets: TlsSockets):
    """The server accepts and says nothing.

    The thread that waits is woken long before its read's time limit.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        address = parse_address(
            f"https://127.0.0.1:{listener.getsockname()[1]}/file", allow_http=False
        )
        context = ssl.create_default_context(cafile=sockets.certificate)
        connection = RangeConnection(address, context, connect_seconds=5, read_seconds=600)
        waiting = pool.submit(connection.secure)
        with listener.accept()[0] as server:
            assert server.recv(1) == b"\x16"  # the handshake began
            connection.cut()
            with pytest.raises(TryAgainError, match="no TLS connection"):
                waiting.result(timeout=5)
            connection.close()


def test_https_without_authorities_is_refused_before_it_connects():
    """Nobody can forget them and get a connection that trusts everyone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = parse_address(
            f"https://127.0.0.1:{listener.getsockname()[1]}/file", allow_http=False
        )
        with pytest.raises(ValueError, match="authorities"):
            RangeConnection(address, None, connect_seconds=5, read_seconds=5)
        with pytest.raises(BlockingIOError):
            listener.accept()
