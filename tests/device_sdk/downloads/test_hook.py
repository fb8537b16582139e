"""The hook that runs once a file is verified and in place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.downloads import DownloadRefusedError, Reason

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.downloads.conftest import Device
    from tests.device_sdk.downloads.object_server import ObjectServer


def test_a_hook_that_fails_brings_the_old_file_back(device: Device, server: ObjectServer):
    """When the hook raises, the previous file is back, and the error carries the hook's words."""
    device.fetch(server)
    old = server.content
    server.put(old[::-1])
    seen: list[bytes] = []

    def hook(path: Path) -> None:
        seen.append(path.read_bytes())
        raise RuntimeError("flash failed")

    with pytest.raises(DownloadRefusedError, match="RuntimeError: flash failed") as caught:
        device.installer(hook).fetch(server.document(), refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.INSTALL
    assert seen == [server.content]
    assert device.visible_files() == {"firmware/image.bin": old}
    assert device.leftovers() == []


@pytest.mark.parametrize("raised", [asyncio.CancelledError, MemoryError, GeneratorExit])
def test_whatever_a_hook_raises_brings_the_old_file_back(
    device: Device, server: ObjectServer, raised: type[BaseException]
):
    """Also what is no `Exception`: the bad file does not stay, and the download is refused."""
    device.fetch(server)
    old = server.content
    server.put(old[::-1])

    def hook(_path: Path) -> None:
        raise raised

    with pytest.raises(DownloadRefusedError, match=raised.__name__) as caught:
        device.installer(hook).fetch(server.document(), refresh_url=lambda: server.url)
    assert caught.value.reason is Reason.INSTALL
    assert device.visible_files() == {"firmware/image.bin": old}
    assert device.leftovers() == []


def test_a_first_file_whose_hook_fails_disappears(device: Device, server: ObjectServer):
    """Without a previous file the target is empty again, also when the hook tried to exit."""

    def hook(_path: Path) -> None:
        raise SystemExit(3)

    with pytest.raises(DownloadRefusedError, match="SystemExit"):
        device.installer(hook).fetch(server.document(), refresh_url=lambda: server.url)
    assert device.visible_files() == {}
    assert device.leftovers() == []


def _interrupted(_path: Path) -> None:
    raise KeyboardInterrupt


def _failing(_path: Path) -> None:
    raise RuntimeError("flash failed")


def test_a_hook_that_fails_after_a_restart_brings_it_back_too(device: Device, server: ObjectServer):
    """A process that ended in its hook had put the new file in place, and kept the old one."""
    device.fetch(server)
    old = server.content
    server.put(old[::-1])
    with pytest.raises(KeyboardInterrupt):
        device.installer(_interrupted).fetch(server.document(), refresh_url=lambda: server.url)
    assert device.visible_files() == {"firmware/image.bin": server.content}
    server.requests.clear()
    with pytest.raises(DownloadRefusedError, match="flash failed"):
        device.installer(_failing).fetch(server.document(), refresh_url=lambda: server.url)
    assert server.requests == []
    assert device.visible_files() == {"firmware/image.bin": old}
    assert device.leftovers() == []


def test_a_file_delivered_before_stays_whatever_its_hook(device: Device, server: ObjectServer):
    """Of a file that an earlier download put in place there is no other to go back to."""
    device.fetch(server)
    with pytest.raises(DownloadRefusedError, match="flash failed"):
        device.installer(_failing).fetch(server.document(), refresh_url=lambda: server.url)
    assert device.visible_files() == {"firmware/image.bin": server.content}
