"""Identities of devices as they are once the service has let them in, made without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cedarfleet_device import wire

from infra import names
from tests.certificates import certified

if TYPE_CHECKING:
    from pathlib import Path


def identify(iot: Any, folder: Path, *, tenant: str, device: str) -> None:
    """Write `device.pem` and `device.key` of a new thing of the tenant."""
    thing = wire.thing_name(tenant, device)
    iot.create_thing(thingName=thing, thingTypeName=names.THING_TYPE)
    iot.add_thing_to_thing_group(thingName=thing, thingGroupName=names.thing_group(tenant))
    made = certified(iot)
    iot.attach_policy(policyName=names.device_policy(tenant), target=made["certificateArn"])
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    (folder / "device.pem").write_text(made["certificatePem"])
    (folder / "device.key").touch(mode=0o600)
    (folder / "device.key").write_text(made["keyPair"]["PrivateKey"])
