"""`python -m infra tenants usage`: what tenants used, day by day, as the worker counted it."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import aws_failure, selection
from infra.commands.account import Account
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_VERSION: Final = 1
_SHOWN: Final = timedelta(days=29)
_DAY: Final = timedelta(days=1)
_COUNTS: Final = (
    *("decisions", "denials", "commands", "deliveries"),
    *("bytes_delivered", "bytes_uploaded"),
)
_AT_END: Final = ("devices", "devices_connected", "stored_bytes")
_UNKNOWN: Final = "-"


class UsageError(ValueError):
    """A row is of another release: it is not read as if it were of this one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    selection.add_arguments(parser, where=selection.BY_ENVIRONMENT)
    parser.add_argument(
        "--since", type=date.fromisoformat, metavar="DAY", help="default: 29 days before --until"
    )
    parser.add_argument(
        "--until", type=date.fromisoformat, metavar="DAY", help="default: yesterday, in UTC"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each day")


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Print the days of each tenant; 1 if one cannot be read, with the reason on stderr.

    Raises:
        ConfigError: no tenant is named, or one has no file.
    """
    wanted = selection.selected(options, root)
    until: date = options.until or datetime.now(UTC).date() - _DAY
    since: date = options.since or until - _SHOWN
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, wanted[0]))
        account = Account.of(session)
        days = [day for tenant in wanted for day in _days(account, tenant, since, until)]
    except (UsageError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"usage: {aws_failure.words(error)}\n")
        return 1
    for line in map(json.dumps, days) if options.json else _table(days):
        sys.stdout.write(f"{line}\n")
    return 0


def _days(account: Account, tenant: str, since: date, until: date) -> Iterator[dict[str, Any]]:
    rows = account.pages(
        "dynamodb",
        "query",
        "Items",
        TableName=names.AUDIT_TABLE,
        KeyConditionExpression="#usage = :usage AND sk BETWEEN :since AND :until",
        ExpressionAttributeNames={"#usage": "partition"},
        ExpressionAttributeValues={
            ":usage": {"S": f"{names.thing_prefix(tenant)}usage"},
            ":since": {"S": since.isoformat()},
            ":until": {"S": until.isoformat()},
        },
        ConsistentRead=True,
    )
    for row in rows:
        day = cast("dict[str, Any]", json.loads(row["usage"]["S"]))
        # Fail closed: somebody is charged by it.
        if day.pop("version", None) != _VERSION:
            raise UsageError(f"`{tenant}`, {row['sk']['S']}: written by another release")
        yield {"tenant": tenant, **day}


def _table(days: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [["tenant", "day", *_COUNTS, *_AT_END]]
    for day in days:
        end = day["end"] or dict.fromkeys(_AT_END, _UNKNOWN)
        counts = [str(day[name]) for name in _COUNTS]
        rows.append([day["tenant"], day["day"], *counts, *(str(end[name]) for name in _AT_END)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for tenant, day, *numbers in rows:
        head = f"{tenant.ljust(widths[0])}  {day.ljust(widths[1])}"
        yield "  ".join((head, *map(str.rjust, numbers, widths[2:])))
