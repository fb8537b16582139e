"""Disks that are full, small, or obstructed: the old file stays, the reason is clear."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import Delivered, DownloadRefusedError, Reason
from cedarfleet_device.downloads.outcomes import DownloadFailedError

from tests.device_sdk.downloads.conftest import Device
from tests.device_sdk.downloads.device_process import DELIVERED, REFUSED, DownloadTask, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.device_sdk.downloads.object_server import Exchange, ObjectServer

MIB = 1024 * 1024
OLD = b"the version before"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def stand_old(device: Device) -> Path:
    """Let an older version stand at the target."""
    target = device.folder / "firmware/image.bin"
    target.parent.mkdir(parents=True)
    target.write_bytes(OLD)
    return target


@pytest.mark.parametrize("left", [0, 100_000, 700_000, 1_400_000])
def test_a_disk_that_fills_up_meanwhile_keeps_the_old_file(
    tmp_path: Path, small_disk: Path, server: ObjectServer, left: int
):
    """Wherever space runs out, the download is refused, and what it had taken is free again."""
    device = Device(folder=small_disk / "files", state_dir=tmp_path / "state")
    stand_old(device)
    filler = small_disk / "log"

    def somebody_logs(exchange: Exchange) -> None:
        free = os.statvfs(small_disk)
        filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - left))
        exchange.good_head()
        exchange.send(exchange.body)

    server.faults.append(somebody_logs)
    with pytest.raises(DownloadRefusedError) as caught:
        device.fetch(server)
    assert caught.value.reason is Reason.DISK
    assert device.visible_files() == {"firmware/image.bin": OLD}
    assert device.leftovers() == []
    filler.unlink()
    assert device.fetch(server).path.read_bytes() == server.content


def test_a_download_waits_for_room_and_goes_on(
    tmp_path: Path, small_disk: Path, server: ObjectServer
):
    """What was fetched stays, and the rest comes once somebody has made room."""
    device = Device(folder=small_disk / "files", state_dir=tmp_path / "state")
    filler = small_disk / "log"

    def somebody_logs(exchange: Exchange) -> None:
        free = os.statvfs(small_disk)
        filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 700_000))
        exchange.good_head()
        exchange.send(exchange.body)

    waited: list[bool] = []

    def make_room() -> bool:
        # Asked while it waits: by then the first bytes have come, and no more go in.
        if server.sent > 700_000 and filler.exists() and filler.stat().st_size:
            waited.append(True)
            if len(waited) > 3:
                filler.unlink()
        return False

    server.faults.append(somebody_logs)
    delivered = device.downloader(room_seconds=30).fetch(
        server.document(), refresh_url=lambda: server.url, cancelled=make_room
    )
    assert waited
    assert delivered.path.read_bytes() == server.content
    assert delivered.bytes_fetched < 2 * len(server.content), "it did not begin anew"


def test_the_reserve_is_kept_while_others_write_too(
    tmp_path: Path, small_disk: Path, server: ObjectServer
):
    """When somebody else eats the reserve, the download gives way before the disk is full."""
    device = Device(folder=small_disk / "files", state_dir=tmp_path / "state")
    stand_old(device)

    def somebody_logs(exchange: Exchange) -> None:
        (small_disk / "log").write_bytes(b"x" * (2 * MIB))
        exchange.good_head()
        exchange.send(exchange.body)

    server.faults.append(somebody_logs)
    with pytest.raises(DownloadRefusedError, match="reserve"):
        device.fetch(server, disk_reserve_bytes=MIB)
    assert device.visible_files() == {"firmware/image.bin": OLD}
    assert device.leftovers() == []


def test_a_full_state_disk_is_a_refusal_too(tmp_path: Path, small_disk: Path, server: ObjectServer):
    """Without a journal nothing is fetched, since nothing could be resumed."""
    device = Device(folder=tmp_path / "files", state_dir=small_disk)
    downloader = device.downloader()
    with (small_disk / "log").open("wb", buffering=0) as log, suppress(OSError):
        while True:
            log.write(b"x" * 4096)
    with pytest.raises(DownloadRefusedError, match="No space left") as caught:
        downloader.fetch(server.document(), refresh_url=lambda: server.url)
    assert server.sent < 1000
    assert caught.value.reason is Reason.DISK
    assert device.visible_files() == {}


def process(server: ObjectServer, device: Device, **changed: object) -> DownloadTask:
    """Fetch in a process of its own."""
    plain: dict[str, object] = {
        "document": server.document(),
        "folder": device.folder,
        "state_dir": device.state_dir,
        "limits": device.limits(),
    }
    return DownloadTask(**(plain | changed))  # pyright: ignore[reportArgumentType]


def test_a_file_size_limit_of_the_process_is_a_refusal(device: Device, server: ObjectServer):
    """EFBIG half way leaves the old file and nothing else."""
    stand_old(device)
    assert run(process(server, device, file_size_limit=MIB)) == REFUSED
    assert device.visible_files() == {"firmware/image.bin": OLD}
    assert device.leftovers() == []


def test_a_file_system_without_links_can_roll_back_too(device: Device, server: ObjectServer):
    """On FAT the previous file is copied instead of linked."""
    target = stand_old(device)
    assert run(process(server, device, has_links=False, fail_in_hook=True)) == REFUSED
    assert target.read_bytes() == OLD
    assert run(process(server, device, has_links=False)) == DELIVERED
    assert target.read_bytes() == server.content
    assert device.leftovers() == []


def fetch_as(device: Device, server: ObjectServer, name: str) -> Delivered:
    """Deliver the object under ``name``."""
    return device.downloader().fetch(server.document(name), refresh_url=lambda: server.url)


@pytest.mark.parametrize(
    "way", ["link/x", "a/link/x", "link", "a/file", "folder", "pipe", "plain/x"]
)
def test_what_stands_in_the_way_is_never_followed_or_replaced(
    device: Device, server: ObjectServer, tmp_path: Path, way: str
):
    """Symlinks, folders, pipes and files on the way refuse the name.

    Nothing outside the folder changes.
    """
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "file").write_bytes(b"precious")
    (device.folder / "a").mkdir(parents=True)
    (device.folder / "link").symlink_to(outside)
    (device.folder / "a/link").symlink_to("../../outside")
    (device.folder / "a/file").symlink_to(outside / "file")
    (device.folder / "folder").mkdir()
    os.mkfifo(device.folder / "pipe")
    (device.folder / "plain").write_bytes(b"a file, not a folder")
    with pytest.raises(DownloadRefusedError) as caught:
        fetch_as(device, server, way)
    assert caught.value.reason is Reason.NAME
    assert server.requests == []
    assert sorted(path.name for path in outside.rglob("*")) == ["deep", "file"]
    assert (outside / "file").read_bytes() == b"precious"


def test_a_symlink_planted_during_the_download_is_not_followed(
    device: Device, server: ObjectServer, tmp_path: Path
):
    """The target's directory is held open: exchanging it for a symlink leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()

    def exchange_folder(exchange: Exchange) -> None:
        (device.folder / "firmware").rename(device.folder / "moved")
        (device.folder / "firmware").symlink_to(outside)
        exchange.good_head()
        exchange.send(exchange.body)

    server.faults.append(exchange_folder)
    device.fetch(server)
    assert list(outside.iterdir()) == []
    assert (device.folder / "moved/image.bin").read_bytes() == server.content


