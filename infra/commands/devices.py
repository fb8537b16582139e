"""`python -m infra devices`: take over what IoT Core knows, compare it with the table, revoke one.

Exit code 0: done, or no difference; 1: something is wrong, or `compare` found a difference, or a
revoked device comes back still. With `--metric` a comparison tells CloudWatch too how many devices
differ; an alarm of the platform's stack watches that.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cedarfleet_device import wire

from infra import names
from infra.commands import revocation
from infra.commands.device_rows import DeviceTable
from infra.commands.registry_things import Thing, things_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TABLE: Final = "CEDARFLEET_DEVICES_TABLE"  # the service's setting of the same name
GROUP: Final = "devices"
ABOUT: Final = "What is known of the tenants' devices."
VERBS: Final = {
    "take-over": "write down what IoT Core knows of a tenant's devices, once, after 0.1.0",
    "compare": "which devices IoT Core and the table do not agree on",
    "revoke": "put one device off the platform, now and for good",
}
_KNOW: Final = "read or write what is known of devices"
_ATTEMPTS: Final = {"take-over": _KNOW, "compare": _KNOW, "revoke": "revoke the device"}
# The registry's quotas are the account's: wait for them, and leave something to the service.
_PATIENT: Final = Config(retries={"mode": "adaptive", "max_attempts": 10})


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    for verb in verbs.values():
        verb.add_argument(
            "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
        )
    verbs["take-over"].add_argument(
        "--dry-run", action="store_true", help="say what would be written, and write nothing"
    )
    verbs["compare"].add_argument(
        "--metric", action="store_true", help="tell CloudWatch too, whose alarm then rings"
    )
    verbs["revoke"].add_argument("device", help="device id in the tenant")
    verbs["revoke"].add_argument(
        "--quiet",
        type=float,
        default=revocation.QUIET_SECONDS,
        metavar="SECONDS",
        help="how long it must have stayed away (default: %(default).0f, AWS's few minutes)",
    )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Do what was asked for, or say on the standard error what is wrong."""
    del root
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    iot = session.client("iot", config=_PATIENT)
    try:
        if options.verb == "revoke":
            return _revoke(session, iot, options)
        table = DeviceTable(
            client=session.client("dynamodb"),
            name=os.environ.get(TABLE, names.DEVICES_TABLE),
            tenant=options.tenant,
        )
        if options.verb == "take-over":
            caller = session.client("sts").get_caller_identity()["Arn"]
            for line in take_over(iot, table, by=caller, dry=options.dry_run):
                _say(line)
            return 0
        found = list(differences(iot, table))
        if options.metric:
            _count(session.client("cloudwatch"), options.tenant, len(found))
    except (BotoCoreError, ClientError) as error:  # no credentials, no network, not allowed
        sys.stderr.write(f"cannot {_ATTEMPTS[options.verb]}: {error}\n")
        return 1
    for line in found:
        _say(line)
    return int(bool(found))


def _count(cloudwatch: Any, tenant: str, differing: int) -> None:
    """Tell CloudWatch how many devices differ: of the tenant, and of any, which the alarm watches.

    A metric of one name with other dimensions is another metric (source: CloudWatch guide,
    "Metrics concepts").
    """
    datum = {"MetricName": names.DEVICES_THAT_DIFFER, "Value": float(differing), "Unit": "Count"}
    own = {**datum, "Dimensions": [{"Name": "Tenant", "Value": tenant}]}
    cloudwatch.put_metric_data(Namespace=names.METRICS, MetricData=[datum, own])


def _revoke(session: boto3.Session, iot: Any, options: argparse.Namespace) -> int:
    # The account's own data plane, as that of boto3 is for tests; the embedded cloud is one
    # address for all.
    own = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    url = None if os.environ.get("AWS_ENDPOINT_URL") else f"https://{own}"
    away = revocation.revoke(
        iot,
        session.client("iot-data", endpoint_url=url, config=_PATIENT),
        wire.thing_name(options.tenant, options.device),
        watch=revocation.Watch(quiet_seconds=options.quiet),
        say=_say,
    )
    if not away:
        sys.stderr.write(f"{options.device} is revoked, but not known to stay away: run it again\n")
    return int(not away)


def take_over(iot: Any, table: DeviceTable, *, by: str, dry: bool = False) -> Iterator[str]:
    """Write a row for each thing, and one of its facts if it has any; what is there stays.

    Args:
        iot: a client of IoT Core's registry.
        table: where the rows go, and whose.
        by: the operator, as the facts will say who wrote them.
        dry: only tell.

    Yields:
        What is done, a line a device.
    """
    known, written = table.devices(), 0
    for thing in things_of(iot, table.tenant):
        rows = known.get(thing.device)
        facts = {**thing.attributes, **({"groups": ", ".join(thing.lines)} if thing.lines else {})}
        shown = ", ".join(f"{name}={text}" for name, text in facts.items()) or "no facts"
        if rows is not None and thing.id in rows.born and (rows.has_facts or not facts):
            yield f"{thing.device}: is there already"
            continue
        written += 1
        yield f"{thing.device}: {shown}"
        if not dry:
            table.write(thing, by=by, now_ms=int(time.time() * 1000))
    yield f"{written} devices {'would be' if dry else 'were'} taken over"


def differences(iot: Any, table: DeviceTable) -> Iterator[str]:
    """A line for each device that is not the same thing in both."""
    things: dict[str, Thing] = {thing.device: thing for thing in things_of(iot, table.tenant)}
    known = table.devices()
    for device in sorted(things.keys() | known.keys()):
        thing = things.get(device)
        living = known[device].living if device in known else None
        if thing is None and living is not None:
            yield f"{device}: the table has it, IoT Core has no such thing"
        elif thing is not None and living is None:
            yield f"{device}: IoT Core has it, the table does not: `devices take-over` writes it"
        elif thing is not None and thing.id != living:
            yield f"{device}: is thing {thing.id} in IoT Core and thing {living} in the table"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()  # `revoke` goes on for minutes
