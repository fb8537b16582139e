"""``python -m infra.local.stacks up -s acme``: the Pulumi program against the cloud of ``make up``.

A preview of a deployed tenant ends with the decisions that would flip, as those of
``python -m infra policies diff``.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.engine import DeploymentFailedError, Engine, EngineError, StateError
from infra.local.resources import HANDLERS, INVOKES
from infra.local.running_cloud import CloudNotRunningError, RunningCloud
from infra.policies import load
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.comparison.with_deployed import difference_of
from infra.policies.store.deployed import NotDeployedError, Store
from infra.stacks.config.tenants import of_tenant, tenants

if TYPE_CHECKING:
    from infra.local.engine import Cloud, Result

VERBS: Final = {
    "preview": "say what `up` would do, and which of a tenant's decisions would flip",
    "up": "bring the stack to what its file says; go on where a failed or interrupted run stopped",
    "refresh": "bring the state to what is in the cloud, so that `up` makes again what is gone",
    "destroy": "delete every resource of the stack, unless one is protected",
    "outputs": "print the outputs of the last `up`",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb on one stack; 0 if it went well, 1 with the reason on stderr if not."""
    given = _arguments(arguments)
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
            result = _run(engine, given.verb, given.stack)
            decisions = _decisions(engine, cloud, given.stack) if result.preview else ""
    except KeyboardInterrupt:
        _complain(f"{given.verb} {given.stack}: interrupted; run `up` to go on")
        return 130
    except (EngineError, CloudNotRunningError) as error:
        if isinstance(error, DeploymentFailedError):
            print(*error.result.lines(), sep="\n")  # noqa: T201 - a command line speaks on stdout
        _complain(f"{given.verb} {given.stack}: {error}")
        return 1
    # Fail closed: no preview without its decisions.
    except (NotDeployedError, BotoCoreError, ClientError) as error:
        _complain(f"{given.verb} {given.stack}: cannot read what is deployed: {error}")
        return 1
    print(*result.lines(), sep="\n")  # noqa: T201
    if decisions:
        print("", decisions, sep="\n")  # noqa: T201
    return 0


def _complain(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - a command line complains on stderr


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.stacks",
        description=__doc__,
        epilog="\n".join(("verbs:", *(f"  {verb:<8} {what}" for verb, what in VERBS.items()))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS, help="what to do with the stack, see below")
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
    return parser.parse_args(arguments)


def _run(engine: Engine, verb: str, stack: str) -> Result:
    verbs = {
        "preview": engine.preview,
        "up": engine.up,
        "refresh": engine.refresh,
        "destroy": engine.destroy,
        "outputs": engine.outputs,
    }
    return verbs[verb](stack)


def _decisions(engine: Engine, cloud: Cloud, stack: str) -> str:
    """Who could do what else after an `up`; empty for the platform, or if never deployed."""
    root = engine.project.root
    if stack not in tenants(root):
        return ""
    try:
        held = engine.outputs(stack).outputs
    except StateError:
        return ""
    # A first `up` that did not come to its end has left no store to compare with.
    if not {"policy_store_id", "user_pool_id"} <= held.keys():
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
