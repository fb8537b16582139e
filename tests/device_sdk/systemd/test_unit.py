"""The systemd unit: what systemd's own tools say of it, and the agent under a real systemd."""

from __future__ import annotations

import os
import random
import re
import ssl
import subprocess
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cedarfleet_device.identity.credentials import write_private
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command
from tests.device_sdk.downloads.object_server import ObjectServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.systemd.conftest import InstalledDevice

UNIT = "cedarfleet-device"
UNIT_FILE = "etc/systemd/system/cedarfleet-device.service"
DYNAMIC_USERS = range(61184, 65520)  # docs: systemd "Users, Groups, UIDs and GIDs"
MOST_EXPOSED = 1.5  # of 10; what is left are network and local sockets, of which an agent lives
QUICK_WATCHDOG = "[Service]\nWatchdogSec=4\n"


def test_systemd_accepts_every_line(root: Path):
    """Nothing in the unit is unknown, misspelt, malformed or missing."""
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", f"/{UNIT_FILE}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_is_little_exposed(root: Path):
    """Systemd's own measure of what the confinement leaves open stays low."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", root / UNIT_FILE],
        capture_output=True,
        text=True,
        check=True,
    )
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout
    print(f"exposure {level[1]} of 10")
    assert float(level[1]) <= MOST_EXPOSED


def test_it_is_active_once_the_agent_is_ready(installed: InstalledDevice):
    """While the agent prepares, the unit is `activating`; `active` is what READY makes it."""
    installed.machine.run("systemctl", "log-level", "debug")  # it then tells each word of an agent
    installed.machine.run("systemctl", "start", "--no-block", UNIT)
    with installed.gate.await_knock("starting"):
        assert installed.machine.show(UNIT)["ActiveState"] == "activating"
    installed.machine.await_console("(READY=1)")
    installed.machine.await_console("Changed start -> running")
    installed.machine.run("systemctl", "log-level", "info")
    shown = installed.machine.show(UNIT)
    assert (shown["ActiveState"], shown["Type"], shown["NRestarts"]) == ("active", "notify", "0")


def test_a_command_is_answered_from_inside_the_confinement(installed: InstalledDevice):
    """A command comes in over mutual TLS, runs as a user without any right, and is answered."""
    installed.start()
    detail = _done(installed, "look")
    print(detail)
    assert detail["uid"] in DYNAMIC_USERS
    status = detail["status"]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert detail["forbidden"] == {
        "write the system": "EROFS",
        "look into homes": "EACCES",
        "see other processes": "ENOENT",
        "see the machine's figures": "ENOENT",
        "write and execute memory": "EPERM",
        "speak to the kernel's network": "EAFNOSUPPORT",
        "make a set-user-id file": "EPERM",
        "rename the machine": "EPERM",
        "take more of the processor": "EPERM",
    }


def test_a_file_is_delivered_inside_the_confinement(installed: InstalledDevice):
    """Several connections with TLS, files made, synced and moved: the whole way of a download."""
    installed.start()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(
        installed.broker.folder / "server.crt", installed.broker.folder / "server.key"
    )
    content = random.Random(7).randbytes(3_000_001)  # noqa: S311 - content, not a secret
    with ObjectServer(content, tls=tls) as server:
        detail = _done(installed, "fetch", asdict(server.document()))
    assert detail["bytes"] == len(content)
    assert (installed.machine.root / detail["path"].lstrip("/")).read_bytes() == content


def test_stop_is_a_clean_end(installed: InstalledDevice):
    """`systemctl stop` lets the agent say goodbye, in time, without force."""
    installed.start()
    begun = time.monotonic()
    installed.machine.run("systemctl", "stop", UNIT)
    took = time.monotonic() - begun
    shown = installed.machine.show(UNIT)
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == (
        "inactive",
        "success",
        "0",
    )
    assert took < 30, "TimeoutStopSec of the unit"
    print(f"stopped in {took:.2f} s")
    installed.await_presence("offline")


def test_a_device_is_provisioned_after_the_first_start(installed: InstalledDevice):
    """What root writes later, as `provision` does, is the agent's to read."""
    installed.start()
    installed.machine.run("systemctl", "stop", UNIT)
    folder = installed.machine.root / "var/lib/private/cedarfleet"
    user = folder.stat().st_uid
    assert user != os.geteuid()
    for each in ("device.crt", "device.key"):
        content = (folder / each).read_bytes()
        (folder / each).unlink()
        write_private(folder / each, content)
    installed.start()
    assert {each.stat().st_uid for each in folder.rglob("*")} == {user}
    assert _done(installed, "look")["uid"] == user


def test_a_killed_agent_restarts_and_tells_what_it_broke_off(installed: InstalledDevice):
    """After `kill -9` the unit is back by itself, and the command under way ends INTERRUPTED."""
    installed.start()
    before = installed.machine.show(UNIT)
    message = new_command(installed.thing, "work")
    installed.broker.send(message)
    with installed.gate.await_knock("working"):
        installed.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", UNIT)
        assert "code=killed, status=9/KILL" in installed.machine.await_console(
            "Main process exited"
        )
    installed.let_start()
    assert installed.observer.final(message.command_id).state is CommandState.INTERRUPTED
    _is_back(installed, before["MainPID"], restarts=int(before["NRestarts"]) + 1)


def test_a_hanging_agent_is_restarted_by_the_watchdog(installed: InstalledDevice):
    """One that gives its word lives on beyond `WatchdogSec`; one that stands still does not."""
    installed.machine.run("systemctl", "stop", UNIT)
    (installed.machine.root / f"{UNIT_FILE}.d/watchdog.conf").write_text(QUICK_WATCHDOG)
    installed.machine.run("systemctl", "daemon-reload")
    installed.machine.run("systemctl", "log-level", "debug")
    installed.start()
    for _ in range(3):
        installed.machine.await_console("(WATCHDOG=1)")
    before = installed.machine.show(UNIT)
    assert (before["ActiveState"], before["NRestarts"], before["WatchdogUSec"]) == (
        "active",
        "0",
        "4s",
    )
    lived = int(before["WatchdogTimestampMonotonic"]) - int(before["ActiveEnterTimestampMonotonic"])
    assert lived > 4_000_000
    installed.machine.run("systemctl", "log-level", "info")
    installed.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
    installed.machine.await_console("Watchdog timeout (limit 4s)")
    assert "status=6/ABRT" in installed.machine.await_console("Main process exited")
    installed.let_start()
    _is_back(installed, before["MainPID"], restarts=1)


def _done(
    installed: InstalledDevice, name: str, arguments: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Have the device run a command; what its handler found."""
    message = new_command(installed.thing, name, arguments=arguments)
    installed.broker.send(message)
    final = installed.observer.final(message.command_id)
    assert final.state is CommandState.SUCCEEDED, final
    return final.detail


def _is_back(installed: InstalledDevice, former: str, *, restarts: int) -> None:
    """The unit is up with another main process, which obeys."""
    shown = installed.machine.show(UNIT)
    assert (shown["ActiveState"], shown["NRestarts"]) == ("active", str(restarts))
    assert shown["MainPID"] != former
    assert _done(installed, "look")
