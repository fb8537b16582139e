"""Devices of the demo: registered by the API, each enrolls itself and runs as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cedarfleet_device import wire

from infra.local.processes import Child, inherited

HANDLERS: Final = Path(__file__).with_name("device_handlers.py")
CERTIFICATE, KEY = "device.pem", "device.key"
CODE_FILE: Final = "enrolment-code"
_ENROLL_SECONDS: Final = 90


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
    def has_certificate(self) -> bool:
        """Whether it was let in once."""
        return (self.folder / CERTIFICATE).exists()

    @property
    def config_file(self) -> Path:
        """Its `device.toml`."""
        return self.folder / "device.toml"


def install(broker: Broker, device: Device) -> None:
    """Write the device's configuration, as an installer would with the addresses of the cloud."""
    device.folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "thing": device.thing,
        "endpoint": broker.mqtt_host,
        "port": broker.mqtt_port,
        "ca_file": str(broker.ca_file.absolute()),
        "certificate_file": CERTIFICATE,
        "key_file": KEY,
        "state_dir": "state",
        "download_dir": "downloads",
        "firmware_version": "1.0.0",
    }
    # The embedded cloud serves S3 over plain HTTP on loopback.
    sections = {"downloads": {"allow_http": True}}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    for section, values in sections.items():
        lines += [
            "",
            f"[{section}]",
            *(f"{key} = {json.dumps(value)}" for key, value in values.items()),
        ]
    device.config_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def keep_code(device: Device, code: str) -> None:
    """Put a code where the device's program reads it, and nobody else."""
    file = device.folder / CODE_FILE
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(file, flags, 0o600), "w") as stream:
        stream.write(f"{code}\n")


def enroll(device: Device, *, url: str) -> str | None:
    """Let the device exchange its code for a certificate; the code goes then.

    Args:
        device: installed, with a code.
        url: of the API.

    Returns:
        What the device's program said if it was refused; ``None``: it is in.
    """
    code = device.folder / CODE_FILE
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [
            *program("enroll", device),
            f"--api={url}",
            f"--tenant={device.tenant}",
            f"--device={device.device}",
            f"--code-file={code}",
        ],
        env=inherited(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_ENROLL_SECONDS,
        check=False,
    )
    code.unlink()
    return None if done.returncode == 0 else f"{done.stdout[-2000:]}{done.stderr[-2000:]}"


def forget(device: Device) -> None:
    """Take certificate and key away, which no cloud knows any more."""
    for name in (CERTIFICATE, KEY):
        (device.folder / name).unlink(missing_ok=True)


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
