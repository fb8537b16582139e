"""What the device maker of these tests installs as ``/etc/cedarfleet/handlers.py``.

It runs inside the unit.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cedarfleet_device import DeviceConfig
from cedarfleet_device.downloads import Downloader
from cedarfleet_device.wire import DownloadDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device import Agent, Command

CONFIGURATION = Path("/etc/cedarfleet/device.toml")
GATE = Path("/etc/cedarfleet/gate")
FORBIDDEN: dict[str, Callable[[], object]] = {
    "write the system": lambda: Path("/etc/cedarfleet/new").touch(),
    "look into homes": lambda: os.listdir("/root"),  # noqa: PTH208 - the call is what is refused
    "see other processes": lambda: Path("/proc/1/status").read_text(),
    "see the machine's figures": lambda: Path("/proc/meminfo").read_text(),
    "write and execute memory": lambda: mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ).close(),
    "speak to the kernel's network": lambda: socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, 0
    ).close(),
    "make a set-user-id file": lambda: Path("/var/lib/cedarfleet/suid").touch(0o4755),
    "rename the machine": lambda: socket.sethostname("other"),
    "take more of the processor": lambda: os.nice(-5),
}


def register(agent: Agent) -> None:
    """Four handlers; the agent is ready no sooner than the gate lets it through."""

    @agent.command("look")
    def look(_: Command) -> dict[str, Any]:
        lines = Path("/proc/self/status").read_text().splitlines()
        status = {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}
        names = ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd", "Threads", "VmHWM")
        return {
            "uid": os.getuid(),
            "status": {each: status[each] for each in names},
            "forbidden": {name: refusal(act) for name, act in FORBIDDEN.items()},
        }

    @agent.command("fetch")
    def fetch(command: Command) -> dict[str, Any]:
        config = DeviceConfig.load(CONFIGURATION)
        downloader = Downloader(
            folder=config.download_dir, state_dir=config.state_dir, limits=config.downloads
        )
        document = DownloadDocument(**command.arguments)
        delivered = downloader.fetch(document, refresh_url=lambda: document.url)
        return {"path": str(delivered.path), "bytes": delivered.bytes_fetched}

    @agent.command("work")
    def work(_: Command) -> None:
        knock("working")

    knock("starting")


def refusal(act: Callable[[], object]) -> str:
    """The name of the error that ``act`` meets."""
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def knock(word: str) -> None:
    """Tell the test where this process is, and wait until it says to go on."""
    with socket.create_connection(("127.0.0.1", int(GATE.read_text())), timeout=60) as gate:
        gate.sendall(word.encode())
        gate.recv(1)
