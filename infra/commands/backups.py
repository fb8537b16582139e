"""`python -m infra backups`: shared tables and tenants' files as they were, beside what is.

Exit code 0: done, or nothing differs; 1: it could not be, with the reason on stderr; 4: `compare`
or `files` found differences.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import aws_failure
from infra.commands.account import Account
from infra.commands.restoring import files, tables
from infra.commands.restoring.tables import TABLES, RestoreError
from infra.commands.suspension import SuspensionError
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured, region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

GROUP: Final = "backups"
ABOUT: Final = "Tables and files as they stood at a moment."
VERBS: Final = {
    "list": "to which moments each shared table can be restored",
    "restore": "restore a table as it stood, beside the one that the service goes on with",
    "compare": "which rows are otherwise than they were",
    "put-back": "write rows that are gone as they were; what was made since stays",
    "drop": "delete a table that `restore` made",
    "files": "which files of a tenant are otherwise than they were, and bring them back",
}
_DIFFERS: Final = 4
_SHOWN: Final = 20  # keys


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    for verb in ("restore", "compare", "put-back"):
        verbs[verb].add_argument("table", choices=sorted(TABLES), help="a shared table")
    for verb in ("compare", "put-back", "drop"):
        verbs[verb].add_argument("restored", help="name that `restore` said")
    for verb in ("compare", "put-back"):
        verbs[verb].add_argument("--tenant", help="of whose rows alone (default: of all)")
    verbs["compare"].add_argument(
        "--all", action="store_true", help=f"name every row, not the first {_SHOWN}"
    )
    verbs["put-back"].add_argument(
        "--changed", action="store_true", help="rows that are otherwise now too"
    )
    verbs["put-back"].add_argument(
        "--only",
        action="append",
        metavar="KEY",
        help="this row alone, as `compare` shows its key; may be repeated",
    )
    verbs["files"].add_argument("tenant", help="tenant id")
    verbs["files"].add_argument("--apply", action="store_true", help="bring them back")
    for verb in ("restore", "files"):
        verbs[verb].add_argument(
            "--at",
            type=_moment,
            required=True,
            metavar="MOMENT",
            help="with its offset, e.g. 2026-12-31T18:00:00+01:00",
        )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Do what was asked for, or say on the standard error what is wrong."""
    does: dict[str, Callable[[argparse.Namespace, Account], int]] = {
        "list": _list,
        "restore": _restore,
        "compare": _compare,
        "put-back": _put_back,
        "drop": _drop,
        "files": _files,
    }
    try:
        if (tenant := getattr(options, "tenant", None)) is not None:
            configured(root, tenant)
        here = os.environ.get("AWS_REGION") or region(root, names.PLATFORM_STACK)
        account = Account.of(boto3.Session(region_name=here))
        return does[options.verb](options, account)
    except (BotoCoreError, ClientError, ConfigError, RestoreError, SuspensionError) as error:
        sys.stderr.write(f"{options.verb}: {aws_failure.words(error)}\n")
        return 1


def _list(_options: argparse.Namespace, account: Account) -> int:
    for label, table in TABLES.items():
        known = tables.window(account, table)
        span = " to ".join(
            at.isoformat(timespec="seconds") for at in (known.earliest, known.latest)
        )
        _say(f"{label:<8}  {table}  {span}")
    return 0


def _restore(options: argparse.Namespace, account: Account) -> int:
    began = time.monotonic()
    restored = tables.restore(account, TABLES[options.table], options.at, say=_say)
    _say(f"{restored} stands after {time.monotonic() - began:.0f} s; now:")
    _say(f"  python -m infra backups compare {options.table} {restored}")
    return 0


def _compare(options: argparse.Namespace, account: Account) -> int:
    table, counts = TABLES[options.table], Counter[str]()
    for one in tables.compared(account, table, options.restored, tenant=options.tenant):
        counts[one.how] += 1
        if options.all or sum(counts.values()) <= _SHOWN:
            _say(f"{one.how:<8} {one.shown}")
    if not options.all and (more := sum(counts.values()) - _SHOWN) > 0:
        _say(f"... and {more} more: --all names them")
    _say(", ".join(f"{counts[how]} {how}" for how in ("gone", "changed", "made")))
    return _DIFFERS if counts else 0


def _put_back(options: argparse.Namespace, account: Account) -> int:
    table = TABLES[options.table]
    differing = tables.compared(account, table, options.restored, tenant=options.tenant)
    if (only := options.only) is not None:
        differing = (one for one in differing if one.shown in only)
    done = tables.put_back(account, table, differing, changed=options.changed)
    for key in done.in_the_way:
        _say(f"somebody wrote it meanwhile, it stays: {key}")
    _say(f"{done.written} written, {done.left} left as they are, {done.expired} were over")
    return 1 if done.in_the_way else 0


def _drop(options: argparse.Namespace, account: Account) -> int:
    tables.drop(account, options.restored)
    return 0


def _files(options: argparse.Namespace, account: Account) -> int:
    bucket = account.tenant(options.tenant).row["bucket"]["S"]
    code, stay = 0, 0
    for one in files.lost(account, bucket, options.at):
        _say(f"{one.how:<8} {one.key}")
        if not options.apply:
            code = _DIFFERS
        elif not files.bring_back(account, bucket, one):
            _say(f"larger than S3 copies at once, it stays: {one.key}")
            stay = 1
    return stay or code


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` is no moment: {error}") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"`{text}` has no offset: end it with the zone's, as `+01:00`, or `Z`"
        )
    return at.astimezone(UTC)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
