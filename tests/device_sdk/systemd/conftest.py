"""Fixtures: the unit installed as a device maker installs it, and a machine on which it runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cedarfleet_device
import pytest
from cedarfleet_device import wire

from tests.device_sdk.devices import Observer
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto
from tests.device_sdk.systemd.machine import Machine, lay_out, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTRIBUTION = Path(cedarfleet_device.__file__).parents[2]
UNIT = DISTRIBUTION / "systemd/cedarfleet-device.service"
UV = Path(sys.executable).with_name("uv")
PYTHON = Path("/usr/bin/python3")  # an interpreter below /home or /root is hidden from the unit
# The only thing changed: this machine has no journal.
LOGS = "[Service]\nStandardOutput=append:/var/log/agent.log\nStandardError=inherit\n"


class Gate:
    """Where the handlers on the device wait; what they tell is an event for the test."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(30)
        self.port: Final = int(self._listening.getsockname()[1])

    def await_knock(self, word: str) -> socket.socket:
        """Wait for who says ``word``; closing what is returned lets it go on."""
        inside, _ = self._listening.accept()
        inside.settimeout(30)
        assert inside.recv(100).decode() == word
        return inside

    def close(self) -> None:
        """Let nobody wait any more."""
        self._listening.close()


@dataclass(frozen=True, kw_only=True)
class InstalledDevice:
    """A machine with the unit on it, and the broker it speaks to."""

    machine: Machine
    broker: Mosquitto
    observer: Observer
    gate: Gate
    thing: str

    @property
    def presence(self) -> list[bytes]:
        """What the agent said of its connection."""
        topic = wire.presence_topic(self.thing)
        return [payload for each, payload in self.observer.other if each == topic]

    def start(self) -> None:
        """Have the unit up, and the agent connected and subscribed."""
        if self.machine.show("cedarfleet-device")["ActiveState"] != "active":
            self.machine.run("systemctl", "start", "--no-block", "cedarfleet-device")
            self.let_start()
        self.await_presence("online")

    def let_start(self) -> None:
        """Let the agent that is being started through the gate.

        Returns when it is active and online.
        """
        online = wire.presence_message("online")
        before = self.presence.count(online)
        self.gate.await_knock("starting").close()
        # Joins the start that is under way.
        self.machine.run("systemctl", "start", "cedarfleet-device")
        self.observer.until(
            lambda: self.presence.count(online) > before, what=lambda: f"online: {self.presence}"
        )

    def await_presence(self, state: str) -> None:
        """Wait until this is the agent's last word of its connection."""
        said = wire.presence_message(state)
        self.observer.until(
            lambda: self.presence[-1:] == [said], what=lambda: f"`{state}` after {self.presence}"
        )


def _python() -> Path:
    if not PYTHON.exists():
        pytest.skip(
            "install python3 (Debian package of that name):"
            " the unit hides interpreters below /home and /root"
        )
    done = subprocess.run(
        [PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False
    )
    if done.returncode:
        pytest.skip(
            f"`{PYTHON}` must be Python 3.11 or later:"
            " the unit hides interpreters below /home and /root"
        )
    return PYTHON


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system of a device on which its maker has installed wheel and unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("install systemd (Debian package of that name)")
    folder = tmp_path_factory.mktemp("systemd")
    root = folder / "root"
    lay_out(root)
    build = (
        "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); b.build_wheel(sys.argv[2])"
    )
    _run(sys.executable, "-c", build, DISTRIBUTION, folder)
    (wheel,) = folder.glob("cedarfleet_device-*.whl")
    program = root / "opt/cedarfleet"
    _run(UV, "venv", "--quiet", "--relocatable", "--python", _python(), program)
    _run(
        UV, "pip", "install", "--quiet", "--system-certs", "--python", program / "bin/python", wheel
    )
    shutil.copy(UNIT, root / "etc/systemd/system")
    return root


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledDevice]:
    """The device, switched on, with the unit enabled but not started yet."""
    if (reason := missing(tmp_path_factory.mktemp("try"))) is not None:
        pytest.skip(reason)
    if PROGRAM is None:
        pytest.skip("install mosquitto (Debian package of that name)")
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker, closing(Gate()) as gate:
        thing = _commission(root, broker, gate, tmp_path_factory.mktemp("maker"))
        with Observer(host=broker.host, port=broker.port, tls=broker.tls("observer")) as observer:
            with Machine(root) as machine:
                machine.run("systemctl", "enable", "cedarfleet-device")
                yield InstalledDevice(
                    machine=machine, broker=broker, observer=observer, gate=gate, thing=thing
                )
            print(*machine.console, (root / "var/log/agent.log").read_text(), sep="\n")


def _commission(root: Path, broker: Mosquitto, gate: Gate, folder: Path) -> str:
    """Put in place what the unit's first lines ask for, owned by root as after ``provision``.

    The thing's name.
    """
    etc, var = root / "etc/cedarfleet", root / "var/lib/cedarfleet"
    for each in (etc, var, root / "var/log"):
        each.mkdir()
    (root / "var/log/agent.log").touch()
    settings = {
        "ca_file": "/etc/cedarfleet/ca.pem",
        "certificate_file": "/var/lib/cedarfleet/device.crt",
        "key_file": "/var/lib/cedarfleet/device.key",
        "state_dir": "/var/lib/cedarfleet/state",
        "download_dir": "/var/lib/cedarfleet/downloads",
        "downloads.ca_file": "/etc/cedarfleet/ca.pem",
        "downloads.parallel_from_bytes": 1,
        "downloads.parallel_from_seconds": 0.0,
    }
    device = broker.device(folder, settings=settings)
    shutil.copy(device.config_file, etc / "device.toml")
    shutil.copy(broker.ca_file, etc / "ca.pem")
    shutil.copy(Path(__file__).with_name("handlers.py"), etc)
    (etc / "gate").write_text(str(gate.port))
    for each in ("device.crt", "device.key"):
        shutil.copy(folder / each, var)
    (root / "etc/systemd/system/cedarfleet-device.service.d").mkdir()
    (root / "etc/systemd/system/cedarfleet-device.service.d/logs.conf").write_text(LOGS)
    # Whatever the tester's umask is.
    subprocess.run(["chmod", "-R", "go+rX", root / "etc", root / "opt"], check=True)
    return device.thing
