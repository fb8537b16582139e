"""Downloads that were interrupted: they go on where they were, and only where that is right."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import (
    DownloadCancelledError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)

from tests.device_sdk.downloads.bad_answers import truncated

if TYPE_CHECKING:
    from tests.device_sdk.downloads.conftest import Device
    from tests.device_sdk.downloads.object_server import Exchange, ObjectServer


def test_a_broken_connection_goes_on_where_it_was(device: Device, server: ObjectServer):
    """After a cut, only the missing bytes are asked for, of the same object."""
    server.faults.append(truncated)
    assert device.fetch(server).bytes_fetched == len(server.content)
    first, second = server.requests
    assert second.span == (len(server.content) * 2 // 3, first.span[1])
    assert second.if_match == server.etag
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_a_used_up_budget_keeps_the_bytes_for_the_next_time(device: Device, server: ObjectServer):
    """The failure says how far it got; the next fetch of the document asks for the rest only."""
    server.faults.append(truncated)
    server.faults.extend([lambda exchange: exchange.reset()] * 4)
    with pytest.raises(
        DownloadFailedError, match=f"1000000 of {len(server.content)} bytes are kept"
    ):
        device.fetch(server)
    assert device.visible_files() == {}
    assert device.fetch(server).bytes_fetched == len(server.content) - 1_000_000
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_a_spoiled_temporary_file_is_noticed_before_fetching(device: Device, server: ObjectServer):
    """Bytes on the disk that are not those of the journal are fetched again, not built upon."""
    server.faults.append(truncated)
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=1)
    (part,) = device.folder.rglob("*.part")
    with part.open("r+b") as spoiled:
        spoiled.seek(5000)
        spoiled.write(b"spoiled")
    assert device.fetch(server).bytes_fetched == len(server.content)
    assert device.visible_files() == {"firmware/image.bin": server.content}


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[]", b'{"version": 9}', b'{"version": 1, "prefix": -1}', b"\xff" * 99]
)
def test_a_journal_that_cannot_be_read_means_to_start_over(
    device: Device, server: ObjectServer, garbage: bytes
):
    """Nothing fetched is trusted without its entry."""
    server.faults.append(truncated)
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=1)
    (journal,) = (device.state_dir / "downloads").glob("*.json")
    journal.write_bytes(garbage)
    assert device.fetch(server).bytes_fetched == len(server.content)
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_a_newer_version_does_not_build_on_the_older_ones_bytes(
    device: Device, server: ObjectServer
):
    """A document of the same name but other bytes starts from zero and replaces the file."""
    server.faults.append(truncated)
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=1)
    server.put(server.content[::-1])
    assert device.fetch(server).bytes_fetched == len(server.content)
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_cancelling_stops_soon_and_keeps_the_bytes(device: Device, server: ObjectServer):
    """``cancelled`` ends a running transfer within a second; the next fetch resumes."""
    server.bytes_per_second = 1_000_000
    started = time.monotonic()
    with pytest.raises(DownloadCancelledError):
        device.downloader(stall_seconds=30).fetch(
            server.document(),
            refresh_url=lambda: server.url,
            cancelled=lambda: server.sent > 600_000,
        )
    assert time.monotonic() - started < 3
    server.bytes_per_second = None
    fetched = device.fetch(server).bytes_fetched
    assert 0 < fetched < len(server.content) - 400_000
    assert device.visible_files() == {"firmware/image.bin": server.content}


@pytest.mark.parametrize("by_name", [True, False])
def test_a_discarded_download_leaves_nothing(device: Device, server: ObjectServer, by_name: bool):
    """``discard`` frees what a cancelled job had fetched, ``discard_all`` what all had."""
    server.faults.append(truncated)
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=1)
    assert device.leftovers() != []
    if by_name:
        device.downloader().discard("firmware/image.bin")
    else:
        device.downloader().discard_all()
    assert device.leftovers() == []
    assert not list((device.state_dir / "downloads").glob("*.json"))
    device.downloader().discard_all()


def test_an_expired_url_is_refreshed_and_the_download_goes_on(device: Device, server: ObjectServer):
    """A 403 half way asks for a fresh URL once, and no byte is fetched twice."""
    asked: list[str] = []

    def refresh() -> str:
        asked.append(server.url)
        return server.url

    def cut_and_expire(exchange: Exchange) -> None:
        truncated(exchange)
        server.expire()

    server.faults.append(cut_and_expire)
    delivered = device.downloader().fetch(server.document(), refresh_url=refresh)
    assert len(asked) == 1
    assert server.sent == delivered.bytes_fetched == len(server.content)
    assert device.visible_files() == {"firmware/image.bin": server.content}


def test_a_refresh_that_fails_is_tried_again(device: Device, server: ObjectServer):
    """An agent that is offline for a moment does not lose the download."""
    answers = iter([ConnectionError("offline"), TimeoutError(), None])

    def refresh() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return server.url

    document = server.document()
    server.expire()
    assert (
        device.downloader().fetch(document, refresh_url=refresh).path.read_bytes() == server.content
    )


def test_urls_that_are_never_good_end_in_a_refusal(device: Device, server: ObjectServer):
    """Four 403 in a row, three of them to fresh URLs, are not a matter of time."""
    document = server.document()
    server.expire()
    with pytest.raises(
        DownloadRefusedError, match="403 AccessDenied, also to 3 fresh URLs"
    ) as caught:
        device.downloader().fetch(document, refresh_url=lambda: document.url)
    assert caught.value.reason is Reason.SERVER
    assert len(server.requests) == 4
    assert "token" not in str(caught.value)


def test_a_server_without_ranges_is_asked_for_all_at_once(device: Device, server: ObjectServer):
    """Over one connection, also where several would be faster."""

    def whole(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(exchange.server.content), ETag=exchange.server.etag)
        exchange.send(exchange.server.content)

    server.faults.extend([whole] * 20)
    delivered = device.fetch(
        server, connections=2, parallel_from_bytes=1, parallel_from_seconds=0.0
    )
    assert delivered.path.read_bytes() == server.content
    assert server.requests[-1].span == (0, len(server.content))
