"""`python -m infra tenants offboard|destroy`: asks for a word, and runs the steps."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import aws_failure, stack_run, suspension
from infra.commands.account import Account
from infra.commands.file_lines import FileStyleError, mark
from infra.commands.life_events import NotToldError
from infra.commands.offboarding import record
from infra.commands.offboarding.offboard import (
    TOLD,
    Offboarding,
    StackError,
    put_away,
    tell_offboarded,
)
from infra.commands.offboarding.record import Record, RecordError
from infra.commands.offboarding.removal import LeftError
from infra.commands.revocation import Watch
from infra.commands.suspension import QUIET_SECONDS, SuspensionError
from infra.commands.tenant_archive.archive import ArchiveError
from infra.commands.tenant_archive.command import exported
from infra.commands.tenant_switch import SuspensionTold
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured, region

if TYPE_CHECKING:
    import argparse

_RUNS: Final = "runs"


def add_offboard_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `offboard` its arguments."""
    _add(parser)
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of record, logs and certificate; again, to go on with a run that was killed",
    )
    parser.add_argument(
        "--no-export",
        action="store_true",
        help="write no archive of the tenant's data before it is deleted",
    )
    parser.add_argument("--reason", required=True, help="why, as the certificate says it")
    parser.add_argument(
        "--quiet",
        type=float,
        default=QUIET_SECONDS,
        metavar="SECONDS",
        help="how long no device may have come back (default: %(default).0f, AWS's 8 minutes)",
    )


def add_destroy_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `destroy` its arguments."""
    _add(parser)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
    )
    parser.add_argument(
        "--confirm", metavar="TENANT", help="its id once more; is asked for on a terminal"
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "pulumi", "embedded"),
        default="auto",
        help="the CLI, or the laptop's of `make up` (default: the CLI where there is one)",
    )
    parser.add_argument(
        "--state", type=Path, default=Path(".cedarfleet"), help="folder of `make up`"
    )


def destroy(options: argparse.Namespace, *, root: Path) -> int:
    """Destroy a tenant's stack and nothing else; what is protected refuses.

    Raises:
        ConfigError: the tenant has no file, or the word was not given.
    """
    configured(root, options.tenant)
    _confirmed(options, "all that its stack made is deleted")
    outcome = _run_stack(options, root, options.state.resolve() / _RUNS, "destroy")
    for line in outcome.said:
        _say(line)
    return 0 if outcome.went_well else 1


def offboard(options: argparse.Namespace, *, root: Path) -> int:
    """Take a tenant away, prove that nothing is left, and certify it; 1 with the reason if not.

    Raises:
        ConfigError: the tenant has no file, the word was not given, or engine and calls would be of
            two clouds.
    """
    tenant, folder = str(options.tenant), options.to.resolve()
    try:
        known = record.read(folder, tenant)
        if known is not None and _is_certified(folder, tenant):
            # A run that was killed behind the certificate has not told it or put the file away.
            if TOLD not in known.done:
                session = boto3.Session(region_name=os.environ.get("AWS_REGION") or _region(folder))
                tell_offboarded(Account.of(session), known, folder)
            put_away(root, tenant, folder, say=_say)
            _say(f"{tenant} is offboarded: {folder / record.CERTIFICATE}")
            return 0
        configured(root, tenant)
        _one_cloud(options, root)
        _confirmed(options, "its devices, people, files and history are deleted")
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, tenant))
        account = Account.of(session)
        caller = account.caller
        kept = known or Record(
            tenant=tenant,
            reason=options.reason,
            by=caller,
            began_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        record.write(kept, folder)
        nothing_left = Offboarding(
            account=account,
            folder=folder,
            root=root,
            run_stack=partial(_run_stack, options, root, folder),
            export=partial(_export, options, account, folder, root),
            suspend=partial(_suspend, options, account, root),
            say=_say,
            kept=kept,
        ).run()
    except (
        ArchiveError,
        BotoCoreError,
        ClientError,
        FileStyleError,
        LeftError,
        NotToldError,
        RecordError,
        StackError,
        SuspensionError,
    ) as error:
        sys.stderr.write(f"offboard {tenant}: {aws_failure.words(error)}; it may be repeated\n")
        return 1
    return 0 if nothing_left else 1


def _is_certified(folder: Path, tenant: str) -> bool:
    try:
        said = json.loads((folder / record.CERTIFICATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return said.get("tenant") == tenant and said.get("sha256") == record.digest(said)


def _region(folder: Path) -> str:
    said = json.loads((folder / record.CERTIFICATE).read_text(encoding="utf-8"))
    return str(said["region"])


def _suspend(options: argparse.Namespace, account: Account, root: Path, reason: str) -> None:
    """Turn the tenant off, so that nothing is written while it is taken away.

    Raises:
        NotToldError: the event bus does not take it.
        SuspensionError: it is not in the registry, or its devices come back still.
    """
    tenant = account.tenant(options.tenant)
    mark(root, options.tenant, "suspended", on=True)
    watch = Watch(quiet_seconds=options.quiet)
    by = account.caller
    told = SuspensionTold(account, tenant=tenant.id, by=by)
    away = suspension.suspend(tenant, by=by, reason=reason, watch=watch, say=_say, tell=told)
    told.check()
    if not away:
        raise SuspensionError("its devices come back still")


def _export(options: argparse.Namespace, account: Account, folder: Path, root: Path) -> str:
    if options.no_export:
        return ""
    return exported(options.tenant, account, folder, root=root, say=_say)


def _run_stack(options: argparse.Namespace, root: Path, logs: Path, verb: str) -> stack_run.Outcome:
    state = options.state.resolve()
    places = stack_run.Places(root=root, logs=logs, locks=state / _RUNS / "locks")
    log = logs / f"{options.tenant}-{verb}.log"
    engine = stack_run.chosen(root, state, wanted=options.engine)
    return stack_run.run(engine, verb, options.tenant, places=places, log=log)


def _one_cloud(options: argparse.Namespace, root: Path) -> None:
    """Fail closed: a stack of the laptop is not destroyed while calls go to an account of AWS."""
    state = options.state.resolve()
    if stack_run.chosen(root, state, wanted=options.engine).name == "Pulumi":
        return
    try:
        here = json.loads((state / "cloud.json").read_text(encoding="utf-8"))["endpoint_url"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{state / 'cloud.json'}: no cloud of `make up`: {error!r}") from error
    if os.environ.get("AWS_ENDPOINT_URL") != here:
        raise ConfigError(
            f"the stack stands in the cloud of `make up` at {here}, AWS_ENDPOINT_URL names another:"
            ' eval "$(python -m infra.local.aws environment)"'
        )


def _confirmed(options: argparse.Namespace, loss: str) -> None:
    given = options.confirm
    if given is None and sys.stdin.isatty():
        given = input(f"{loss}. Type `{options.tenant}` to go on: ").strip()
    if given != options.tenant:
        raise ConfigError(f"--confirm {options.tenant} is missing: {loss}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
