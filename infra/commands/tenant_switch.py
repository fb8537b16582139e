"""`python -m infra tenants suspend|resume`: the switch, and the line of the tenant's file."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import suspension
from infra.commands.policies import TABLE
from infra.commands.revocation import Watch
from infra.commands.suspension import QUIET_SECONDS, SuspensionError
from infra.stacks.config import stack_file
from infra.stacks.config.tenants import configured, region

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_TENANT: Final = re.compile(r"^(?P<indent> +)(\"?)cedarfleet:tenant\2:[ \t]*(#.*)?$", re.MULTILINE)
_LINE: Final = re.compile(r"^ +suspended:[ \t]*(true|false)[ \t]*(#.*)?\n", re.MULTILINE)
_PATIENT: Final = Config(retries={"mode": "adaptive", "max_attempts": 10})


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
        tenant = suspension.Tenant.find(_aws(session), options.tenant)
        # First, so that whoever stamps the tenant meanwhile does not turn it on again.
        _mark(root, options.tenant, suspended=suspends)
        if not suspends:
            suspension.resume(tenant, say=_say)
            return 0
        caller = str(session.client("sts").get_caller_identity()["Arn"])
        away = suspension.suspend(
            tenant,
            by=caller,
            reason=options.reason,
            watch=Watch(quiet_seconds=options.quiet),
            say=_say,
        )
    except (SuspensionError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{options.verb} {options.tenant}: {error}; it may be repeated\n")
        return 1
    return 0 if away else 1


def marked(text: str, *, suspended: bool) -> str:
    """The text of a tenant's file with the line `suspended: true`, or without it.

    All else, comments included, stays as it is.
    """
    text = _LINE.sub("", text)
    if not suspended:
        return text
    return _TENANT.sub(
        lambda found: f"{found[0]}\n{found['indent'] * 2}suspended: true", text, count=1
    )


def _mark(root: Path, tenant: str, *, suspended: bool) -> None:
    file = root / stack_file.shown(tenant)
    before = file.read_text(encoding="utf-8")
    file.write_text(marked(before, suspended=suspended), encoding="utf-8")
    # What could not be marked, as YAML of another style, is not passed over.
    if configured(root, tenant).suspended is not suspended:
        file.write_text(before, encoding="utf-8")
        words = f"set `suspended: {str(suspended).lower()}` in {stack_file.shown(tenant)} by hand"
        raise SuspensionError(f"{words}: it is written in a way that this command does not know")


def _aws(session: boto3.Session) -> suspension.Aws:
    iot = session.client("iot", config=_PATIENT)
    # The account's own data plane; the embedded cloud is one address for all.
    own = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    url = None if os.environ.get("AWS_ENDPOINT_URL") else f"https://{own}"
    return suspension.Aws(
        dynamodb=session.client("dynamodb"),
        permissions=session.client("verifiedpermissions"),
        cognito=session.client("cognito-idp", config=_PATIENT),
        iot=iot,
        data=session.client("iot-data", endpoint_url=url, config=_PATIENT),
        table=os.environ.get(TABLE, names.TENANTS_TABLE),
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
