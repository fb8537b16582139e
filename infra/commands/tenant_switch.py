"""`python -m infra tenants suspend|resume`: the switch, and the line of the tenant's file."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import life_events, suspension
from infra.commands.account import Account
from infra.commands.file_lines import FileStyleError, mark
from infra.commands.life_events import Happened, LifeEvent, NotToldError
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
        by = account.caller
        if not suspends:
            suspension.resume(tenant, say=_say, tell=partial(tell_resumed, account, tenant.id, by))
            return 0
        told = SuspensionTold(account, tenant=tenant.id, by=by)
        away = suspension.suspend(
            tenant,
            by=by,
            reason=options.reason,
            watch=Watch(quiet_seconds=options.quiet),
            say=_say,
            tell=told,
        )
        told.check()
    except (
        SuspensionError,
        FileStyleError,
        NotToldError,
        BotoCoreError,
        ClientError,
    ) as error:
        sys.stderr.write(f"{options.verb} {options.tenant}: {error}; it may be repeated\n")
        return 1
    return 0 if away else 1


def tell_resumed(account: Account, tenant: str, by: str, since: str) -> None:
    """Tell that a tenant is on again.

    Args:
        account: whose bus.
        tenant: its id.
        by: the operator's ARN.
        since: when the suspension began that is over.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
        NotToldError: the bus did not take it.
    """
    _tell(account, Happened.RESUMED, tenant=tenant, by=by, since=since, at=life_events.now())


class SuspensionTold:
    """Tells that a tenant is off; one that is not taken lets the suspension go on.

    Args:
        account: whose bus.
        tenant: its id.
        by: the operator's ARN.
    """

    def __init__(self, account: Account, *, tenant: str, by: str) -> None:
        self._account, self._tenant, self._by = account, tenant, by
        self._failure: Exception | None = None

    def __call__(self, since: str) -> None:
        """Tell it; ``since``: when the suspension began."""
        try:
            _tell(
                self._account,
                Happened.SUSPENDED,
                tenant=self._tenant,
                by=self._by,
                since=since,
                at=since,
            )
        except (NotToldError, BotoCoreError, ClientError) as error:
            self._failure = error

    def check(self) -> None:
        """After the suspension.

        Raises:
            NotToldError: nobody was told of it.
        """
        if self._failure is not None:
            raise NotToldError(f"it is off, but nobody is told: {self._failure}") from self._failure


def _tell(
    account: Account, happened: Happened, *, tenant: str, by: str, since: str, at: str
) -> None:
    event = LifeEvent(happened=happened, tenant=tenant, at=at, by=by, since=since)
    life_events.tell(account, event)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
