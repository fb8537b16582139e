"""Real agents of the SDK in this process: each with its certificate, store and folder."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from cedarfleet_device import Agent, DeviceConfig

from infra import names
from infra.local import devices
from infra.local.devices import Device
from tests.certificates import certified

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud


class RealAgents:
    """Agents of acme's things, which are there already.

    Attributes:
        installed: by device, how often a verified file was handed to its maker's program.
        rebooted: by device, how often its maker's program was told to reboot.
    """

    def __init__(self, cloud: EmbeddedCloud, ids: list[str], folder: Path) -> None:
        self.ids = ids
        self.installed: Counter[str] = Counter()
        self.rebooted: Counter[str] = Counter()
        self._cloud, self._folder = cloud, folder
        self._counting = threading.Lock()
        self._agents: list[Agent] = []
        self._certificates: dict[str, tuple[str, str]] = {}

    def start(self) -> None:
        """Give each a certificate, and have it connect."""
        iot = self._cloud.client("iot")
        for one in self.ids:
            device = Device(tenant="acme", device=one, folder=self._folder / one)
            devices.install(self._cloud, device)
            made = certified(iot)
            arn = made["certificateArn"]
            iot.attach_policy(policyName=names.device_policy("acme"), target=arn)
            iot.attach_thing_principal(thingName=device.thing, principal=arn)
            self._certificates[device.thing] = arn, made["certificateId"]
            (device.folder / devices.CERTIFICATE).write_text(made["certificatePem"])
            key = device.folder / devices.KEY
            key.touch(mode=0o600)
            key.write_text(made["keyPair"]["PrivateKey"])
            agent = Agent(
                DeviceConfig.load(device.config_file),
                install=lambda _path, one=one: self._count(self.installed, one),
            )
            agent.command("reboot")(lambda _, one=one: self._count(self.rebooted, one))
            agent.start()
            self._agents.append(agent)

    def stop(self) -> None:
        """End them, and take their certificates back."""
        iot = self._cloud.client("iot")
        for agent in self._agents:
            agent.close()
        for thing, (arn, identifier) in self._certificates.items():
            iot.detach_thing_principal(thingName=thing, principal=arn)
            iot.detach_policy(policyName=names.device_policy("acme"), target=arn)
            iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
            iot.delete_certificate(certificateId=identifier)

    def _count(self, what: Counter[str], device: str) -> None:
        with self._counting:
            what[device] += 1
