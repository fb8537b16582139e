"""`python -m infra rights deploy-role`: a candidate for the role that stamps, as IAM's policies.

Nothing is made and nobody is asked: it prints one JSON object, from a policy's name to its
document. What of it was seen to be used, and what only the real provider calls: docs/rights.md.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Final

from infra import names
from infra.stacks import deploy_role
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

GROUP: Final = "rights"
ABOUT: Final = "What a role may do."
VERBS: Final = {"deploy-role": "print the policies of a role that may stamp, and nothing else"}


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    told = verbs["deploy-role"]
    told.add_argument("--account", required=True, type=_account, help="twelve digits")
    told.add_argument(
        "--policy", choices=sorted(deploy_role.POLICIES), help="this one's document alone"
    )


def run(options: argparse.Namespace, *, root: Path) -> int:
    """Print it, or say on the standard error what is wrong."""
    try:
        here = os.environ.get("AWS_REGION") or region(root, names.PLATFORM_STACK)
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"deploy-role: {error}\n")
        return 1
    made = deploy_role.policies(region=here, account_id=options.account)
    json.dump(made[options.policy] if options.policy else made, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _account(text: str) -> str:
    if re.fullmatch(r"\d{12}", text) is None:
        raise ValueError(text)
    return text
