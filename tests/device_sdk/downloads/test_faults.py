"""Servers that answer badly: none of it becomes a file, each heals or ends with a reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import DownloadFailedError, DownloadRefusedError, Reason
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.device_sdk.downloads.bad_answers import HEALING, bit_flip, reset
from tests.device_sdk.downloads.conftest import Device
from tests.device_sdk.downloads.object_server import Exchange, ObjectServer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("fault", HEALING, ids=lambda fault: fault.__name__)
def test_a_fault_that_passes_costs_time_only(
    device: Device, server: ObjectServer, fault: Callable[[Exchange], None]
):
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


def test_a_whole_file_instead_of_a_range_counts_from_the_start(
    device: Device, server: ObjectServer
):
    """200 is right when everything was asked for.

    As the answer to a resume it is not written at the wrong place.
    """

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
def test_a_refusal_that_cannot_heal_stops_at_once(
    device: Device, server: ObjectServer, status: int
):
    """Redirects are not followed, and 4xx is not asked again; the status is in the message."""
    server.faults.append(
        lambda exchange: exchange.head(
            status, Content_Length=0, Location="http://localhost/elsewhere"
        )
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
    with pytest.raises(DownloadRefusedError, match=r"SHA-256 .* \(twice\)") as caught:
        device.fetch(server)
    assert caught.value.reason is Reason.DIGEST
    assert server.sent == 2 * len(server.content)
    assert device.visible_files() == {}
    assert device.leftovers() == []


def test_a_server_that_is_away_is_a_failure_with_the_address(device: Device, server: ObjectServer):
    """Connection refused ends in a failure that names host and port, and never the URL's query."""
    document = server.document()
    server.leave()
    with pytest.raises(DownloadFailedError, match=r"cannot connect to localhost:\d+") as caught:
        device.downloader(unreachable_seconds=0.1).fetch(document, refresh_url=lambda: "")
    assert "token" not in str(caught.value)
    assert "gave up on `firmware/image.bin` after 0.1 s in which nobody was" in str(caught.value)


def test_a_network_that_is_gone_for_long_costs_no_try(device: Device, server: ObjectServer):
    """Tries that reach nobody are not counted: the download goes on once the server is back."""
    document = server.document()
    server.leave()
    back = ObjectServer(server.content, port=server.port)
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        if asked == 30:  # in pauses and rounds: many times as many as there are tries
            back.__enter__()
        return False

    try:
        delivered = device.downloader(attempts=2).fetch(
            document, refresh_url=lambda: "", cancelled=cancelled
        )
    finally:
        back.__exit__()
    assert asked >= 30
    assert delivered.path.read_bytes() == server.content


PIECES = [
    b"HTTP/1.1 206 Words\r\n", b"HTTP/1.1 200 \r\n", b"HTTP/1.0 206\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 10\r\n", b"Content-Length: 9\r\n", b"Content-Length: +10\r\n", b"\r\n", b"\n",
    b"Content-Range: bytes 0-9/10\r\n",
    b"Content-Range: bytes 1-9/10\r\n", b'ETag: "x"\r\n', b"Transfer-Encoding: chunked\r\n",
    b": \r\n", b" folded\r\n",
    b"\0", b"0123456789", b"\xff\xfe", b"Content-Encoding: gzip\r\n", b"Connection: close\r\n",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    answer=st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join)
    )
)
def test_no_answer_makes_a_file_of_other_bytes(
    tmp_path_factory: pytest.TempPathFactory, answer: bytes
):
    """Whatever a server sends, the download ends with one of its errors or the announced file."""
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


def test_a_download_that_waits_uses_no_processor(device: Device, server: ObjectServer):
    """Between tries, while a server is silent, and under a bandwidth limit, the caller sleeps."""

    def busy(exchange: Exchange) -> None:
        exchange.head(503, Content_Length=0, Retry_After=1)

    def silent(exchange: Exchange) -> None:
        exchange.wait(30)

    server.put(bytes(100_000))
    server.faults.extend([busy, silent])
    began, used = time.monotonic(), time.thread_time()
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=2, stall_seconds=1.0)
    assert device.fetch(server, bytes_per_second=100_000).bytes_fetched == 100_000
    took = time.monotonic() - began
    assert took > 2
    assert time.thread_time() - used < 0.1 * took
