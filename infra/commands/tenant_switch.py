"""`python -m infra tenants suspend|resume`: the switch, and the line of the tenant's file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import suspension
from infra.commands.account import Account
from infra.commands.file_lines import FileStyleError, mark
from infra.commands.revocation import Watch
from infra.commands.suspension import QUIET_SECONDS, SuspensionError
from infra.stacks.config.tenants import configured, region

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser, *, suspends: bool) -> None:
    """Give the parser of a verb its arguments."""
    parser.add_argument(
        "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
    )
    if suspends:
        parser.add_argument("--reason", required=True, help="why, for whoever resumes it")
        parser.add_argument(
            "--quiet",
            type=float,
            default=QUIET_SECONDS,
            metavar="SECONDS",
            help="how long no device may have come back (default: %(default).0f, AWS's 8 minutes)",
        )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Suspend or resume; 1 with the reason on stderr if not, or if devices come back still.

    Raises:
        ConfigError: the tenant has no file, or it is not of its form.
    """
    suspends = options.verb == "suspend"
    configured(root, options.tenant)
    try:
        session = boto3.Session(
            region_name=os.environ.get("AWS_REGION") or region(root, options.tenant)
        )
        account = Account.of(session)
        tenant = account.tenant(options.tenant)
        # First, so that whoever stamps the tenant meanwhile does not turn it on again.
        mark(root, options.tenant, "suspended", on=suspends or None)
        if not suspends:
            suspension.resume(tenant, say=_say)
            return 0
        away = suspension.suspend(
            tenant,
            by=account.caller,
            reason=options.reason,
            watch=Watch(quiet_seconds=options.quiet),
            say=_say,
        )
    except (SuspensionError, FileStyleError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{options.verb} {options.tenant}: {error}; it may be repeated\n")
        return 1
    return 0 if away else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
