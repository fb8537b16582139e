"""From a claim to a device that works, through the installed program."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from cedarfleet_device.wire import CommandState

from infra import names
from tests.device_sdk.devices import Tenant, new_command, states
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud
    from tests.device_sdk.devices import Device, Observer

REBOOT = """
    @agent.command("reboot")
    def reboot(command):
        return {"heard": command.arguments}
"""


def provision(device: Device, claim: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
    """Run ``cedarfleet-device provision``."""
    arguments = device.arguments(
        "provision", "--claim-certificate", str(claim[0]), "--claim-key", str(claim[1])
    )
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_a_claim_becomes_a_device_that_runs_a_command(
    tenant: Tenant, observer: Observer, tmp_path: Path
):
    """A claim gives the device its certificate, with which the agent runs and reports a command."""
    device = tenant.device(tmp_path, registered=False, settings={"report_seconds": 60})

    done = provision(device, tenant.claim(tmp_path))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    with device.run(REBOOT) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        command_id = tenant.send(new_command(device.thing, "reboot", arguments={"why": "update"}))
        final = observer.final(command_id)
        assert final.detail == {"heard": {"why": "update"}}
        assert states(observer.statuses[command_id])[-1:] == [CommandState.SUCCEEDED]
        numbers = [each.sequence for each in observer.statuses[command_id]]
        assert numbers == list(range(1, len(numbers) + 1))
        shadow = (
            tenant.cloud.client("iot-data")
            .get_thing_shadow(thingName=device.thing)["payload"]
            .read()
        )
        assert json.loads(shadow)["state"]["reported"]["agent"]["sdk_version"] == "0.1.0"
        status = subprocess.run(
            device.arguments("status"), capture_output=True, text=True, timeout=60, check=True
        )
        assert json.loads(status.stdout)["state"] == "running"
        assert agent.stop() == 0


def test_a_claim_is_no_use_for_another_tenant(
    tenant: Tenant, embedded_cloud: EmbeddedCloud, tmp_path: Path
):
    """With one claim nobody becomes a device of another tenant, by its template or by its name."""
    other = Tenant(embedded_cloud, "sawmill")
    claim = tenant.claim(tmp_path)

    by_template = provision(other.device(tmp_path / "a", registered=False), claim)
    settings = {"provisioning.template": names.provisioning_template(tenant.name)}
    by_name = provision(other.device(tmp_path / "b", registered=False, settings=settings), claim)

    assert by_template.returncode == by_name.returncode == 1
    # The claim may not use another tenant's client ids.
    assert "did not accept the connection" in by_template.stderr
    assert not list(tmp_path.glob("*/device.key"))
    things = embedded_cloud.client("iot").list_things()["things"]
    assert not [each for each in things if each["thingName"].startswith("sawmill--")]


def test_a_pair_that_was_let_in_and_not_taken_is_resumed(tenant: Tenant, tmp_path: Path):
    """The power went between RegisterThing and the device's files: the next call takes the pair."""
    device = tenant.device(tmp_path, registered=False)
    claim = tenant.claim(tmp_path)
    assert provision(device, claim).returncode == 0
    pair = [(tmp_path / name).read_bytes() for name in ("device.crt", "device.key")]
    for name in ("device.crt", "device.key"):
        (tmp_path / name).rename(tmp_path / f"{name}.pending")
    done = provision(device, claim)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / name).read_bytes() for name in ("device.crt", "device.key")] == pair
    assert not list(tmp_path.glob("*.pending"))

    # A pair that nobody let in is no use: a new one is asked for, whose name is taken.
    stranger = Authority().issue("device")
    for name, content in zip(("device.crt", "device.key"), stranger, strict=True):
        (tmp_path / f"{name}.pending").write_bytes(content)
    again = provision(device, claim)
    assert again.returncode == 1
    assert "an operator must free the name first" in again.stderr
    assert [(tmp_path / name).read_bytes() for name in ("device.crt", "device.key")] == pair


def test_a_folder_that_cannot_be_written_costs_no_name(tenant: Tenant, tmp_path: Path):
    """It is told before anybody is asked, so that the name is free once the folder is right."""
    (tmp_path / "place").write_text("a file")
    settings = {"certificate_file": "place/device.crt", "key_file": "place/device.key"}
    device = tenant.device(tmp_path, registered=False, settings=settings)
    claim = tenant.claim(tmp_path)
    done = provision(device, claim)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    things = tenant.cloud.client("iot").list_things()["things"]
    assert device.thing not in [each["thingName"] for each in things]
    (tmp_path / "place").unlink()
    assert provision(device, claim).returncode == 0
    assert (tmp_path / "place" / "device.crt").exists()
