"""`python -m infra tenants suspend|resume`: the switch, and the line of the tenant's file."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import aws_failure, life_events, selection, suspension
from infra.commands.account import Account
from infra.commands.file_lines import FileStyleError, mark
from infra.commands.life_events import Happened, LifeEvent, NotToldError
from infra.commands.revocation import Watch
from infra.commands.suspension import QUIET_SECONDS, SuspensionError
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

_AT_ONCE: Final = 8  # tenants; each waits minutes for its devices, and asks little meanwhile


def add_arguments(parser: argparse.ArgumentParser, *, suspends: bool) -> None:
    """Give the parser of a verb its arguments."""
    selection.add_arguments(parser, where=selection.BY_ENVIRONMENT)
    if suspends:
        parser.add_argument("--reason", required=True, help="why, for whoever resumes it")
        parser.add_argument(
            "--confirm", type=int, metavar="NUMBER", help="of several tenants: how many they are"
        )
        parser.add_argument(
            "--quiet",
            type=float,
            default=QUIET_SECONDS,
            metavar="SECONDS",
            help="how long no device may have come back (default: %(default).0f, AWS's 8 minutes)",
        )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Suspend or resume each; 1 with the reason on stderr if not, or if devices come back still.

    Raises:
        ConfigError: no tenant is named, one has no file or is not of its form, or of several nobody
            said how many they are; nothing is changed.
    """
    wanted = selection.selected(options, root)
    if options.verb == "suspend" and len(wanted) > 1 and options.confirm != len(wanted):
        raise ConfigError(
            f"{len(wanted)} tenants would be turned off: {', '.join(wanted)}; nothing is changed "
            f"without --confirm {len(wanted)}"
        )
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, wanted[0]))
        account = Account.of(session)
        by = account.caller
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{options.verb}: {aws_failure.words(error)}; nothing is changed\n")
        return 1

    def once(tenant: str) -> bool:
        say = partial(_say_of, tenant) if len(wanted) > 1 else _say
        try:
            return _switched(options, account, tenant, root=root, by=by, say=say)
        # The others are switched all the same.
        except (
            SuspensionError,
            FileStyleError,
            NotToldError,
            BotoCoreError,
            ClientError,
        ) as error:
            why = aws_failure.words(error)
            sys.stderr.write(f"{options.verb} {tenant}: {why}; it may be repeated\n")
            return False

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return 0 if all(list(pool.map(once, wanted))) else 1


def _switched(
    options: argparse.Namespace,
    account: Account,
    tenant: str,
    *,
    root: Path,
    by: str,
    say: Callable[[str], None],
) -> bool:
    suspends = options.verb == "suspend"
    found = account.tenant(tenant)
    # First, so that whoever stamps the tenant meanwhile does not turn it on again.
    mark(root, tenant, "suspended", on=suspends or None)
    if not suspends:
        suspension.resume(found, say=say, tell=partial(tell_resumed, account, tenant, by))
        return True
    told = SuspensionTold(account, tenant=tenant, by=by)
    away = suspension.suspend(
        found,
        by=by,
        reason=options.reason,
        watch=Watch(quiet_seconds=options.quiet),
        say=say,
        tell=told,
    )
    told.check()
    return away


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


def _say_of(tenant: str, text: str) -> None:
    _say(f"{tenant}: {text}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
