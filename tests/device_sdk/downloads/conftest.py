"""Fixtures of the download tests: an object server and a downloader whose patience is short."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import Downloader, DownloadLimits
from cedarfleet_device.downloads.pace import Pace

from tests.device_sdk.downloads.object_server import ObjectServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cedarfleet_device.downloads import Delivered


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where the downloads of one test go."""

    folder: Path
    state_dir: Path

    def limits(self, **changed: object) -> DownloadLimits:
        """Limits under which a fault is over in moments."""
        quick: dict[str, object] = {
            "disk_reserve_bytes": 0,
            "room_seconds": 0,
            "backoff_seconds": 0.01,
            "attempts": 4,
            "stall_seconds": 0.5,
            "connect_seconds": 2.0,
        }
        return DownloadLimits(**(quick | changed))  # pyright: ignore[reportArgumentType]

    def downloader(self, *, pace: Pace | None = None, **changed: object) -> Downloader:
        """A downloader into this device."""
        return Downloader(
            folder=self.folder,
            state_dir=self.state_dir,
            limits=self.limits(**changed),
            pace=pace or Pace(),
        )

    def installer(self, on_verified: Callable[[Path], None]) -> Downloader:
        """A downloader whose files go through ``on_verified``."""
        return Downloader(
            folder=self.folder,
            state_dir=self.state_dir,
            limits=self.limits(),
            on_verified=on_verified,
        )

    def fetch(self, server: ObjectServer, **changed: object) -> Delivered:
        """Deliver the server's object; fresh URLs come from the server."""
        downloader = Downloader(
            folder=self.folder, state_dir=self.state_dir, limits=self.limits(**changed)
        )
        return downloader.fetch(server.document(), refresh_url=lambda: server.url)

    def visible_files(self) -> dict[str, bytes]:
        """What a user of the download folder sees: every file that is not ours alone."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    def leftovers(self) -> list[str]:
        """Temporary files and journals."""
        mine = [path for path in self.folder.rglob(".*") if path.is_file()]
        return [path.name for path in (*mine, *(self.state_dir / "downloads").glob("*.json*"))]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """Empty folders of one device."""
    return Device(folder=tmp_path / "files", state_dir=tmp_path / "state")


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    """A server of one object of 1.5 MB."""
    with ObjectServer(random.Random(7).randbytes(1_500_001)) as running:  # noqa: S311 - content
        yield running
