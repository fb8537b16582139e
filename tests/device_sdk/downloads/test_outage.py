"""Hours and days without network, by a clock that the test moves on: downloads wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.connection.routes import Route
from cedarfleet_device.downloads import (
    DownloadCancelledError,
    Downloader,
    DownloadFailedError,
)
from cedarfleet_device.downloads.pace import Pace
from cedarfleet_device.errors import CloudError
from cedarfleet_device.files import Disk

from tests.device_sdk.connection.test_routes import configured
from tests.device_sdk.downloads.bad_answers import truncated
from tests.device_sdk.downloads.object_server import ObjectServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.device_sdk.downloads.conftest import Device

HOUR = 3600.0
AS_SHIPPED = {
    "attempts": DownloadLimits().attempts,
    "backoff_seconds": DownloadLimits().backoff_seconds,
    "backoff_cap_seconds": DownloadLimits().backoff_cap_seconds,
}


class CountingDisk(Disk):
    """The disk, and how often it was asked to sync."""

    syncs = 0

    def sync(self, handle: int) -> None:
        """Count it."""
        self.syncs += 1
        super().sync(handle)

    def sync_data(self, handle: int) -> None:
        """Count it."""
        self.syncs += 1
        super().sync_data(handle)


class ShortenedPace(Pace):
    """A wait is over at once, and the clock says that it was waited for.

    Args:
        at: seconds from the beginning, and what happens then.
    """

    step = 60.0

    def __init__(self, at: dict[float, Callable[[], object]]) -> None:
        self._now = 0.0
        self._at = sorted(at.items())
        self.waits: list[float] = []

    def now(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def wait(self, seconds: float) -> None:
        """Move the clock on."""
        self.waits.append(seconds)
        self._now += seconds
        while self._at and self._at[0][0] <= self._now:
            self._at.pop(0)[1]()


def test_a_download_outlasts_an_outage_of_six_hours(device: Device, server: ObjectServer):
    """Cut off in the middle, it waits for the line, and goes on soon after it is back."""
    server.faults.append(truncated)
    back = ObjectServer(server.content, port=server.port)
    came, outage = False, 6 * HOUR

    def come() -> None:
        nonlocal came
        back.__enter__()
        came = True

    pace = ShortenedPace({0.0: server.leave, outage: come})

    def refresh() -> str:
        if pace.now() < outage:  # the line to the cloud is away as well
            raise CloudError("not answered")
        return server.url

    disk = CountingDisk()
    downloader = Downloader(
        folder=device.folder,
        state_dir=device.state_dir,
        limits=device.limits(**AS_SHIPPED),
        pace=pace,
        disk=disk,
    )
    try:
        delivered = downloader.fetch(server.document(), refresh_url=refresh)
    finally:
        if came:
            back.__exit__()
    assert delivered.path.read_bytes() == server.content
    assert outage <= pace.now() <= outage + 60
    tries = len(pace.waits)
    assert disk.syncs < 60 < tries, "what waits wears out no flash"
    print(f"{tries} waits, {pace.now() - outage:.0f} s after its end")


def test_an_outage_that_never_ends_ends_the_download(device: Device, server: ObjectServer):
    """After `unreachable_seconds`, with words, and what is there is kept for the next try."""
    document = server.document()
    server.leave()
    pace = ShortenedPace({})
    with pytest.raises(DownloadFailedError, match="7200 s in which nobody was reached"):
        device.downloader(pace=pace, unreachable_seconds=2 * HOUR, **AS_SHIPPED).fetch(
            document, refresh_url=lambda: server.url
        )
    assert 2 * HOUR <= pace.now() <= 2 * HOUR + 60


def test_a_job_cancelled_in_an_outage_is_left(device: Device, server: ObjectServer):
    """Who waits for the line asks all the while whether anybody still wants the file."""
    document = server.document()
    server.leave()
    pace = ShortenedPace({})
    with pytest.raises(DownloadCancelledError):
        device.downloader(pace=pace, **AS_SHIPPED).fetch(
            document, refresh_url=lambda: server.url, cancelled=lambda: pace.now() > HOUR
        )
    assert pace.now() <= HOUR + 60


def test_a_fleet_knocks_no_more_often_for_having_two_ports(tmp_path: Path):
    """Six hours off line: a connection every half minute at most, and each port in its turn."""
    slow = {"connection.reconnect_min_seconds": 1, "connection.reconnect_max_seconds": 120}
    route = Route(configured(tmp_path, **slow))
    now, tries, last_turn = 0.0, 0, {8883: 0.0, 443: 0.0}
    longest = 0.0
    while now < 6 * HOUR:
        config = route.config
        pause = config.first_pause_seconds
        while True:  # as the runtime does: at once, then with pauses that double
            tries += 1
            if now > HOUR:
                longest = max(longest, now - last_turn[config.port])
            last_turn[config.port] = now
            if route.failed(answered=False):
                break
            now += pause
            pause = min(2 * pause, config.last_pause_seconds)
    print(f"{tries} connections in 6 hours, at most {longest:.0f} s without a try of each port")
    assert tries < 6 * HOUR / 30
    assert longest < 600
