"""``python -m infra.local.engine up -s acme``: the Pulumi program against the embedded cloud that ``make up`` runs.

A preview of a tenant that is deployed ends with the decisions that would flip, as ``python -m infra policies diff``.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.engine.engine import Engine
from infra.local.engine.errors import DeploymentFailedError, EngineError, StateError
from infra.local.engine.running_cloud import RunningCloud
from infra.local.resources import HANDLERS, INVOKES
from infra.policies import load
from infra.policies.deployed import NotDeployedError, Store
from infra.policies.reference_fleet import ReferenceFleet
from infra.policies.with_deployed import difference_of
from infra.stacks.config.tenants import of_tenant, tenants

if TYPE_CHECKING:
    from infra.local.engine.handler import Cloud


def main(arguments: list[str] | None = None) -> int:
    """Run one verb on one stack; 0 if it went well, 1 with the reason on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.engine", description=__doc__)
    parser.add_argument("verb", choices=("preview", "up", "refresh", "destroy", "outputs"))
    parser.add_argument("-s", "--stack", required=True, help="platform, or a tenant of tenants/")
    parser.add_argument(
        "--project", type=Path, default=Path(), help="folder of Pulumi.yaml (default: here)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".cedarfleet"),
        help="folder of `make up` (default: .cedarfleet)",
    )
    given = parser.parse_args(arguments)
    try:
        with closing(RunningCloud(given.state / "cloud.json")) as cloud:
            engine = Engine(
                given.project.resolve(),
                given.state / "stacks",
                cloud,
                HANDLERS,
                INVOKES,
                passphrase=os.environ.get("PULUMI_CONFIG_PASSPHRASE"),
            )
            verbs = {
                "preview": engine.preview,
                "up": engine.up,
                "refresh": engine.refresh,
                "destroy": engine.destroy,
                "outputs": engine.outputs,
            }
            result = verbs[given.verb](given.stack)
            decisions = _decisions(engine, cloud, given.stack) if result.preview else ""
    except KeyboardInterrupt:
        print(f"{given.verb} {given.stack}: interrupted; run `up` to go on", file=sys.stderr)  # noqa: T201
        return 130
    except EngineError as error:
        if isinstance(error, DeploymentFailedError):
            print(*error.result.lines(), sep="\n")  # noqa: T201 - a command line speaks on stdout
        print(f"{given.verb} {given.stack}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except (
        NotDeployedError,
        BotoCoreError,
        ClientError,
    ) as error:  # fail closed: no preview without its decisions
        print(f"{given.verb} {given.stack}: cannot read what is deployed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(*result.lines(), sep="\n")  # noqa: T201
    if decisions:
        print("", decisions, sep="\n")  # noqa: T201
    return 0


def _decisions(engine: Engine, cloud: Cloud, stack: str) -> str:
    """Who could do what else after an `up`; empty if the stack is no tenant's or was never deployed."""
    root = engine.project.root
    if stack not in tenants(root):
        return ""
    try:
        held = engine.outputs(stack).outputs
    except StateError:
        return ""
    if (
        not {"policy_store_id", "user_pool_id"} <= held.keys()
    ):  # its first `up` did not come to the end
        return ""
    difference = difference_of(
        cloud.client("verifiedpermissions"),
        Store(policy_store_id=held["policy_store_id"], pool_id=held["user_pool_id"]),
        load(root / "policies", of_tenant(root, stack)),
        fleet=ReferenceFleet.read(root / "policies"),
        tenant=stack,
        now=datetime.now(UTC),
    )
    return difference.table()


if __name__ == "__main__":
    sys.exit(main())
