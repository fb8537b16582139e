"""What a loss of power leaves of a download, whenever it comes: all that was promised."""

from __future__ import annotations

import errno
import json
import multiprocessing
import sys
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.downloads import Downloader, DownloadFailedError, DownloadRefusedError

from tests.device_sdk.downloads.bad_answers import truncated
from tests.device_sdk.downloads.conftest import Device
from tests.device_sdk.downloads.object_server import ObjectServer
from tests.device_sdk.volatile_disk import Kept, VolatileDisk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OLD = b"the version before"
TARGET = "files/firmware/image.bin"


class LosingDevice:
    """A device whose power may go at any moment of its downloads.

    Attributes:
        allowed: what may stand at the target by now; None: nothing.
    """

    def __init__(self, device: Device, root: Path, *, old: bool) -> None:
        self.allowed: set[bytes | None] = {OLD if old else None}
        self.checkpoints: set[int] = set()
        self.disk = VolatileDisk(root, self._holds)
        self.hook_fails = self.keeps_previous = False
        self.hooks = 0
        self._device = device
        if old:
            (device.folder / "firmware").mkdir(parents=True)
            (device.folder / "firmware/image.bin").write_bytes(OLD)
            (device.folder / "firmware/image.bin").chmod(0o640)
        self._limits = device.limits(
            connections=2, parallel_from_bytes=1, parallel_from_seconds=0.0, stall_seconds=10.0
        )

    def fetch(self, server: ObjectServer, *, hook: bool = True, attempts: int = 4) -> None:
        """Deliver the server's object; the hook, and the end, find all of it on the disk."""
        before = set(self.allowed)
        self.allowed = before | {server.content}
        self.keeps_previous = hook and before == {OLD}
        at_hook: list[Mapping[str, Kept]] = []

        def verified(_: Path) -> None:
            self.hooks += 1
            at_hook.extend(self._all_states())
            if self.hook_fails:
                raise RuntimeError("installation failed")

        downloader = Downloader(
            folder=self._device.folder,
            state_dir=self._device.state_dir,
            limits=replace(self._limits, attempts=attempts),
            on_verified=verified if hook else None,
            disk=self.disk,
        )
        try:
            downloader.fetch(server.document(), refresh_url=lambda: server.url)
        except DownloadFailedError:
            self.allowed = before
            raise
        except DownloadRefusedError:
            assert self.hook_fails
            self.allowed = before
        else:
            assert not self.hook_fails
            self.allowed = {server.content}
        assert bool(at_hook) == hook
        previous = before - {None}
        for state in at_hook:
            assert _contents(state) == (server.content, ["placing"], previous)
        for state in self._all_states():
            assert {_contents(state)[0]} == self.allowed
            assert _contents(state)[1:] == ([], set())

    def _all_states(self) -> list[Mapping[str, Kept]]:
        """Whatever a loss of power may leave now."""
        states: list[Mapping[str, Kept]] = []
        self.disk.lose_power(states.append)
        assert states
        return states

    def _holds(self, state: Mapping[str, Kept]) -> None:
        """At any moment: a whole file at the target, and no byte promised that is not there."""
        found = _target(state)
        assert found in self.allowed
        if found is not None and found != OLD:
            assert state[TARGET].mode == 0o640
        for journal in _of(state, "state/", ".json"):
            entry: dict[str, Any] = json.loads(journal.content)
            if entry["stage"] == "placing":
                if found not in (OLD, None) and self.keeps_previous:
                    assert [each.content for each in _of(state, "files/", ".previous")] == [OLD]
                continue
            (part,) = _of(state, "files/", ".part")
            self.checkpoints.add(entry["prefix"])
            assert sha256(part.content[: entry["prefix"]]).hexdigest() == entry["prefix_sha256"]
            assert all(end <= len(part.content) for _, end in entry["beyond"])


def _target(state: Mapping[str, Kept]) -> bytes | None:
    found = state.get(TARGET)
    return None if found is None else found.content


def _of(state: Mapping[str, Kept], start: str, end: str) -> Iterator[Kept]:
    return (kept for name, kept in state.items() if name.startswith(start) and name.endswith(end))


def _contents(state: Mapping[str, Kept]) -> tuple[bytes | None, list[str], set[bytes | None]]:
    """Of the target; the stages of journals; of previous files."""
    assert not list(_of(state, "files/", ".part"))
    stages = [json.loads(each.content)["stage"] for each in _of(state, "state/", ".json")]
    return _target(state), stages, {each.content for each in _of(state, "files/", ".previous")}


@pytest.mark.parametrize("old", [True, False], ids=["replaces", "first"])
@pytest.mark.parametrize("hook", ["no hook", "hook", "hook that fails"])
def test_a_loss_of_power_leaves_what_was_promised(
    device: Device, tmp_path: Path, server: ObjectServer, hook: str, *, old: bool
):
    """Journal, target, previous file and their names are durable when others rest on them."""
    losing = LosingDevice(device, tmp_path, old=old)
    losing.hook_fails = hook == "hook that fails"
    with losing.disk:
        losing.fetch(server, hook=hook != "no hook")
    assert losing.hooks == (hook != "no hook")
    assert losing.disk.syncs > 10
    assert len(losing.checkpoints) > 2


def test_a_resumed_download_rests_on_what_is_durable(
    device: Device, tmp_path: Path, server: ObjectServer
):
    """Also of a download that goes on, and of one whose bytes were in vain, nothing is made up."""
    losing = LosingDevice(device, tmp_path, old=True)
    with losing.disk:
        server.faults.extend([truncated] * 2)
        with pytest.raises(DownloadFailedError):
            losing.fetch(server, attempts=1)
        losing.fetch(server)
        server.put(server.content[::-1])
        losing.fetch(server)
    assert losing.hooks == 2


def _replace_without_links(root: Path) -> None:
    def refuse(event: str, _: tuple[object, ...]) -> None:
        if event == "os.link":
            raise PermissionError(errno.EPERM, "no links here")

    sys.addaudithook(refuse)
    losing = LosingDevice(Device(folder=root / "files", state_dir=root / "state"), root, old=True)
    with ObjectServer(bytes(1_000_000)) as server, losing.disk:
        losing.fetch(server)


def test_a_file_system_without_links_keeps_its_promises_too(tmp_path: Path):
    """A previous file that was copied, as on FAT, is as durable as one that was linked."""
    # A process of its own, since what refuses links there cannot be taken back.
    process = multiprocessing.get_context("forkserver").Process(
        target=_replace_without_links, args=(tmp_path,)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0
