"""`python -m infra tenants freeze|thaw`: no changes to a tenant, a group's devices, or anybody."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import aws_failure, freezing, selection
from infra.commands.account import Account
from infra.commands.freezing import FreezeError
from infra.commands.suspension import SuspensionError
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_AT_ONCE: Final = 8  # tenants; CreatePolicy and DeletePolicy have rates of the whole account


def add_arguments(parser: argparse.ArgumentParser, *, freezes: bool) -> None:
    """Give the parser of a verb its arguments."""
    selection.add_arguments(parser, where=selection.BY_ENVIRONMENT)
    parser.add_argument(
        "--group",
        dest="devices_of",
        help="only devices of this group and of those below it",
    )
    if freezes:
        parser.add_argument("--reason", required=True, help="why, for whoever thaws it")


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Freeze or thaw each tenant; 1 if one could not be, with the reason on stderr.

    Raises:
        ConfigError: no tenant is named, one has no file, or a group is named of several.
    """
    wanted = selection.selected(options, root)
    if options.devices_of is not None and len(wanted) > 1:
        raise ConfigError("--group: is of one tenant")
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, wanted[0]))
        account = Account.of(session)
        by = account.caller
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{options.verb}: {aws_failure.words(error)}\n")
        return 1

    def once(tenant: str) -> bool:
        try:
            found = account.tenant(tenant)
            if options.verb == "freeze":
                freezing.freeze(
                    found, group=options.devices_of, by=by, reason=options.reason, say=_say
                )
            else:
                freezing.thaw(found, group=options.devices_of, say=_say)
        # The others are frozen all the same.
        except (FreezeError, SuspensionError, BotoCoreError, ClientError) as error:
            sys.stderr.write(f"{options.verb} {tenant}: {error}; it may be repeated\n")
            return False
        return True

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return 0 if all(list(pool.map(once, wanted))) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
