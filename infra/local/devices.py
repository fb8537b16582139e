"""Devices of the demo: each provisions itself by claim and runs as a process of the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from cedarfleet_device import wire

from infra.local.processes import Child, ChildError, inherited

HANDLERS: Final = Path(__file__).with_name("device_handlers.py")
_PROVISION_SECONDS: Final = 60


class Broker(Protocol):
    """Where devices connect."""

    @property
    def mqtt_host(self) -> str:
        """Its name or address."""
        ...

    @property
    def mqtt_port(self) -> int:
        """Of MQTT over TLS."""
        ...

    @property
    def ca_file(self) -> Path:
        """PEM of who signs its certificate."""
        ...


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device on this machine.

    Attributes:
        tenant: whose it is.
        device: id in the tenant.
        folder: its files: configuration, credentials, state, downloads, log.
    """

    tenant: str
    device: str
    folder: Path

    @property
    def thing(self) -> str:
        """Its IoT thing name."""
        return wire.thing_name(self.tenant, self.device)

    @property
    def downloads(self) -> Path:
        """Where delivered files appear."""
        return self.folder / "downloads"

    @property
    def config_file(self) -> Path:
        """Its `device.toml`."""
        return self.folder / "device.toml"


def install(broker: Broker, device: Device, *, template: str) -> None:
    """Write the device's configuration, as an installer would with the addresses of the cloud."""
    device.folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "thing": device.thing,
        "endpoint": broker.mqtt_host,
        "port": broker.mqtt_port,
        "ca_file": str(broker.ca_file.absolute()),
        "certificate_file": "device.pem",
        "key_file": "device.key",
        "state_dir": "state",
        "download_dir": "downloads",
        "firmware_version": "1.0.0",
    }
    sections = {
        "provisioning": {"template": template, "device": device.device},
        # The embedded cloud serves S3 over plain HTTP on loopback.
        "downloads": {"allow_http": True},
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    for section, values in sections.items():
        lines += [
            "",
            f"[{section}]",
            *(f"{key} = {json.dumps(value)}" for key, value in values.items()),
        ]
    device.config_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def provision(iot: Any, device: Device, *, template: str) -> None:
    """Make a claim that lives five minutes, and let the device exchange it for a certificate.

    Does nothing for a device that has its certificate, unless the cloud has forgotten the device:
    killed, it may lose what it did last. The claim's key lies in two files of mode 0600 meanwhile.

    Raises:
        ChildError: the device's program refused.
    """
    if (device.folder / "device.pem").exists() and _knows(iot, device):
        return
    claim = iot.create_provisioning_claim(templateName=template)
    certificate, key = device.folder / "claim.pem", device.folder / "claim.key"
    try:
        for file, text in (
            (certificate, claim["certificatePem"]),
            (key, claim["keyPair"]["PrivateKey"]),
        ):
            with os.fdopen(
                os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
            ) as stream:
                stream.write(text)
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [
                *program("provision", device),
                f"--claim-certificate={certificate}",
                f"--claim-key={key}",
            ],
            env=inherited(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROVISION_SECONDS,
            check=False,
        )
    finally:
        certificate.unlink(missing_ok=True)
        key.unlink(missing_ok=True)
    if done.returncode != 0:
        raise ChildError(
            f"provisioning {device.thing} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def _knows(iot: Any, device: Device) -> bool:
    try:
        iot.describe_thing(thingName=device.thing)
    except iot.exceptions.ResourceNotFoundException:
        return False
    return True


def start(device: Device) -> Child:
    """Run the device; it logs `mqtt.connected` when it is there."""
    return Child(
        name=device.thing,
        command=[*program("run", device), f"--handlers={HANDLERS}"],
        environment={},
        log_file=device.folder / "device.log",
    )


def program(action: str, device: Device) -> list[str]:
    """The installed program `cedarfleet-device` of this environment."""
    return [
        str(Path(sys.executable).with_name("cedarfleet-device")),
        action,
        f"--config={device.config_file}",
    ]
