"""``python -m infra.local.stacks up -s acme``: the Pulumi program against the cloud of ``make up``.

A preview of a tenant ends with who may do what there; if it is deployed, with the decisions that
would flip, as those of ``python -m infra policies diff``. As ``pulumi stack output``, ``outputs``
prints secret ones only where ``--show-secrets`` asks for them, and with a name that one alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.commands.stack_run import DRIFTED
from infra.local.engine import (
    DeploymentFailedError,
    Engine,
    EngineError,
    ProtectedError,
    StateError,
    kind_and_name,
)
from infra.local.guarding import Guardrails
from infra.local.processes import run
from infra.local.resources import HANDLERS, INVOKES
from infra.local.running_cloud import CloudNotRunningError, RunningCloud
from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.comparison.with_deployed import difference_of
from infra.policies.proofs.asking import prover_of
from infra.policies.store.deployed import NotDeployedError, Store, granted
from infra.stacks.config.tenants import of_tenant, tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.engine import Cloud, Result
    from infra.policies import PolicyBundle
    from infra.policies.comparison.compare import Difference

VERBS: Final = {
    "preview": "say what `up` would do, and which of a tenant's decisions would flip",
    "up": "bring the stack to what its file says; go on where a failed or interrupted run stopped",
    "refresh": "bring the state to what is in the cloud, so that `up` makes again what is gone",
    "drift": "say what is otherwise in the cloud than state and policy files say; exit code 4",
    "destroy": "delete every resource of the stack, unless one is protected",
    "outputs": "print the outputs of the last `up`; with a name, that one alone",
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
                guard=Guardrails(),
                passphrase=os.environ.get("PULUMI_CONFIG_PASSPHRASE"),
            )
            result = _run(engine, given.verb, given.stack)
            said = list(_outputs(result, given) if given.verb == "outputs" else result.lines())
            is_tenant = given.stack in tenants(engine.project.root)
            drifted = given.verb == "drift" and bool(result.changes)
            if given.verb == "drift" and is_tenant:
                differing = _difference(engine, cloud, given.stack)
                drifted = drifted or bool(differing)
                said += [] if differing is None else ["", f"policies: {differing.table()}"]
            elif result.preview and is_tenant:
                said += _decisions(engine, cloud, given.stack)
            elif any("aws:verifiedpermissions/" in change.urn for change in result.changes):
                said.append("changed policies decide some seconds later, here as on AWS")
    except KeyboardInterrupt:
        _complain(f"{given.verb} {given.stack}: interrupted; run `up` to go on")
        return 130
    except (EngineError, CloudNotRunningError) as error:
        if isinstance(error, DeploymentFailedError):
            print(*error.result.lines(), sep="\n")  # noqa: T201 - a command line speaks on stdout
        if isinstance(error, ProtectedError):
            _complain("\n".join(_protected(error, given)))
            return 1
        _complain(f"{given.verb} {given.stack}: {error}")
        return 1
    # Fail closed: no preview without its decisions.
    except (NotDeployedError, BotoCoreError, ClientError) as error:
        _complain(f"{given.verb} {given.stack}: cannot read what is deployed: {error}")
        return 1
    print(*said, sep="\n")  # noqa: T201 - as above
    return DRIFTED if drifted else 0


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
    parser.add_argument("output", nargs="?", help="of `outputs`: print the value of this one")
    parser.add_argument(
        "--show-secrets", action="store_true", help="of `outputs`: print secret ones in clear"
    )
    parser.add_argument(
        "--project", type=Path, default=Path(), help="folder of Pulumi.yaml (default: here)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".cedarfleet"),
        help="folder of `make up` (default: .cedarfleet)",
    )
    given = parser.parse_intermixed_args(arguments)
    if given.verb != "outputs" and (given.output or given.show_secrets):
        parser.error("a name and --show-secrets go with `outputs`")
    return given


def _run(engine: Engine, verb: str, stack: str) -> Result:
    verbs = {
        "preview": engine.preview,
        "up": engine.up,
        "refresh": engine.refresh,
        "drift": engine.drift,
        "destroy": engine.destroy,
        "outputs": engine.outputs,
    }
    return verbs[verb](stack)


def _outputs(result: Result, given: argparse.Namespace) -> Iterator[str]:
    """All outputs, or the one that was asked for and nothing else.

    Raises:
        StateError: the stack has no output of that name.
    """
    if given.output is None:
        for name, value in sorted(result.outputs.items()):
            if name in result.secret_outputs and not given.show_secrets:
                yield f"  {name}: [secret]"
            elif isinstance(value, dict):
                yield f"  {name}:" if value else f"  {name}: none"
                yield from (f"    {key}: {one}" for key, one in value.items())
            else:
                yield f"  {name}: {value}"
        return
    if given.output not in result.outputs:
        known = ", ".join(sorted(result.outputs))
        raise StateError(f"no output `{given.output}`; there are {known}")
    value = result.outputs[given.output]
    if given.output in result.secret_outputs and not given.show_secrets:
        yield "[secret]"
    else:
        yield value if isinstance(value, str) else json.dumps(value, indent=2)


def _protected(error: ProtectedError, given: argparse.Namespace) -> Iterator[str]:
    """What stands in the way, and what to do about it."""
    lost = "deleted" if error.verb == "delete" else "replaced, and what they hold with them"
    yield f"{given.verb} {given.stack}: nothing was done, since these are protected:"
    yield from (f"  {named}" for named in sorted(map(kind_and_name, error.urns)))
    yield (
        f"If they are to be {lost}: set `protect: false` in tenants/Pulumi.{given.stack}.yaml, run "
        f"`up -s {given.stack}`, which lifts the protection, then `{given.verb}` again."
    )


def _decisions(engine: Engine, cloud: Cloud, tenant: str) -> Iterator[str]:
    """Who may do what after an `up`, and who could do what else than now if there is a now."""
    root = engine.project.root
    asked_for = of_tenant(root, tenant)
    bundle = load(root / "policies", asked_for)
    yield ""
    yield from _who_may_do_what(bundle, asked_for)
    difference = _difference(engine, cloud, tenant)
    if difference is not None:
        yield ""
        yield difference.table()


def _difference(engine: Engine, cloud: Cloud, tenant: str) -> Difference | None:
    """What of the tenant's store is otherwise than the files say; ``None``: there is no store.

    Raises:
        NotDeployedError: the store cannot be read.
    """
    root = engine.project.root
    try:
        held = engine.outputs(tenant).outputs
    except StateError:
        return None
    # A first `up` that did not come to its end has left no store to compare with.
    if not {"policy_store_id", "user_pool_id"} <= held.keys():
        return None
    return difference_of(
        cloud.client("verifiedpermissions"),
        Store(
            policy_store_id=held["policy_store_id"],
            pool_id=held["user_pool_id"],
            granted=granted(cloud.client("dynamodb"), tenant),
        ),
        load(root / "policies", of_tenant(root, tenant)),
        fleet=ReferenceFleet.read(root / "policies"),
        tenant=tenant,
        now=datetime.now(UTC),
        prover=prover_of(root),
    )


def _who_may_do_what(bundle: PolicyBundle, asked_for: TenantPolicies) -> Iterator[str]:
    files = asked_for.folder.glob("*.cedar") if asked_for.folder else ()
    names = {file.stem for file in files}
    own = [policy for policy in bundle.static if policy.id in names]
    shared = len(bundle.static) - len(own)
    yield (
        f"Who may do what in {asked_for.tenant}: {shared} policies of every tenant "
        f"(policies/matrix.md shows them as a table), {len(own)} of its own, "
        f"{len(asked_for.grants)} grants."
    )
    yield from (f"  {policy.effect} {policy.id}: {policy.why}" for policy in own)
    for grant in asked_for.grants:
        end = f" until {grant.until.isoformat()}" if grant.until else ""
        yield f"  grant {grant.id}: {grant.template} for {grant.principal} on {grant.resource}{end}"


if __name__ == "__main__":
    run(main)
