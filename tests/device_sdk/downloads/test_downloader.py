"""Downloads that go well, in one piece or several, and keep their limits."""

from __future__ import annotations

import os
import random
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cedarfleet_device.downloads import DownloadFailedError, DownloadRefusedError, Reason
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.wire import DownloadDocument

from tests.device_sdk.connection.named_relay import NamedRelay
from tests.device_sdk.downloads.bad_answers import truncated
from tests.device_sdk.downloads.object_server import Exchange, ObjectServer, serve
from tests.device_sdk.downloads.self_signed import make_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.downloads.conftest import Device


def test_a_file_arrives_whole_and_nothing_else_stays(device: Device, server: ObjectServer):
    """The target holds the object's bytes with the configured mode.

    No temporary file or journal is left.
    """
    told: list[tuple[int, int]] = []
    document = server.document()
    delivered = device.downloader().fetch(
        document,
        refresh_url=lambda: server.url,
        progress=lambda done, size: told.append((done, size)),
    )
    size = len(server.content)
    assert delivered.path == device.folder / "firmware/image.bin"
    assert (delivered.sha256, delivered.size, delivered.bytes_fetched) == (
        document.sha256,
        size,
        size,
    )
    assert device.visible_files() == {"firmware/image.bin": server.content}
    assert delivered.path.stat().st_mode & 0o777 == 0o640
    assert told[-1] == (size, size)
    assert device.leftovers() == []
    assert [(request.span, request.if_match) for request in server.requests] == [
        ((0, size), server.etag)
    ]


def test_a_file_that_is_there_is_not_fetched_again(device: Device, server: ObjectServer):
    """A second job for the same bytes costs no request."""
    device.fetch(server)
    server.requests.clear()
    assert device.fetch(server).bytes_fetched == 0
    assert server.requests == []


