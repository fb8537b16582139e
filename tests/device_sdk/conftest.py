"""A tenant of the embedded cloud as its stack would stamp it, and devices of it as separate processes."""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from cedarfleet_device import wire
from cedarfleet_device.wire import CommandMessage

from infra import naming
from infra.local.processes import Child
from infra.tenant import device_policy, provisioning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

TENANT = "acme"
THING_TYPE = "cedarfleet-device"
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """A fresh command id."""
    return "0" + "".join(secrets.choice(_ULID) for _ in range(25))


def command(
    thing: str, name: str, *, seconds: float = 60, command_id: str | None = None, **arguments: Any
) -> CommandMessage:
    """A command for ``thing`` that is valid for ``seconds`` from now."""
    now = round(time.time() * 1000)
    return CommandMessage(
        command_id=command_id or new_ulid(),
        thing=thing,
        name=name,
        arguments=arguments,
        issued_at=now,
        expires_at=now + round(seconds * 1000),
    )


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device's files on disk."""

    thing: str
    folder: Path
    config_file: Path

    def run(self, *, handlers: Path | None = None, name: str = "device") -> Child:
        """Start the installed agent as a process of its own."""
        more = ["--handlers", str(handlers)] if handlers else []
        return Child(
            name=name,
            command=[sys.executable, "-m", "cedarfleet_device", "run", "--config", str(self.config_file), *more],
            environment={"PYTHONUNBUFFERED": "1"},
            log_file=self.folder / f"{name}.log",
        )


class Tenant:
    """One tenant in the embedded cloud: template, policies, group."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self._iot = cloud.client("iot")
        iam = cloud.client("iam")
        arns = naming.Arns(account_id=cloud.account_id, region=cloud.region)
        self._iot.create_thing_group(thingGroupName=naming.thing_group(TENANT))
        self._iot.create_thing_type(thingTypeName=THING_TYPE)
        policy = device_policy.device_policy(tenant=TENANT, arns=arns)
        self._iot.create_policy(policyName=naming.device_policy(TENANT), policyDocument=policy)
        claim = device_policy.claim_policy(tenant=TENANT, arns=arns)
        self._iot.create_policy(policyName=naming.claim_policy(TENANT), policyDocument=claim)
        role = iam.create_role(
            RoleName=naming.provisioning_role(TENANT),
            AssumeRolePolicyDocument=json.dumps(provisioning.trust(account_id=cloud.account_id)),
        )["Role"]["Arn"]
        permissions = provisioning.permissions(tenant=TENANT, thing_type=THING_TYPE, arns=arns)
        iam.put_role_policy(
            RoleName=naming.provisioning_role(TENANT), PolicyName="provision", PolicyDocument=json.dumps(permissions)
        )
        self._iot.create_provisioning_template(
            templateName=naming.provisioning_template(TENANT),
            templateBody=provisioning.template_body(tenant=TENANT, thing_type=THING_TYPE),
            enabled=True,
            provisioningRoleArn=role,
        )

    def claim(self, folder: Path) -> tuple[Path, Path]:
        """Certificate and key of a fresh claim."""
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        self._iot.attach_policy(policyName=naming.claim_policy(TENANT), target=made["certificateArn"])
        certificate, key = folder / "claim.crt", folder / "claim.key"
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        return certificate, key

    def device(self, folder: Path, name: str | None = None, *, registered: bool = True, **settings: Any) -> Device:
        """A device's configuration; ``registered``: with thing and certificate, as after provisioning."""
        name = name or f"press-{secrets.token_hex(4)}"
        thing = wire.thing_name(TENANT, name)
        folder.mkdir(parents=True, exist_ok=True)
        if registered:
            self._register(thing, folder)
        fields: dict[str, Any] = {
            "thing": thing,
            "endpoint": self.cloud.mqtt_host,
            "port": self.cloud.mqtt_port,
            "ca_file": str(self.cloud.ca_file),
            "certificate_file": "device.crt",
            "key_file": "device.key",
            "state_dir": "state",
            "download_dir": "downloads",
            "connection.reconnect_min_seconds": 0.2,
            "connection.reconnect_max_seconds": 1.0,
            "connection.limit_rate": False,
            "provisioning.template": naming.provisioning_template(TENANT),
            "provisioning.device": name,
            **settings,
        }
        config_file = folder / "device.toml"
        config_file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items()))
        return Device(thing=thing, folder=folder, config_file=config_file)

    def send(self, message: CommandMessage) -> str:
        """Publish as the service does; the command id."""
        self.cloud.client("iot-data").publish(
            topic=wire.command_topic(message.thing, message.command_id), qos=1, payload=message.encode()
        )
        return message.command_id

    def observer(self, folder: Path) -> tuple[bytes, bytes]:
        """Certificate and key of a client that may see everything."""
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        name = f"observer-{secrets.token_hex(4)}"
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        self._iot.create_policy(policyName=name, policyDocument=json.dumps(everything))
        self._iot.attach_policy(policyName=name, target=made["certificateArn"])
        return made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode()

    def _register(self, thing: str, folder: Path) -> None:
        self._iot.create_thing(thingName=thing, thingTypeName=THING_TYPE)
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        self._iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        self._iot.attach_policy(policyName=naming.device_policy(TENANT), target=made["certificateArn"])
        (folder / "device.crt").write_text(made["certificatePem"])
        (folder / "device.key").write_text(made["keyPair"]["PrivateKey"])
        (folder / "device.key").chmod(0o600)


@pytest.fixture(scope="session")
def tenant(embedded_cloud: EmbeddedCloud) -> Tenant:
    """The tenant ``acme``, stamped by hand."""
    return Tenant(embedded_cloud)
