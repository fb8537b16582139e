"""`python -m infra tenants new|invite`: a tenant's file with what it needs, and its first manager.

The file begins with the schema that editors complete from (`tenants/tenant.schema.json`).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import aws_failure
from infra.commands.policies import TABLE
from infra.policies import PolicyError, load
from infra.policies.store import deployed
from infra.policies.store.deployed import NotDeployedError
from infra.stacks.config import stack_file
from infra.stacks.config.file_schema import FILE
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenant import check_id
from infra.stacks.config.tenants import configured, of_tenant, region

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_GROUPS: Final = {
    names.MANAGERS: "Run the place; may do everything",
    "operators": "Watch the machines of one region",
    "technicians": "Maintain the lines that they are granted",
}
_COMMANDS: Final = {
    "reboot": "OperateDevice",
    "run-diagnostics": "MaintainDevice",
    "stop": "StopDevice",
}
_CONSOLE: Final = "http://localhost:8000/console/"


def add_new_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `new` its arguments; what is missing is asked for on a terminal."""
    parser.add_argument("tenant", help="its id, the name of the file")
    parser.add_argument("--name", help="for people")
    parser.add_argument("--tier", help="of the platform's file (default: none)")
    parser.add_argument(
        "--devices-in",
        action="append",
        metavar="REGION",
        help="where devices stand, e.g. eu-central; again for more",
    )
    parser.add_argument(
        "--kind", action="append", default=[], help="what devices are; again for more"
    )
    parser.add_argument(
        "--line", action="append", default=[], help="a device group; again for more"
    )
    parser.add_argument(
        "--app",
        action="append",
        metavar="URL",
        help=f"where the sign-in page sends people back to (default: {_CONSOLE})",
    )


def add_invite_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `invite` its arguments."""
    parser.add_argument(
        "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
    )
    parser.add_argument("email", help="gets the invitation, and signs in by it")
    parser.add_argument(
        "--group",
        dest="into",
        default=names.MANAGERS,
        help="of the tenant's groups (default: %(default)s)",
    )


def new(options: argparse.Namespace, *, root: Path) -> int:
    """Write the tenant's file, if all checks let it stand, and say what comes next.

    Raises:
        ConfigError: there is such a file, something is missing, or what would stand in it is wrong.
    """
    tenant: str = options.tenant
    shown = stack_file.shown(tenant)
    check_id(shown, tenant)  # before anything is asked for
    if (root / shown).exists():
        raise ConfigError(f"{shown}: is there already")
    platform = stack_file.load(root, names.PLATFORM_STACK)
    apps = options.app or [_CONSOLE]
    asked_for: dict[str, Any] = {
        "display_name": options.name or _asked("--name", "What is it called?"),
        **({"tier": options.tier} if options.tier else {}),
        "regions": options.devices_in
        or _asked("--devices-in", "Where do its devices stand (eu-central ...)?").split(),
        "kinds": options.kind,
        "groups": _GROUPS,
        "lines": {line: line.replace("-", " ").capitalize() for line in options.line},
        "commands": _COMMANDS,
        "sign_in": {
            "domain_prefix": f"cedarfleet-{tenant}",
            "callback_urls": apps,
            "logout_urls": [*apps],  # a list of its own, or YAML refers to the other by a name
        },
    }
    config = {stack_file.REGION: platform[stack_file.REGION], "cedarfleet:tenant": asked_for}
    text = yaml.safe_dump({"config": config}, sort_keys=False, allow_unicode=True, width=100)
    head = f"# yaml-language-server: $schema={FILE}\n# tenants/README.md explains each key.\n"
    try:
        with (root / shown).open("x", encoding="utf-8") as file:
            file.write(head + text)
    except FileExistsError:
        raise ConfigError(f"{shown}: is there already") from None
    try:
        load(root / "policies", of_tenant(root, tenant))
    except (ConfigError, PolicyError):
        (root / shown).unlink()
        raise
    _say(f"{shown} is written; what it leaves out, tenants/README.md explains")
    _say(f"next: python -m infra tenants preview {tenant}")
    _say(f"      python -m infra tenants up {tenant}")
    _say(f"      python -m infra tenants invite {tenant} <e-mail of the first manager>")
    return 0


def invite(options: argparse.Namespace, *, root: Path) -> int:
    """Make a person of the tenant's pool, who gets Cognito's invitation; may be repeated.

    Raises:
        ConfigError: the tenant has no file, or no such group.
    """
    asked_for = configured(root, options.tenant)
    if options.into not in asked_for.groups:
        known = ", ".join(asked_for.groups)
        raise ConfigError(f"--group: `{options.into}` is none of {options.tenant}'s: {known}")
    try:
        session = boto3.Session(
            region_name=os.environ.get("AWS_REGION") or region(root, options.tenant)
        )
        table = os.environ.get(TABLE, names.TENANTS_TABLE)
        pool = deployed.find(session.client("dynamodb"), options.tenant, table=table).pool_id
        cognito = session.client("cognito-idp")
        try:
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=options.email,
                UserAttributes=[
                    {"Name": "email", "Value": options.email},
                    {"Name": "email_verified", "Value": "true"},
                ],
                DesiredDeliveryMediums=["EMAIL"],
            )
            _say(f"{options.email} is invited")
        except cognito.exceptions.UsernameExistsException:
            _say(f"{options.email} is there already")
        cognito.admin_add_user_to_group(
            UserPoolId=pool, Username=options.email, GroupName=options.into
        )
    except (NotDeployedError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"invite {options.email}: {aws_failure.words(error)}\n")
        return 1
    _say(f"{options.email} is one of the {options.into}; a group counts from the next sign-in on")
    return 0


def _asked(flag: str, question: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(f"{flag} is missing, and nobody can be asked: {question}")
    return input(f"{question} ").strip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
