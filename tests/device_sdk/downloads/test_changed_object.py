"""Objects that are replaced while they are fetched: bytes of two are never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import DownloadRefusedError, Reason

from tests.device_sdk.downloads.bad_answers import bit_flip, reset, truncated
from tests.device_sdk.downloads.object_server import Exchange, ObjectServer, serve

if TYPE_CHECKING:
    from tests.device_sdk.downloads.conftest import Device


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
    """Bytes of two objects are never mixed, and the other's are not the announced ones."""
    document = server.document()

    def cut_and_swap(exchange: Exchange) -> None:
        reset(exchange)
        server.put(server.content[::-1])

    server.faults.append(cut_and_swap)
    with pytest.raises(DownloadRefusedError, match=r"\(the object is not the announced") as caught:
        device.downloader().fetch(document, refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.DIGEST
    assert device.visible_files() == {}


def test_what_starts_over_has_its_tries_anew(device: Device, server: ObjectServer):
    """Stored anew or received wrong: the bytes of the second time are progress too."""

    def cut_and_store_anew(exchange: Exchange) -> None:
        truncated(exchange)
        server.etag = '"stored-anew"'

    for first in ([cut_and_store_anew, serve], [truncated, bit_flip]):
        server.faults.extend([*first, truncated])
        delivered = device.downloader(attempts=2).fetch(
            server.document(first[0].__name__), refresh_url=lambda: server.url
        )
        assert delivered.path.read_bytes() == server.content
        assert not server.faults


@pytest.mark.parametrize("change", [b"", b"x"])
def test_an_object_of_another_size_is_refused_unfetched(
    device: Device, server: ObjectServer, change: bytes
):
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
