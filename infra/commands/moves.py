"""Takes a tenant's devices to another cell: out of one account, into another, and tells them.

What travels is a line of JSON a device: facts, its state (what is desired of it, and what it has
answered), and certificates as PEM, which are public; keys never leave a device. Certificates are
registered without CA, as AWS has it for devices of several accounts (source: AWS IoT developer
guide, "X.509 client certificates", multi-account registration).
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from infra import names
from infra.commands.registry_things import things_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.commands.device_rows import DeviceTable

FORMAT: Final = 1
_FACTS: Final = ("attributes", "groups", "tags", "pinned")
_SECTIONS: Final = ("desired", "reported")  # of a shadow; what else it has, IoT Core makes of these
# Of the job: devices a minute, and when it gives up: a few notice a name that lets nobody in.
_DEVICES_PER_MINUTE: Final = 100
_ABORT: Final = {
    "criteriaList": [
        {
            "failureType": "ALL",
            "action": "CANCEL",
            "thresholdPercentage": 10.0,
            "minNumberOfExecutedThings": 10,
        }
    ]
}
_DEVICE_MINUTES: Final = 60


class ExportError(ValueError):
    """What should be imported is no export of this tenant; the message says which line."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """One account, as the operator has it.

    Attributes:
        iot: a client of IoT Core's registry.
        data: one of its data plane, where the shadows are.
        table: the tenant's partition of the devices table.
    """

    iot: Any
    data: Any
    table: DeviceTable


def exported(here: Registry) -> Iterator[str]:
    """The tenant's devices, a line of JSON each.

    A certificate that is not active stays: what was revoked is let in nowhere.
    """
    tenant = here.table.tenant
    facts = here.table.facts()
    for thing in things_of(here.iot, tenant):
        name = wire.thing_name(tenant, thing.device)
        described = here.iot.describe_thing(thingName=name)
        line: dict[str, Any] = {
            "format": FORMAT,
            "tenant": tenant,
            "device": thing.device,
            "thing_type": described.get("thingTypeName", ""),
            "certificates": list(_active(here.iot, name)),
        }
        # Facts of a thing that had the name before are not this device's.
        if (found := facts.get(thing.device)) is not None and thing.id in found.holders:
            line["facts"] = {key: found.item[key] for key in _FACTS if key in found.item}
        if (state := _state(here.data, name)) is not None:
            line["state"] = state
        yield json.dumps(line, sort_keys=True)


def imported(there: Registry, lines: Iterable[str], *, by: str) -> Iterator[str]:
    """Make the devices of an export; what is there already stays as it is.

    Args:
        there: the account of the new cell, where the tenant is stamped.
        lines: of an export.
        by: the operator, as the facts will say who wrote them.

    Yields:
        What was done, a line a device.

    Raises:
        ExportError: a line is none of an export of this tenant, or has a certificate that somebody
            else's thing holds; those before it are done.
    """
    tenant = there.table.tenant
    for number, text in enumerate(lines, start=1):
        device = _device_of(text, number, tenant)
        name = wire.thing_name(tenant, device["device"])
        thing_id = _thing(there.iot, name, device)
        if device.get("facts"):
            there.table.write_facts(
                device["device"],
                {**device["facts"], "origin": {"S": thing_id}},
                by=by,
                now_ms=int(time.time() * 1000),
            )
        # Before its certificates: the device finds its state when it first comes.
        if device.get("state") and _state(there.data, name) is None:
            there.data.update_thing_shadow(
                thingName=name,
                shadowName=wire.STATE_SHADOW,
                payload=json.dumps({"state": device["state"]}).encode(),
            )
        new = sum(_register(there.iot, tenant, name, pem) for pem in device["certificates"])
        there.iot.add_thing_to_thing_group(thingGroupName=names.thing_group(tenant), thingName=name)
        yield f"{device['device']}: {new} of {len(device['certificates'])} certificates are new"


def tell(here: Registry, document: wire.MoveDocument, *, devices: list[str]) -> str:
    """Make the job that tells devices to move; its id.

    Args:
        here: the account that they are in.
        document: where to.
        devices: at most 100; none: all that are in the tenant's thing group now.
    """
    tenant = here.table.tenant
    job_id = f"{names.thing_prefix(tenant)}move-{secrets.token_hex(8)}"
    if devices:
        targets = [
            here.iot.describe_thing(thingName=wire.thing_name(tenant, device))["thingArn"]
            for device in devices
        ]
    else:
        group = names.thing_group(tenant)
        targets = [here.iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]]
    here.iot.create_job(
        jobId=job_id,
        targets=targets,
        targetSelection="SNAPSHOT",
        document=document.encode(),
        description=f"move to {document.address}",
        jobExecutionsRolloutConfig={"maximumPerMinute": _DEVICES_PER_MINUTE},
        timeoutConfig={"inProgressTimeoutInMinutes": _DEVICE_MINUTES},
        abortConfig=_ABORT,
    )
    return job_id


def progress(here: Registry, job_id: str) -> Iterator[str]:
    """How far a move is: a line a device that stayed, with its reason, and the counts last."""
    counts: dict[str, int] = {}
    pages = here.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
    for page in pages:
        for execution in page["executionSummaries"]:
            status = execution["jobExecutionSummary"]["status"]
            counts[status] = counts.get(status, 0) + 1
            if status in {"FAILED", "REJECTED", "TIMED_OUT"}:
                thing = execution["thingArn"].rpartition("/")[2]
                told = here.iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
                details = told.get("statusDetails", {}).get("detailsMap", {})
                yield f"{thing}: {status}: {details.get('reason', 'no reason was told')}"
    yield ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nobody yet"


def _active(iot: Any, thing: str) -> Iterator[str]:
    for page in iot.get_paginator("list_thing_principals").paginate(thingName=thing):
        for principal in page["principals"]:
            _, of_certificate, identifier = principal.partition(":cert/")
            if not of_certificate:
                continue
            found = iot.describe_certificate(certificateId=identifier)["certificateDescription"]
            if found["status"] == "ACTIVE":
                yield found["certificatePem"]


def _state(data: Any, thing: str) -> dict[str, Any] | None:
    """What is desired and reported in the device's shadow; ``None``: it has none.

    A shadow's version counts in its account alone, so the entity tag of a state is another there.
    """
    try:
        answer = data.get_thing_shadow(thingName=thing, shadowName=wire.STATE_SHADOW)
    except data.exceptions.ResourceNotFoundException:
        return None
    state = json.loads(answer["payload"].read())["state"]
    return {key: state[key] for key in _SECTIONS if key in state}


def _device_of(text: str, number: int, tenant: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        own = line["format"] == FORMAT and line["tenant"] == tenant
        wire.thing_name(tenant, line["device"])
        pems = [str(pem) for pem in line["certificates"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"line {number}: no line of an export: {error!r}") from error
    if not own:
        raise ExportError(
            f"line {number}: must be of format {FORMAT} and tenant `{tenant}`, is of "
            f"{line['format']} and `{line['tenant']}`"
        )
    if any("PRIVATE KEY" in pem for pem in pems):
        raise ExportError(f"line {number}: has a private key, which must not leave its device")
    return line


def _thing(iot: Any, name: str, device: dict[str, Any]) -> str:
    kind = {"thingTypeName": device["thing_type"]} if device["thing_type"] else {}
    try:
        made: str = iot.create_thing(thingName=name, **kind)["thingId"]
    except iot.exceptions.ResourceAlreadyExistsException:  # made there, or by an enrolment
        made = iot.describe_thing(thingName=name)["thingId"]
    return made


def _register(iot: Any, tenant: str, thing: str, pem: str) -> bool:
    """Whether the certificate is new; one that somebody has revoked here stays revoked.

    Raises:
        ExportError: it is that of another tenant's device.
    """
    new = True
    try:
        arn = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")[
            "certificateArn"
        ]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceAlreadyExistsException":
            raise
        new, arn = False, str(error.response["resourceArn"])  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess] - not in its stub
        # Fail closed: a certificate is no secret, so another's may stand in a tenant's file.
        prefix = names.thing_prefix(tenant)
        holders = iot.get_paginator("list_principal_things").paginate(principal=arn)
        if not all(one.startswith(prefix) for page in holders for one in page["things"]):
            raise ExportError(
                f"`{thing}`: its certificate is held by a thing of somebody else"
            ) from error
    iot.attach_policy(policyName=names.device_policy(tenant), target=arn)
    iot.attach_thing_principal(thingName=thing, principal=arn)
    return new
