"""The agent as a maker's program holds it, and its word to systemd."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cedarfleet_device
import pytest
from cedarfleet_device import Agent, Command, ConfigError, DeviceConfig, Result
from cedarfleet_device.clock import Clock
from cedarfleet_device.errors import StateInUseError
from cedarfleet_device.store.state_folder import StateFolder, in_use
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import CommandState

from infra.local.processes import Child
from tests.device_sdk.devices import new_command, write_config
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_sdk.devices import Device, Observer, Tenant


def test_a_program_with_a_loop_of_its_own_holds_an_agent(
    tenant: Tenant, observer: Observer, tmp_path: Path
):
    """``start`` returns.

    Handlers run; what is to happen afterwards happens once SUCCEEDED has reached the cloud.
    """
    device = tenant.device(tmp_path)
    seen: list[list[CommandState]] = []
    happened = threading.Event()
    with Agent(DeviceConfig.load(device.config_file)) as agent:

        @agent.command("reboot")
        def reboot(command: Command) -> Result:
            def afterwards() -> None:
                seen.append([each.state for each in observer.statuses[command.command_id]])
                happened.set()

            return Result(detail={"id": command.command_id}, afterwards=afterwards)

        agent.start()
        with pytest.raises(ConfigError, match="must be registered before"):
            agent.command("late")
        message = new_command(device.thing, "reboot")
        observer.until(
            lambda: any(device.thing in topic for topic, _ in observer.other),
            what=lambda: "presence",
        )
        tenant.send(message)
        assert observer.final(message.command_id).detail == {"id": message.command_id}
        assert happened.wait(20)
        assert agent.metrics.snapshot()["ended"] == {"succeeded": 1}
    data = tenant.cloud.client("iot-data")
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_thing_shadow(thingName=device.thing)  # nobody asked for reports
    assert CommandState.SUCCEEDED in seen[0]
    assert not in_use(tmp_path / "state")


def test_who_looks_hinders_no_agent_that_starts(tmp_path: Path):
    """`status` and `doctor` only ask for the lock: an agent that takes it meanwhile gets it."""
    looks = (
        "import pathlib, sys\n"
        "from cedarfleet_device.store.state_folder import in_use\n"
        "while True:\n"
        "    print(in_use(pathlib.Path(sys.argv[1])), flush=True)\n"
    )
    folder = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-c", looks, str(folder)], stdout=subprocess.PIPE, text=True
    ) as looking:
        assert looking.stdout is not None
        seen: set[str] = set()
        while seen != {"True\n", "False\n"}:
            seen.add(looking.stdout.readline())
            with StateFolder(folder):
                seen.add(looking.stdout.readline())
        looking.kill()


@pytest.mark.parametrize("begun", [True, False])
def test_an_agent_whose_store_fails_ends_all_the_same(tenant: Tenant, tmp_path: Path, begun: bool):
    """Leaving the context releases the folder, whatever can no longer be written or begun."""
    with Agent(DeviceConfig.load(tenant.device(tmp_path).config_file)) as agent:
        if begun:
            agent.start()
        agent._store.close()
        if not begun:
            with pytest.raises(StoreError):
                agent.start()
    assert not in_use(tmp_path / "state")


def test_who_opens_the_line_of_an_ended_agent_gets_none(tenant: Tenant, tmp_path: Path):
    """A renewal that is under way at the end connects no device again that has said goodbye."""
    with Agent(DeviceConfig.load(tenant.device(tmp_path).config_file)) as agent:
        agent.start()
        assert agent._session.wait_online(30)
    agent._session.open()
    assert not agent._session.wait_online(0)
    assert agent._session._connection is None


def test_one_state_folder_serves_one_agent(tmp_path: Path):
    """A second agent is refused also in the same process, and looking does not release the lock."""
    with StateFolder(tmp_path / "state"):
        assert in_use(tmp_path / "state")
        with pytest.raises(StateInUseError, match=f"in use by process {os.getpid()}"):
            StateFolder(tmp_path / "state")
    assert not in_use(tmp_path / "state")
    StateFolder(tmp_path / "state").close()


def test_handlers_are_checked_when_they_are_registered(tenant: Tenant, tmp_path: Path):
    """A name that is none, or that has a handler, is refused at once."""
    with Agent(DeviceConfig.load(tenant.device(tmp_path).config_file)) as agent:
        agent.command("reboot")(lambda _: None)
        for name in ("reboot", "Reboot", "", "install-certificate"):
            with pytest.raises(ConfigError):
                agent.command(name)(lambda _: None)


def test_systemd_hears_ready_alive_and_stopping(tenant: Tenant, tmp_path: Path):
    """READY, WATCHDOG at half of the limit or sooner, and STOPPING arrive on systemd's socket."""
    device = tenant.device(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        child = Child(
            name="agent",
            command=device.arguments("run"),
            environment=environment,
            log_file=tmp_path / "log",
        )
        with child:
            heard = [listening.recv(100) for _ in range(4)]
            assert child.stop() == 0
            while heard[-1] != b"STOPPING=1":
                heard.append(listening.recv(100))
    assert heard[0] == b"READY=1"
    assert heard.count(b"WATCHDOG=1") >= 3


@pytest.mark.parametrize(
    ("device", "cloud"), [(1000.0, 1000.0), (1000.0, 1004.0), (1000.0, 90_000.0), (90_000.0, 1.0)]
)
def test_the_clock_follows_the_cloud_where_they_differ(device: float, cloud: float):
    """Beyond a tolerance of five seconds the cloud's time counts.

    Before it has told, the device's does.
    """
    clock = Clock(lambda: device, lambda: 7.0)
    assert not clock.told
    assert clock() == device * 1000
    clock.tell(round(cloud * 1000))
    assert clock.wait_told(0)
    assert abs(clock() - cloud * 1000) <= 5000
    assert clock.skew_ms in (0, (device - cloud) * 1000)


@pytest.mark.parametrize("late", [600.0, -600.0, 172_800.0])
def test_a_device_clock_that_is_set_changes_no_time(late: float):
    """Corrected after the cloud has told: no command expires or revives, and the skew is gone."""
    device, since_start = 1e9 - late, 50.0
    clock = Clock(lambda: device, lambda: since_start)
    clock.tell(round(1e12))
    assert clock() == 1e12
    assert clock.skew_ms == -late * 1000
    device, since_start = 1e9 + 20, 70.0  # NTP has set it right
    assert clock() == 1e12 + 20_000
    assert clock.skew_ms == 0
    device = 1e9 + 25
    assert clock.skew_ms == 0, "five seconds are tolerated"
    kept = Clock(lambda: 1000.0, lambda: 7.0)
    kept.tell(1_005_000)
    assert kept() == 1_000_000, "so they are where the cloud tells its time"
    device = 1e9 + 20 + late  # somebody sets it wrong
    assert clock() == 1e12 + 20_000
    assert clock.skew_ms == late * 1000


def test_the_readme_example_is_a_program(tenant: Tenant, tmp_path: Path):
    """The program that the README shows runs as it stands."""
    readme = Path(cedarfleet_device.__file__).parents[2] / "README.md"
    program, *_ = re.findall(r"```python file=\S+\n(.*?)```", readme.read_text(), re.DOTALL)
    device = tenant.device(tmp_path, settings={"report_seconds": 60})
    with Child(
        name="readme",
        command=[
            device.arguments("run")[0],
            "-c",
            f"import os; os.chdir({str(tmp_path)!r})\n{program}",
        ],
        environment={},
        log_file=tmp_path / "log",
    ):
        shadow: Callable[..., object] = tenant.cloud.client("iot-data").get_thing_shadow
        deadline = threading.Event()
        for _ in range(200):
            try:
                assert shadow(thingName=device.thing)
            except tenant.cloud.client("iot-data").exceptions.ResourceNotFoundException:
                deadline.wait(0.1)
            else:
                return
    raise AssertionError("the program never reported")


def test_an_agent_that_cannot_be_made_lets_go_of_its_folder(tmp_path: Path):
    """The fault is named with its key, and the next try in the same process is not in its way."""
    certificate, key = Authority().issue("press-07")
    for name, content in (("device.crt", certificate), ("device.key", key)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(Authority().pem)
    fields = {"thing": "acme--press-07", "endpoint": "localhost", "ca_file": "ca.pem"}
    authority = {"downloads.ca_file": str(tmp_path / "none.pem")}
    config = DeviceConfig.load(write_config(tmp_path, {**fields, **authority}))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"`downloads\.ca_file` .*none\.pem.*No such file"):
            Agent(config)
    assert not in_use(config.state_dir)
    Agent(DeviceConfig.load(write_config(tmp_path, fields))).close()
    (tmp_path / "device.key").write_bytes(Authority().issue("press-07")[1])
    with pytest.raises(ConfigError, match="do `certificate_file` and `key_file` belong together"):
        Agent(DeviceConfig.load(write_config(tmp_path, fields)))


def extension(hello: bytes, wanted: int) -> bytes:
    """What an extension of a ClientHello holds (RFC 8446, 4.1.2), in one record."""
    at = 5 + 4 + 2 + 32  # headers of record and message, version, random
    at += 1 + hello[at]  # session id
    at += 2 + int.from_bytes(hello[at : at + 2])  # cipher suites
    at += 1 + hello[at]  # compression methods
    at += 2  # length of all extensions
    while at < len(hello):
        kind, size = (int.from_bytes(hello[each : each + 2]) for each in (at, at + 2))
        if kind == wanted:
            return hello[at + 4 : at + 4 + size]
        at += 4 + size
    raise AssertionError(f"no extension {wanted}")


def test_tls_begins_at_1_2(tmp_path: Path):
    """The first message of the handshake offers nothing older (RFC 8446, 4.2.1)."""
    authority = Authority()
    certificate, key = authority.issue("press-07")
    for name, content in (("device.crt", certificate), ("device.key", key)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        config = DeviceConfig.load(
            write_config(
                tmp_path,
                {
                    "thing": "acme--press-07",
                    "endpoint": "localhost",
                    "port": server.getsockname()[1],
                    "ca_file": "ca.pem",
                },
            )
        )
        with Agent(config) as agent:
            agent.start()
            accepted, _ = server.accept()
            with accepted:
                accepted.settimeout(30)
                hello = accepted.recv(4096)
    assert hello[0] == 22, "a handshake record"
    listed = extension(hello, 43)[1:]  # supported_versions, behind the length of its list
    offered = {listed[index : index + 2] for index in range(0, len(listed), 2)}
    assert b"\x03\x03" in offered
    assert offered <= {b"\x03\x03", b"\x03\x04"}
    # Without the extension the version of the record's body is the highest offered.
    assert hello[9:11] == b"\x03\x03"


def test_a_handlers_file_that_cannot_be_run_is_named(tenant: Tenant, tmp_path: Path):
    """A slip in the maker's own file ends in words with file and line, not in a traceback."""
    device = tenant.device(tmp_path)
    (tmp_path / "handlers.py").write_text("def register(agent):\n    return (\n")
    done = _ran(device, "run", "--handlers", str(tmp_path / "handlers.py"))
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr
    assert "handlers.py" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "handlers.py").write_text("import json\njson.loads('x')\n")
    done = _ran(device, "run", "--handlers", str(tmp_path / "handlers.py"))
    assert done.returncode == 1
    assert "JSONDecodeError" in done.stderr
    assert "Traceback" not in done.stderr
    assert _ran(device, "--version", alone=True).stdout.strip() == version("cedarfleet-device")


def _ran(device: Device, *words: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "cedarfleet_device"]
    arguments = list(words) if alone else [*words, "--config", str(device.config_file)]
    return subprocess.run(
        [*program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_maker_who_set_up_no_logs_sees_what_happens(tmp_path: Path):
    """`run` writes its events to standard output; a program with logs of its own keeps them."""
    certificate, key = Authority().issue("press-07")
    for name, content in (("device.crt", certificate), ("device.key", key)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(Authority().pem)
    fields = {"thing": "acme--press-07", "endpoint": "localhost", "port": 1, "ca_file": "ca.pem"}
    file = write_config(tmp_path, fields)
    program = (
        "import logging, sys\n"
        "from cedarfleet_device import Agent, DeviceConfig\n"
        "if sys.argv[2:]: logging.basicConfig(level='INFO', stream=sys.stderr)\n"
        "with Agent(DeviceConfig.load(sys.argv[1])) as agent:\n"
        "    agent.stop()\n"
        "    agent.run()\n"
    )
    for words, stream in (([], "stdout"), (["logs"], "stderr")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(file), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "agent.started" in getattr(done, stream)
        assert ('"event": "agent.started"' in done.stdout) is (stream == "stdout")
