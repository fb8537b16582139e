"""Servers that answer badly: none of it becomes a file, each heals or ends with a reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import DownloadFailedError, DownloadRefusedError, Reason
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.device_sdk.downloads.conftest import Device
from tests.device_sdk.downloads.object_server import Exchange, ObjectServer, serve

if TYPE_CHECKING:
    from collections.abc import Callable


def hang(exchange: Exchange) -> None:
    """Nothing at all."""
    exchange.wait(30)


def hang_in_header(exchange: Exchange) -> None:
    """One header byte now and then."""
    for _ in range(300):
        exchange.raw(b"H")
        exchange.wait(0.1)


def trickle(exchange: Exchange) -> None:
    """A right header, then one byte now and then."""
    exchange.good_head()
    for at in range(300):
        exchange.send(exchange.body[at : at + 1])
        exchange.wait(0.1)


def reset(exchange: Exchange) -> None:
    """Half the body, then a TCP reset."""
    exchange.good_head()
    exchange.send(exchange.body[: len(exchange.body) // 2])
    exchange.reset()


def no_http(exchange: Exchange) -> None:
    """Another protocol."""
    exchange.raw(b"220 mail.example.org ESMTP\r\n" * 50)


def endless_header(exchange: Exchange) -> None:
    """More header than any server has."""
    exchange.raw(b"HTTP/1.1 206 Words\r\n" + b"X-A: b\r\n" * 5000)


def long_header_line(exchange: Exchange) -> None:
    """One header of 100 KB."""
    exchange.raw(b"HTTP/1.1 206 Words\r\nX-A: " + b"b" * 100_000)


def other_range(exchange: Exchange) -> None:
    """The bytes one further, honestly labelled."""
    size = len(exchange.server.content)
    exchange.good_head(Content_Range=f"bytes {exchange.start + 1}-{exchange.end}/{size}")
    exchange.send(exchange.body)


def no_content_range(exchange: Exchange) -> None:
    """206 without saying which part."""
    exchange.good_head(Content_Range="")
    exchange.send(exchange.body)


def too_long(exchange: Exchange) -> None:
    """More body than the range."""
    exchange.good_head(Content_Length=len(exchange.body) + 1000)
    exchange.send(exchange.body + b"x" * 1000)


def no_length(exchange: Exchange) -> None:
    """A body that ends with the connection."""
    exchange.good_head(Content_Length="")
    exchange.send(exchange.body)


def chunked(exchange: Exchange) -> None:
    """Chunked transfer."""
    exchange.good_head(Transfer_Encoding="chunked")
    exchange.raw(b"5\r\nhello\r\n0\r\n\r\n")


def compressed(exchange: Exchange) -> None:
    """A body that claims to be encoded."""
    exchange.good_head(Content_Encoding="gzip")
    exchange.send(exchange.body)


def busy(exchange: Exchange) -> None:
    """503 with Retry-After."""
    exchange.head(503, Content_Length=0, Retry_After=0)


def too_many(exchange: Exchange) -> None:
    """429."""
    exchange.head(429, Content_Length=0)


def only_interim(exchange: Exchange) -> None:
    """100 Continue without end."""
    exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)


def bit_flip(exchange: Exchange) -> None:
    """Right in every header, one bit wrong in the body."""
    exchange.good_head()
    body = bytearray(exchange.body)
    body[len(body) // 3] ^= 1
    exchange.send(bytes(body))


HEALING = [
    hang, hang_in_header, trickle, reset, no_http, endless_header, long_header_line, other_range, no_content_range,
    too_long, no_length, chunked, compressed, busy, too_many, only_interim, bit_flip,
]  # fmt: skip


@pytest.mark.parametrize("fault", HEALING, ids=lambda fault: fault.__name__)
def test_a_fault_that_passes_costs_time_only(device: Device, server: ObjectServer, fault: Callable[[Exchange], None]):
    """After one bad answer the file arrives right, and soon."""
    server.faults.append(fault)
    started = time.monotonic()
    assert device.fetch(server).path.read_bytes() == server.content
    assert time.monotonic() - started < 8
    assert device.leftovers() == []


@pytest.mark.parametrize(
    "fault", [fault for fault in HEALING if fault is not bit_flip], ids=lambda fault: fault.__name__
)
def test_a_fault_that_stays_ends_within_the_budget(
    device: Device, server: ObjectServer, fault: Callable[[Exchange], None]
):
    """A server that never gets well ends in a failure that can be resumed; no file appears."""
    server.faults.extend([fault] * 20)
    started = time.monotonic()
    with pytest.raises(DownloadFailedError, match="after 2 tries without progress"):
        device.fetch(server, attempts=2, stall_seconds=0.3)
    assert time.monotonic() - started < 8
    assert device.visible_files() == {}


def test_a_whole_file_instead_of_a_range_is_taken_from_the_start_only(device: Device, server: ObjectServer):
    """200 is right when everything was asked for; as the answer to a resume it is not written at the wrong place."""

    def whole(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(exchange.server.content), ETag=exchange.server.etag)
        exchange.send(exchange.server.content)

    server.faults.extend([reset, whole])
    assert device.fetch(server).path.read_bytes() == server.content
    (device.folder / "firmware/image.bin").unlink()
    server.requests.clear()
    server.faults.append(whole)
    assert device.fetch(server).path.read_bytes() == server.content
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 404, 405, 410, 451])
def test_a_refusal_that_cannot_heal_stops_at_once(device: Device, server: ObjectServer, status: int):
    """Redirects are not followed, and 4xx is not asked again; the status is in the message."""
    server.faults.append(
        lambda exchange: exchange.head(status, Content_Length=0, Location="http://localhost/elsewhere")
    )
    with pytest.raises(DownloadRefusedError, match=str(status)) as caught:
        device.fetch(server)
    assert caught.value.reason is Reason.SERVER
    assert len(server.requests) == 1
    assert device.visible_files() == {}
    assert device.leftovers() == []


def test_wrong_bytes_twice_are_refused(device: Device, server: ObjectServer):
    """One more try after a wrong digest, then an end: no loop that eats a data plan."""
    server.faults.extend([bit_flip] * 9)
    with pytest.raises(DownloadRefusedError, match="SHA-256") as caught:
        device.fetch(server)
    assert caught.value.reason is Reason.DIGEST
    assert server.sent == 2 * len(server.content)
    assert device.visible_files() == {}
    assert device.leftovers() == []


def test_the_same_bytes_stored_anew_are_delivered(device: Device, server: ObjectServer):
    """Another ETag starts the file over; when the digest is the announced one, it is the file."""
    document = server.document()

    def cut_and_store_anew(exchange: Exchange) -> None:
        reset(exchange)
        server.etag = '"stored-anew"'

    server.faults.append(cut_and_store_anew)
    delivered = device.downloader().fetch(document, refresh_url=lambda: server.url)
    assert delivered.path.read_bytes() == server.content
    assert [(r.span[0], r.if_match) for r in server.requests[2:]] == [(0, None)]


def test_another_object_of_the_same_size_is_refused(device: Device, server: ObjectServer):
    """Bytes of two objects are never mixed, and the other object's bytes are not the announced ones."""
    document = server.document()

    def cut_and_swap(exchange: Exchange) -> None:
        reset(exchange)
        server.put(server.content[::-1])

    server.faults.append(cut_and_swap)
    with pytest.raises(DownloadRefusedError, match="not the announced one") as caught:
        device.downloader().fetch(document, refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.DIGEST
    assert device.visible_files() == {}


@pytest.mark.parametrize("change", [b"", b"x"])
def test_an_object_of_another_size_is_refused_without_fetching_it(device: Device, server: ObjectServer, change: bytes):
    """The announced size bounds what is received, whether the new object is smaller or larger."""
    document = server.document()
    server.put(server.content[:1000] if change == b"" else server.content + change)
    with pytest.raises(DownloadRefusedError, match="keeps changing") as caught:
        device.downloader().fetch(document, refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.CHANGED
    assert server.sent < document.size  # what the socket's buffers took: the body was not read
    assert device.visible_files() == {}


def test_an_object_that_changes_under_each_range_is_refused(device: Device, server: ObjectServer):
    """A sender that keeps storing anew does not keep a device fetching for ever."""

    def swap_then_cut(exchange: Exchange) -> None:
        serve_half = exchange.body[: len(exchange.body) // 2]
        exchange.good_head()
        exchange.send(serve_half)
        server.put(bytes([serve_half[0] ^ 1]) + server.content[1:])

    server.faults.extend([fault for _ in range(6) for fault in (swap_then_cut, serve)])
    with pytest.raises(DownloadRefusedError, match="keeps changing"):
        device.fetch(server)
    assert device.visible_files() == {}


def test_a_server_that_is_away_is_a_failure_with_the_address(device: Device, server: ObjectServer):
    """Connection refused ends in a failure that names host and port, and never the URL's query."""
    document = server.document()
    server.__exit__()
    with pytest.raises(DownloadFailedError, match=r"cannot connect to localhost:\d+") as caught:
        device.downloader(attempts=2).fetch(document, refresh_url=lambda: "")
    assert "token" not in str(caught.value)


PIECES = [
    b"HTTP/1.1 206 Words\r\n", b"HTTP/1.1 200 \r\n", b"HTTP/1.0 206\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 10\r\n", b"Content-Length: 9\r\n", b"Content-Length: +10\r\n", b"\r\n", b"\n",
    b"Content-Range: bytes 0-9/10\r\n",
    b"Content-Range: bytes 1-9/10\r\n", b'ETag: "x"\r\n', b"Transfer-Encoding: chunked\r\n", b": \r\n", b" folded\r\n",
    b"\0", b"0123456789", b"\xff\xfe", b"Content-Encoding: gzip\r\n", b"Connection: close\r\n",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(answer=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join)))
def test_no_answer_makes_a_file_of_other_bytes(tmp_path_factory: pytest.TempPathFactory, answer: bytes):
    """Whatever bytes a server sends, the download ends with one of its errors or with the announced file."""
    home = tmp_path_factory.mktemp("fuzz")
    device = Device(folder=home / "files", state_dir=home / "state")
    with ObjectServer(b"9876543210") as server:
        server.faults.append(lambda exchange: exchange.raw(answer))
        try:
            device.fetch(server, attempts=1)
        except (DownloadFailedError, DownloadRefusedError):
            assert device.visible_files() == {}
        else:
            assert device.visible_files() == {"firmware/image.bin": b"9876543210"}
