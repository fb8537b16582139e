"""The doctor names what is wrong, in words, for each thing that goes wrong in the field."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import Agent
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.diagnostics.doctor import examine, reach
from cedarfleet_device.diagnostics.health import write_status
from cedarfleet_device.store.state_folder import StateFolder

from tests.device_sdk.devices import fill, new_command
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.devices import Device, Observer, Tenant


def wrong(device: Device) -> list[str]:
    """The words of what is not good."""
    return [each.words for each in examine(DeviceConfig.load(device.config_file)) if not each.good]


def rewrite(device: Device, **changes: object) -> None:
    """Change keys of the configuration."""
    lines = device.config_file.read_text().splitlines()
    kept = [line for line in lines if line.split(" ", 1)[0] not in changes]
    kept += [f"{key} = {json.dumps(value)}" for key, value in changes.items()]
    device.config_file.write_text("\n".join(kept))


def test_a_healthy_device_has_nothing_wrong(tenant: Tenant, tmp_path: Path):
    """Every line is ok, and the program's exit code says so."""
    device = tenant.device(tmp_path)
    assert wrong(device) == []
    done = subprocess.run(
        device.arguments("doctor"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "the broker accepts this device" in done.stdout


def test_each_ailment_is_named(tenant: Tenant, tmp_path: Path):
    """Certificate, key, expiry, host, port, authority, policy: each has words of its own."""
    device = tenant.device(tmp_path)
    certificate, key = (
        (tmp_path / "device.crt").read_bytes(),
        (tmp_path / "device.key").read_bytes(),
    )
    good = device.config_file.read_text()

    (tmp_path / "device.crt").unlink()
    assert "run `cedarfleet-device enroll` first" in wrong(device)[0]
    (tmp_path / "device.crt").write_bytes(certificate)

    (tmp_path / "device.key").chmod(0o644)
    assert "has mode 0644, it must be 0600" in wrong(device)[0]

    stale = Authority().issue("press-07", days=-1)
    (tmp_path / "device.crt").write_bytes(stale[0])
    (tmp_path / "device.key").write_bytes(stale[1])
    (tmp_path / "device.key").chmod(0o600)
    assert "the certificate expired on" in wrong(device)[0]
    (tmp_path / "device.crt").write_bytes(certificate)
    (tmp_path / "device.key").write_bytes(key)

    rewrite(device, endpoint="no-such-host.invalid")
    assert "`no-such-host.invalid` is not resolved" in wrong(device)[0]

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        rewrite(device, endpoint="localhost", port=closed.getsockname()[1])
        assert "cannot be reached: Connection refused" in wrong(device)[0]

    device.config_file.write_text(good)
    (tmp_path / "other-ca.pem").write_bytes(Authority().pem)
    rewrite(device, ca_file="other-ca.pem")
    assert "is `ca_file` the right authority?" in wrong(device)[0]

    device.config_file.write_text(good)
    rewrite(device, state_dir=str(tmp_path / "device.crt"))
    assert "device.crt` is a file, not a folder" in wrong(device)[0]
    assert wrong(device)[1].endswith("cannot be used: Not a directory")

    device.config_file.write_text(f'{good}\n[downloads]\nca_file = "none.pem"\n')
    (words,) = wrong(device)
    assert "`downloads.ca_file` `" in words
    assert "cannot be used: No such file" in words

    device.config_file.write_text(good)
    stranger = tenant.device(tmp_path / "stranger")
    (tmp_path / "device.crt").write_bytes((stranger.folder / "device.crt").read_bytes())
    (tmp_path / "device.key").write_bytes((stranger.folder / "device.key").read_bytes())
    assert "the IoT policy refuses this thing" in wrong(device)[0]


def test_what_went_since_it_was_looked_at_is_found(tenant: Tenant, tmp_path: Path):
    """An authority, certificate or key that is gone or torn when the endpoint is dialed."""
    device = tenant.device(tmp_path)
    good = DeviceConfig.load(device.config_file)
    for file in (good.ca_file, good.certificate_file, good.key_file):
        kept = file.read_bytes()
        for spoil in (lambda file=file: file.unlink(), lambda file=file: file.write_text("torn")):
            spoil()
            (found,) = reach(good)
            assert not found.good
            assert "authority, certificate or key cannot be read" in found.words
            file.write_bytes(kept)


@pytest.mark.parametrize("first", ["former", "new"])
def test_two_authorities_may_stand_in_one_file(tenant: Tenant, tmp_path: Path, first: str):
    """While the root of the endpoint changes, `ca_file` holds both, in either order."""
    device = tenant.device(tmp_path)
    both = [Authority().pem, tenant.cloud.ca_file.read_bytes()]
    (tmp_path / "both.pem").write_bytes(b"".join(both if first == "former" else both[::-1]))
    rewrite(device, ca_file=str(tmp_path / "both.pem"))
    assert wrong(device) == []


def test_what_run_refuses_the_doctor_names(tenant: Tenant, tmp_path: Path):
    """A memory that is damaged or lost, and a handlers' file that does not run, are found."""
    device = tenant.device(tmp_path)
    (tmp_path / "handlers.py").write_text("def register(agent):\n    return (\n")
    words = [*device.arguments("doctor"), "--handlers", str(tmp_path / "handlers.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("WRONG"))
    assert "SyntaxError" in line
    assert not (tmp_path / "state").exists(), "who looks makes nothing"
    with Agent(DeviceConfig.load(device.config_file)):
        pass
    assert wrong(device) == []
    memory = tmp_path / "state" / "agent.db"
    memory.write_bytes(b"SQLite format 3\0" + bytes(4000))
    assert "is damaged" in wrong(device)[0]
    memory.unlink()
    assert "has lost what it held" in wrong(device)[0]


def test_another_user_is_told_so(tenant: Tenant, tmp_path: Path):
    """Whoever may not enter the service's private folders reads that, and no traceback."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    device = tenant.device(tmp_path)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    rewrite(
        device,
        state_dir=str(private / "state"),
        download_dir=str(private / "downloads"),
        certificate_file=str(private / "device.crt"),
        key_file=str(private / "device.key"),
    )
    program = (
        "import os, sys\n"
        "from cedarfleet_device.config import DeviceConfig\n"
        "from cedarfleet_device.diagnostics.doctor import examine, reach\n"
        "config = DeviceConfig.load(sys.argv[1])\n"
        "os.setuid(65534)\n"
        "print(*examine(config), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(device.config_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "`state_dir`" in done.stdout
    assert done.stdout.count("WRONG") >= 3
    assert "Permission denied" in done.stdout


def test_a_full_disk_is_found(tenant: Tenant, tmp_path: Path, tight_disk: Path):
    """No room is not called well, though the folder can be written."""
    device = tenant.device(tmp_path)
    rewrite(device, state_dir=str(tight_disk / "state"))
    fill(tight_disk / "somebody's log")
    (words,) = wrong(device)
    assert words.endswith("the disk is full (0 bytes free)")


def test_an_agent_that_is_refused_is_found(tenant: Tenant, tmp_path: Path):
    """Beside a running agent the doctor says what that agent's own line met, and what it means."""
    device = tenant.device(tmp_path)
    stranger = tenant.device(tmp_path / "stranger")
    for name in ("device.crt", "device.key"):
        (tmp_path / name).write_bytes((stranger.folder / name).read_bytes())
    with device.run() as agent:
        refused = agent.await_event("mqtt.disconnected", seconds=30)
        assert "the IoT policy refuses this thing" in refused["reason"]
        agent.await_event("mqtt.disconnected", seconds=30)  # by now the status says it too
        (words,) = wrong(device)
        assert words.startswith("an agent is running, but is not connected: the broker refuses")
        assert "the IoT policy refuses this thing" in words
    with StateFolder(tmp_path / "state") as held:
        write_status(held.folder, {"state": "stopped", "problem": "of the agent before"})
        assert wrong(device) == []


def test_an_agent_whose_threads_fail_is_found(tenant: Tenant, tmp_path: Path):
    """Beside one that cannot read its jobs, say, for all that it is connected."""
    device = tenant.device(tmp_path)
    with StateFolder(tmp_path / "state") as held:
        status = {"state": "running", "connected_since": "2026-11-30T11:00:00+00:00"}
        write_status(held.folder, {**status, "failing_threads": {}})
        assert wrong(device) == []
        write_status(held.folder, {**status, "failing_threads": {"cedarfleet-jobs": "OSError: no"}})
        (words,) = wrong(device)
        assert words.endswith("its threads fail (its log says where): cedarfleet-jobs: OSError: no")


def test_the_doctor_takes_no_command_from_the_agent(
    tenant: Tenant, observer: Observer, tmp_path: Path
):
    """Commands that wait at the broker while the doctor looks are still there for the agent."""
    device = tenant.device(tmp_path)
    echo = "\n    agent.command('echo')(lambda command: command.arguments)\n"
    with device.run(echo) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
    ids = [tenant.send(new_command(device.thing, "echo")) for _ in range(3)]
    assert wrong(device) == []
    with device.run(echo):
        observer.await_all(ids)
