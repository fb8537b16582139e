"""One device's life: let in as the service does it, loud, out of its group, revoked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from infra import names
from infra.aws_check.attempts import attempted
from infra.aws_check.device import Device, NotConnectedError
from infra.aws_check.leftovers import is_gone
from infra.aws_check.probes import rules
from infra.aws_check.rows import answered, unanswered
from infra.local.cloud.limits.table import CERTIFICATE, MEMBERSHIP, PUBLISHES_OF_A_CONNECTION
from infra.stacks.tenant_stack import iot_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.aws_check.rows import Outcome
    from infra.aws_check.sandbox import Sandbox

_DEVICE: Final = "probe"
_PUBLISHES: Final = 3 * int(PUBLISHES_OF_A_CONNECTION.figure)
_ACKNOWLEDGED_SECONDS: Final = 5
_LONGEST_REVOCATION_SECONDS: Final = 600
_AT_ONCE_SECONDS: Final = 10
_STEP_SECONDS: Final = 30
_NO_DEVICE: Final = unanswered("no device was made")


def let_in(sandbox: Sandbox) -> Mapping[str, Outcome]:
    """Make what a tenant has in IoT Core, and a device by the calls with which the service does."""
    iot: Any = sandbox.calls.client("iot")
    endpoint = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    host, _, port = endpoint.partition(":")
    sandbox.mqtt_host, sandbox.mqtt_port = host, int(port or 8883)
    _tenant(sandbox, iot)
    folder = sandbox.folder / _DEVICE
    folder.mkdir()
    made = Device(
        thing=wire.thing_name(sandbox.tenant, _DEVICE),
        host=host,
        port=sandbox.mqtt_port,
        ca_file=sandbox.ca_file,
        certificate_file=folder / "device.pem",
        key_file=folder / "device.key",
    )
    sandbox.leftovers.expect(
        f"thing {made.thing} and its certificate", lambda: _forget(sandbox, iot, made), calls=5
    )
    # A thing type cannot be deleted for five minutes, so there is none.
    thing = {
        "thingName": made.thing,
        "attributePayload": {"attributes": {"registration": sandbox.id}},
    }
    ids = {iot.create_thing(**thing)["thingId"] for _ in range(2)}
    again = len(ids) == 1 and _is_refused(iot, thing)
    iot.add_thing_to_thing_group(
        thingName=made.thing, thingGroupName=names.thing_group(sandbox.tenant)
    )
    signed = iot.create_certificate_from_csr(
        certificateSigningRequest=made.make_key(), setAsActive=True
    )
    made.certificate_file.write_text(signed["certificatePem"])
    policy, certificate = names.device_policy(sandbox.tenant), signed["certificateArn"]
    iot.attach_policy(policyName=policy, target=certificate)
    iot.attach_thing_principal(thingName=made.thing, principal=certificate)
    sandbox.device = made
    sandbox.calls.release(1)  # its certificate need not be looked for
    words = "the same thing twice, and another one refused"
    return {"repeated-enrolment": answered(again, words if again else f"things {sorted(ids)}")}


def _is_refused(iot: Any, thing: Mapping[str, Any]) -> bool:
    """Whether another thing under the same name is."""
    other = {**thing, "attributePayload": {"attributes": {"registration": "another"}}}
    try:
        iot.create_thing(**other)
    except iot.exceptions.ResourceAlreadyExistsException:
        return True
    return False


def _tenant(sandbox: Sandbox, iot: Any) -> None:
    """Thing group and IoT policy of the tenant that the check plays."""
    tenant, left = sandbox.tenant, sandbox.leftovers
    group, policy = names.thing_group(tenant), names.device_policy(tenant)
    left.expect(f"thing group {group}", lambda: iot.delete_thing_group(thingGroupName=group))
    iot.create_thing_group(thingGroupName=group, tags=sandbox.tags)
    left.expect(f"IoT policy {policy}", lambda: iot.delete_policy(policyName=policy))
    iot.create_policy(
        policyName=policy,
        policyDocument=iot_policies.device_policy(tenant=tenant, arns=sandbox.arns),
        tags=sandbox.tags,
    )


def _forget(sandbox: Sandbox, iot: Any, device: Device) -> None:
    """Delete thing and certificate of a device that may have been made.

    A certificate that was issued and that no thing took cannot be told from others: where the run
    was cut off in between, it stays, without a policy, and lets nobody in.
    """
    if device.certificate_file.exists():
        arns = [sandbox.arns.iot(f"cert/{device.certificate_id}")]
    elif sandbox.device is None:
        arns = iot.list_thing_principals(thingName=device.thing)["principals"]
    else:
        arns = []
    for arn in arns:
        made = arn.rpartition("/")[2]
        if not sandbox.revoked:
            iot.update_certificate(certificateId=made, newStatus="REVOKED")
            sandbox.revoked = True
        try:
            iot.detach_thing_principal(thingName=device.thing, principal=arn)
        except ClientError as error:
            if not is_gone(error):  # tried again, it is detached already
                raise
        sandbox.waiting.pause(2)
        iot.delete_certificate(certificateId=made, forceDelete=True)
        # Tried again, there is nothing to do but the thing.
        device.certificate_file.unlink(missing_ok=True)
    iot.delete_thing(thingName=device.thing)


def connected(sandbox: Sandbox) -> Mapping[str, Outcome]:
    """Connect the device; read a row of it, publish too much, revoke it and wait for the end."""
    rows = ("publishes", "ttl-number", "data-endpoint", "delete-connection", "certificate-status")
    device = sandbox.device
    if device is None:
        return dict.fromkeys(rows, _NO_DEVICE)
    outcomes: dict[str, Outcome] = {}
    try:
        with device:
            outcomes |= attempted(
                ["ttl-number"], lambda: {"ttl-number": rules.ttl_number(sandbox, device)}
            )
            outcomes["publishes"] = _publishes(sandbox, device)
            outcomes |= _put_off(sandbox, device)
    except NotConnectedError as error:
        return dict.fromkeys(rows, unanswered(str(error))) | outcomes
    return outcomes | _back(sandbox, device)


def _publishes(sandbox: Sandbox, device: Device) -> Outcome:
    sandbox.waiting.pause(1)
    # No state of a command, so the product's rules do nothing with it.
    topic = wire.status_topic(device.thing, "0" * 26)
    began = time.monotonic()
    patience = sandbox.waiting.here(_ACKNOWLEDGED_SECONDS)
    acknowledged = device.publish(topic, [b"{}"] * _PUBLISHES, seconds=patience)
    stayed = not device.closed.is_set()
    words = (
        f"{acknowledged} of {_PUBLISHES} acknowledged in {time.monotonic() - began:.1f} s, "
        f"connection {'stayed' if stayed else 'ended'}"
    )
    return answered(stayed and acknowledged < _PUBLISHES, words)


def _put_off(sandbox: Sandbox, device: Device) -> dict[str, Outcome]:
    """Revoke the certificate and end the connection, as `devices revoke` does."""
    iot: Any = sandbox.calls.client("iot")
    iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
    sandbox.revoked = True
    sandbox.calls.release(1)
    # As the service does: at the account's own endpoint.
    endpoint = sandbox.calls.endpoint_url or f"https://{sandbox.mqtt_host}"
    data: Any = sandbox.calls.client("iot-data", endpoint_url=endpoint)
    data.delete_connection(clientId=device.thing)
    taken = answered(holds=True, answer="DeleteConnection was taken")
    if sandbox.waiting.until(device.closed, _AT_ONCE_SECONDS):
        return {"data-endpoint": taken}
    words = f"connected still {_AT_ONCE_SECONDS} s after DeleteConnection"
    return {"data-endpoint": taken, "delete-connection": answered(holds=False, answer=words)}


def _back(sandbox: Sandbox, device: Device) -> dict[str, Outcome]:
    """Connect again with the revoked certificate, and wait until it is out."""
    sandbox.waiting.pause(2)  # a client id may connect once a second
    try:
        with device:
            again = answered(holds=True, answer="ended at once, and let in again when revoked")
            return {"certificate-status": _out(sandbox, device), "delete-connection": again}
    except NotConnectedError:
        words = "turned away right after it was revoked"
        return dict.fromkeys(
            ("certificate-status", "delete-connection"), answered(holds=False, answer=words)
        )


def _out(sandbox: Sandbox, device: Device) -> Outcome:
    waited = 0
    while waited < _LONGEST_REVOCATION_SECONDS:
        if sandbox.waiting.until(device.closed, _STEP_SECONDS):
            words = f"disconnected within {waited + _STEP_SECONDS} s of revoking"
            return answered(waited <= CERTIFICATE.figure, words)
        waited += _STEP_SECONDS
    return answered(holds=False, answer=f"connected still after {waited} s")


def group_membership(sandbox: Sandbox) -> Outcome:
    """Take the device out of its group and see when the list says so."""
    iot: Any = sandbox.calls.client("iot")
    thing, group = sandbox.thing(), names.thing_group(sandbox.tenant)

    iot.remove_thing_from_thing_group(thingName=thing, thingGroupName=group)
    sandbox.waiting.pause(MEMBERSHIP.figure)
    there = thing in iot.list_things_in_thing_group(thingGroupName=group)["things"]
    words = f"{'there' if there else 'gone'} after {MEMBERSHIP.figure:g} s"
    return answered(not there, words)
