"""``python -m infra.commands.pulumi_stack up -s acme``: one stack by the real CLI, on its own.

Through Pulumi's Automation API (source: pulumi.com/docs, "Automation API"), with a `PULUMI_HOME` of
its own: plugins and the login are those of the person's home.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pulumi import automation

from infra import names
from infra.commands import aws_failure
from infra.commands.stack_run import DRIFTED
from infra.policies import load
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.comparison.with_deployed import difference_of
from infra.policies.proofs.asking import prover_of
from infra.policies.store.deployed import NotDeployedError, Store
from infra.stacks.config.tenants import of_tenant, region

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERBS: Final = ("preview", "up", "drift", "destroy")
_REFERENCE: Final = "pulumi:pulumi:StackReference"
_AS_IT_WAS: Final = frozenset(
    {automation.OpType.SAME, automation.OpType.REFRESH, automation.OpType.READ}
)
_SHARED: Final = ("plugins", "credentials.json")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb on one stack; 0 if it went well, ``DRIFTED``, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.commands.pulumi_stack")
    parser.add_argument("verb", choices=_VERBS)
    parser.add_argument("-s", "--stack", required=True)
    parser.add_argument("--project", type=Path, default=Path())
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(_prefix(given.stack)) as home:
        _link(Path(home))
        try:
            stack = automation.select_stack(
                given.stack,
                work_dir=str(given.project.resolve()),
                opts=automation.LocalWorkspaceOptions(pulumi_home=home),
            )
            if given.verb == "drift":
                return _drift(stack, given.project.resolve(), given.stack)
            if given.verb == "preview":
                stack.preview(on_output=_say, color="never")
            elif given.verb == "destroy":
                stack.destroy(on_output=_say, color="never", show_secrets=False)
                # Without the switch the CLI deletes the tenant's file.
                stack.workspace.remove_stack(given.stack, preserve_config=True)
            else:
                stack.up(on_output=_say, color="never", show_secrets=False)
        except automation.errors.StackNotFoundError as error:
            if given.verb == "destroy":  # a run that was killed behind it has removed the stack
                _say(f"there is no stack `{given.stack}`")
                return 0
            _complain(str(error))
            return 1
        # What the CLI refused, it has said already; a stack that there is not says so here.
        except (automation.errors.CommandError, NotDeployedError) as error:
            _complain(str(error))
            return 1
        except (BotoCoreError, ClientError) as error:
            why = aws_failure.words(error)
            _complain(f"{given.verb} {given.stack}: cannot read what is deployed: {why}")
            return 1
    return 0


def _prefix(stack: str) -> str:
    """Of the folder that is the run's `PULUMI_HOME`."""
    return f"cedarfleet-pulumi-{stack}-"


def _link(home: Path) -> None:
    own = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    for name in _SHARED:
        if (own / name).exists():
            (home / name).symlink_to(own / name)


def _drift(stack: automation.Stack, root: Path, name: str) -> int:
    changes = list[str]()

    def take(event: automation.EngineEvent) -> None:
        changes.extend(_drifted(event))

    stack.preview_refresh(on_output=_say, on_event=take, color="never", show_secrets=False)
    for change in changes:
        _say(f"drift: {change}")
    if name == names.PLATFORM_STACK:
        return DRIFTED if changes else 0
    held = {key: output.value for key, output in stack.outputs().items()}
    differing = difference_of(
        boto3.Session(region_name=region(root, name)).client("verifiedpermissions"),
        Store(policy_store_id=held["policy_store_id"], pool_id=held["user_pool_id"]),
        load(root / "policies", of_tenant(root, name)),
        fleet=ReferenceFleet.read(root / "policies"),
        tenant=name,
        now=datetime.now(UTC),
        prover=prover_of(root),
    )
    _say(f"policies of {name}: {differing.table()}")
    return DRIFTED if changes or differing else 0


def _drifted(event: automation.EngineEvent) -> Iterator[str]:
    """A resource that a refresh would have otherwise in the state, in words for people.

    A reference to a stack is none: a refresh reads the outputs of that stack as they are by now,
    which are always others than those on which the last stamping began.
    """
    read: Any = event.res_outputs_event
    if read is None or read.metadata.type == _REFERENCE:
        return
    did = read.metadata.op
    if did not in _AS_IT_WAS:
        yield f"{read.metadata.type} {read.metadata.urn.rpartition('::')[2]}: {did.value}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
