"""Renewing a device's certificate by commands, with the embedded cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.wire import CommandState

from infra import names
from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.devices import Observer, Tenant


@pytest.mark.parametrize("attached", [True, False], ids=["attached", "not attached to the thing"])
def test_a_new_certificate_counts_once_the_broker_accepts_it(
    tenant: Tenant, observer: Observer, tmp_path: Path, *, attached: bool
):
    """A certificate that works replaces the former one.

    After one that does not, the former is back in use.
    """
    iot = tenant.cloud.client("iot")
    device = tenant.device(tmp_path, settings={"connection.certificate_proof_seconds": 2})
    before = (tmp_path / "device.crt").read_bytes()
    with device.run() as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        renewed = observer.final(tenant.send(new_command(device.thing, "renew-key")))
        made = iot.create_certificate_from_csr(
            certificateSigningRequest=renewed.detail["request"], setAsActive=True
        )
        if attached:
            iot.attach_policy(
                policyName=names.device_policy(tenant.name), target=made["certificateArn"]
            )
            iot.attach_thing_principal(thingName=device.thing, principal=made["certificateArn"])
        arguments = {"certificate": made["certificatePem"]}
        final = observer.final(
            tenant.send(new_command(device.thing, "install-certificate", arguments=arguments))
        )
        again = observer.final(
            tenant.send(new_command(device.thing, "install-certificate", arguments=arguments))
        )
        still = observer.final(tenant.send(new_command(device.thing, "renew-key")))
        assert agent.stop() == 0
    held = (tmp_path / "device.crt").read_bytes()
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600
    assert still.state is CommandState.SUCCEEDED
    if attached:
        assert final.state is CommandState.SUCCEEDED
        assert held == made["certificatePem"].encode()
        assert again.detail == {"reason": "there is no new key: send `renew-key` first"}
    else:
        assert final.detail["reason"].startswith("the broker did not accept the new certificate")
        assert held == before


def test_a_certificate_for_another_key_is_refused(
    tenant: Tenant, observer: Observer, tmp_path: Path
):
    """A certificate that is not for the device's own new key would lock it out: it is refused."""
    device = tenant.device(tmp_path)
    with device.run() as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        observer.final(tenant.send(new_command(device.thing, "renew-key")))
        foreign = {"certificate": (tmp_path / "device.crt").read_text()}
        final = observer.final(
            tenant.send(new_command(device.thing, "install-certificate", arguments=foreign))
        )
        assert agent.stop() == 0
    assert final.detail == {"reason": "`certificate` is not for the key that this device made last"}
