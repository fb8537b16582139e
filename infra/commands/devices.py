"""`python -m infra devices`: take over what IoT Core knows, compare, revoke one, move to a cell.

Exit code 0: done, or no difference; 1: something is wrong, or `compare` found a difference, or a
revoked device comes back still. With `--metric` a comparison tells CloudWatch too how many devices
differ; an alarm of the platform's stack watches that.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cedarfleet_device import wire

from infra import names
from infra.commands import aws_failure, moves, revocation
from infra.commands.device_rows import DeviceTable
from infra.commands.registry_things import Thing, things_of
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLE: Final = "CEDARFLEET_DEVICES_TABLE"  # the service's setting of the same name
GROUP: Final = "devices"
ABOUT: Final = "What is known of the tenants' devices."
VERBS: Final = {
    "take-over": "write down what IoT Core knows of a tenant's devices, once, after 0.1.0",
    "compare": "which devices IoT Core and the table do not agree on",
    "revoke": "put one device off the platform, now and for good",
    "export": "a tenant's devices as lines of JSON: facts and certificates, no keys",
    "import": "make the devices of an export in this account",
    "move": "tell a tenant's devices, or some, to dial the name of another cell",
    "moved": "how far a move is, and why who stayed did",
}
_KNOW: Final = "read or write what is known of devices"
_MOVE: Final = "move the devices"
_ATTEMPTS: Final = {
    "take-over": _KNOW,
    "compare": _KNOW,
    "revoke": "revoke the device",
    "export": _KNOW,
    "import": _KNOW,
    "move": _MOVE,
    "moved": _MOVE,
}
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

    verbs["import"].add_argument("file", type=_lines_of, help="an export")
    verbs["move"].add_argument(
        "--to",
        required=True,
        type=_document,
        metavar="HOST[:PORT]",
        help="name of the other cell",
    )
    verbs["move"].add_argument(
        "--device", action="append", default=[], help="only this one; again for more (at most 100)"
    )
    verbs["moved"].add_argument("job", help="id of the job that `move` has printed")


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Do what was asked for, or say on the standard error what is wrong."""
    try:
        here = os.environ.get("AWS_REGION") or region(root, names.PLATFORM_STACK)
        session = boto3.Session(region_name=here)
        iot = session.client("iot", config=_PATIENT)
        table = DeviceTable(
            client=session.client("dynamodb"),
            name=os.environ.get(TABLE, names.DEVICES_TABLE),
            tenant=options.tenant,
        )
        if options.verb == "revoke":
            return _revoke(session, iot, table, options)
        if options.verb in _MOVING:
            return _MOVING[options.verb](session, _registry(session, iot, table), options)
        if options.verb == "take-over":
            caller = _caller(session)
            for line in take_over(iot, table, by=caller, dry=options.dry_run):
                _say(line)
            return 0
        found = list(differences(iot, table))
        if options.metric:
            _count(session.client("cloudwatch"), options.tenant, len(found))
    except (BotoCoreError, ClientError) as error:  # no credentials, no network, not allowed
        sys.stderr.write(f"cannot {_ATTEMPTS[options.verb]}: {aws_failure.words(error)}\n")
        return 1
    for line in found:
        _say(line)
    return int(bool(found))


def _registry(session: boto3.Session, iot: Any, table: DeviceTable) -> moves.Registry:
    return moves.Registry(iot=iot, data=_data(session, iot), table=table)


def _data(session: boto3.Session, iot: Any) -> Any:
    """The account's own data plane: that of boto3 is for tests; embedded there is one for all."""
    own = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    url = None if os.environ.get("AWS_ENDPOINT_URL") else f"https://{own}"
    return session.client("iot-data", endpoint_url=url, config=_PATIENT)


def _count(cloudwatch: Any, tenant: str, differing: int) -> None:
    """Tell CloudWatch how many devices differ: of the tenant, and of any, which the alarm watches.

    A metric of one name with other dimensions is another metric (source: CloudWatch guide,
    "Metrics concepts").
    """
    datum = {"MetricName": names.DEVICES_THAT_DIFFER, "Value": float(differing), "Unit": "Count"}
    own = {**datum, "Dimensions": [{"Name": "Tenant", "Value": tenant}]}
    cloudwatch.put_metric_data(Namespace=names.METRICS, MetricData=[datum, own])


def _caller(session: boto3.Session) -> str:
    return str(session.client("sts").get_caller_identity()["Arn"])


def _export(_session: boto3.Session, here: moves.Registry, _options: argparse.Namespace) -> int:
    for line in moves.exported(here):
        _say(line)
    return 0


def _lines_of(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"`{file}` cannot be read: {error}") from error


def _document(address: str) -> wire.MoveDocument:
    host, separator, port = address.partition(":")
    try:
        return wire.MoveDocument(endpoint=host, port=int(port) if separator else wire.MQTT_PORT)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{address}`: {error}") from error


def _import(session: boto3.Session, there: moves.Registry, options: argparse.Namespace) -> int:
    try:
        for line in moves.imported(there, options.file, by=_caller(session)):
            _say(line)
    except moves.ExportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _move(_session: boto3.Session, here: moves.Registry, options: argparse.Namespace) -> int:
    job_id = moves.tell(here, options.to, devices=options.device)
    _say(f"job {job_id} tells them to dial {options.to.address}")
    _say(f"how far it is: python -m infra devices moved {options.tenant} {job_id}")
    return 0


def _moved(_session: boto3.Session, here: moves.Registry, options: argparse.Namespace) -> int:
    for line in moves.progress(here, options.job):
        _say(line)
    return 0


_MOVING: Final = {"export": _export, "import": _import, "move": _move, "moved": _moved}


def _revoke(
    session: boto3.Session, iot: Any, table: DeviceTable, options: argparse.Namespace
) -> int:
    ended = _end_codes(table, options.device)
    away = revocation.revoke(
        iot,
        _data(session, iot),
        wire.thing_name(options.tenant, options.device),
        watch=revocation.Watch(quiet_seconds=options.quiet),
        say=_say,
    )
    if not away:
        sys.stderr.write(f"{options.device} is revoked, but not known to stay away: run it again\n")
    return int(not (away and ended))


def _end_codes(table: DeviceTable, device: str) -> bool:
    """First of all, since an enrolment that is under way could get another certificate.

    Its certificates are revoked whether or not this could be done.
    """
    try:
        if table.end_codes(device):
            _say(f"{device}: its one-time codes are good for nothing any more")
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{device}: cannot end its one-time codes, run it again: {error}\n")
        return False
    return True


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