@pytest.mark.parametrize(
    ("existing", "name"), [("Image.bin", "image.bin"), ("Größe", "GRÖSSE"), ("e\u0301", "é")]
)
def test_two_spellings_of_one_file_are_refused(
    device: Device, server: ObjectServer, existing: str, name: str
):
    """A name that differs in case or Unicode form alone would replace what nobody meant."""
    device.folder.mkdir()
    (device.folder / existing).write_bytes(OLD)
    with pytest.raises(DownloadRefusedError, match="would be the same file"):
        fetch_as(device, server, name)
    assert device.visible_files() == {existing: OLD}


@pytest.mark.parametrize("observed", [Path.hardlink_to, Path.symlink_to])
def test_a_planted_temporary_file_is_not_written_through(
    device: Device, server: ObjectServer, tmp_path: Path, observed: Callable[[Path, Path], None]
):
    """A hard link or symlink under the temporary file's name does not lead the bytes elsewhere."""
    precious = tmp_path / "precious"
    precious.write_bytes(OLD)
    server.faults.append(lambda exchange: exchange.reset())
    with pytest.raises(DownloadFailedError):
        device.fetch(server, attempts=1)
    (part,) = device.folder.rglob("*.part")
    part.unlink()
    observed(part, precious)
    with pytest.raises(DownloadRefusedError) as caught:
        device.fetch(server, attempts=1)
    assert caught.value.reason is Reason.DISK
    assert precious.read_bytes() == OLD


def test_a_download_folder_that_cannot_be_made_says_so(tmp_path: Path, server: ObjectServer):
    """A file where the folder should be is named in the error."""
    (tmp_path / "files").write_bytes(b"")
    device = Device(folder=tmp_path / "files", state_dir=tmp_path / "state")
    with pytest.raises(DownloadRefusedError, match="cannot open the download folder") as caught:
        device.fetch(server)
    assert caught.value.reason is Reason.DISK


def test_many_kilobytes_of_names_stay_apart(device: Device, server: ObjectServer):
    """Two artifacts that differ only in their folders share neither journal nor temporary file."""
    server.put(random.Random(1).randbytes(1000))  # noqa: S311 - content, not a secret
    names = ["a/b/file", "a/file", "file", "b/a/file"]
    for name in names:
        fetch_as(device, server, name)
    assert sorted(device.visible_files()) == sorted(names)