def test_an_empty_file_is_delivered_without_a_request(device: Device, server: ObjectServer):
    """No range can be asked of an empty object, and none is needed; the digest still has to fit."""
    server.put(b"")
    assert device.fetch(server).path.read_bytes() == b""
    assert server.requests == []
    wrong = DownloadDocument(name="x", size=0, sha256="0" * 64, etag="", url=server.url)
    with pytest.raises(DownloadRefusedError) as caught:
        device.downloader().fetch(wrong, refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.DIGEST


def test_two_fetches_of_one_file_do_not_meet(device: Device, server: ObjectServer):
    """The second one fails at once and disturbs nothing.

    Another process would meet the same lock.
    """
    errors: list[Exception] = []

    def try_meanwhile(_done: int, _size: int) -> None:
        try:
            device.fetch(server)
        except DownloadFailedError as error:
            errors.append(error)

    device.downloader().fetch(
        server.document(), refresh_url=lambda: server.url, progress=try_meanwhile
    )
    assert errors
    assert all("another process" in str(error) for error in errors)
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_the_bandwidth_limit_holds(device: Device, server: ObjectServer):
    """1.5 MB at 1.5 MB/s take about a second; a machine with other work may take longer."""
    started = time.monotonic()
    device.fetch(server, bytes_per_second=1_500_000)
    assert 0.7 <= time.monotonic() - started <= 10


def test_a_file_above_the_limit_is_refused_before_any_request(device: Device, server: ObjectServer):
    """The announced size bounds the download."""
    with pytest.raises(DownloadRefusedError, match="takes at most 1000") as caught:
        device.fetch(server, max_bytes=1000)
    assert caught.value.reason is Reason.TOO_LARGE
    assert server.requests == []


def test_the_disk_reserve_is_kept(device: Device, server: ObjectServer):
    """A file that would eat into the reserve is refused before any request."""
    with pytest.raises(DownloadRefusedError, match="in reserve") as caught:
        device.fetch(server, disk_reserve_bytes=2**60)
    assert caught.value.reason is Reason.DISK
    assert server.requests == []
    assert device.leftovers() == []


def test_far_servers_are_asked_over_several_connections(device: Device, server: ObjectServer):
    """With several segments the file is whole, each byte fetched once, also across a cut."""
    server.put(random.Random(8).randbytes(20 * 1024 * 1024))  # noqa: S311 - content, not a secret
    server.faults.extend([serve, serve, truncated])
    delivered = device.fetch(server, parallel_from_seconds=0.0, parallel_from_bytes=1024)
    assert len({request.span for request in server.requests}) > 4
    assert delivered.path.read_bytes() == server.content
    assert delivered.bytes_fetched == len(server.content)


def test_a_server_that_closes_often_costs_no_extra_request(device: Device, server: ObjectServer):
    """``Connection: close`` is respected, over one connection and over several."""

    def close_politely(exchange: Exchange) -> None:
        exchange.good_head(Connection="close")
        exchange.send(exchange.body)

    server.put(random.Random(9).randbytes(9 * 1024 * 1024))  # noqa: S311 - content, not a secret
    server.faults.extend([close_politely] * 9)
    assert device.fetch(server).path.read_bytes() == server.content
    assert len(server.requests) == 1
    (device.folder / "firmware/image.bin").unlink()
    device.fetch(server, parallel_from_seconds=0.0, parallel_from_bytes=1024)
    assert device.visible_files() == {"firmware/image.bin": server.content}
    assert sum(
        end - start for start, end in (request.span for request in server.requests)
    ) == 2 * len(server.content)


def test_https_is_verified_against_the_given_authority(device: Device, tmp_path: Path):
    """With its CA the file arrives over TLS.

    Without, nothing is asked and the budget ends the tries.
    """
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ObjectServer(os.urandom(700_000), tls=context) as server:
        with pytest.raises(DownloadFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            device.fetch(server, attempts=2)
        assert server.requests == []
        server.faults.append(truncated)
        assert device.fetch(server, ca_file=certificate).path.read_bytes() == server.content


@pytest.mark.parametrize("etag", ['"a\r\nHost: evil"', "unquoted", '"a', '"é"'])
def test_an_etag_that_is_none_is_refused_before_any_request(
    device: Device, server: ObjectServer, etag: str
):
    """What goes into a header is checked first: no line of a request comes from outside."""
    with pytest.raises(DownloadRefusedError, match="ETag") as caught:
        device.downloader().fetch(
            replace(server.document(), etag=etag), refresh_url=lambda: server.url
        )
    assert "\n" not in str(caught.value)
    assert server.requests == []


def test_an_unknown_etag_is_learnt_and_then_pinned(device: Device, server: ObjectServer):
    """Without an announced ETag the first answer's is used for every further range."""
    server.faults.append(truncated)
    delivered = device.downloader().fetch(
        replace(server.document(), etag=""), refresh_url=lambda: server.url
    )
    assert delivered.path.read_bytes() == server.content
    assert [request.if_match for request in server.requests] == [None, server.etag]


def test_a_file_comes_by_way_of_a_proxy(device: Device, server: ObjectServer):
    """Every connection asks the proxy for the file server; where it does not lead, it is told."""
    address = urlsplit(server.url)
    with NamedRelay() as relay:
        relay.leads = {f"{address.hostname}:{address.port}": address.port or 0}
        delivered = device.fetch(server, proxy=relay.address)
        assert delivered.path.read_bytes() == server.content
        assert relay.asked
        assert set(relay.asked) == relay.leads.keys()
        server.put(server.content[::-1])
        relay.leads = {}
        with pytest.raises(DownloadFailedError, match=r"the proxy answers `HTTP/1\.1 502"):
            device.fetch(server, proxy=relay.address, unreachable_seconds=0.01)
    with NamedRelay(credentials="press:pass word@") as relay:
        relay.leads = {f"{address.hostname}:{address.port}": address.port or 0}
        shown = f"http://press:pass%20word%40@{relay.address}"
        assert device.fetch(server, proxy=shown).path.read_bytes() == server.content
        server.put(server.content[::-1])
        with pytest.raises(DownloadFailedError, match="it asks for credentials"):
            device.fetch(server, proxy=relay.address, unreachable_seconds=0.01)
    with pytest.raises(ConfigError, match=r"`downloads\.proxy` is `relay`, it must be `host:port`"):
        device.limits(proxy="relay")
