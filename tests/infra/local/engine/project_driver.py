"""Deploys this project to an embedded cloud of its own: `project_driver.py FOLDER cli|engine`.

The answer is one JSON line: for each step its operations by URN, the names of its outputs, which
are secret, any error. With `cli`, the real `pulumi` reads copies of `Pulumi.yaml` and `tenants/`
itself; only the language host is ours (the Automation API's inline program), so that no other part
of a Pulumi installation is needed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pulumi import automation
from pulumi.runtime.settings import SETTINGS

from infra.local.cloud import EmbeddedCloud
from infra.local.engine import Engine, EngineError
from infra.local.engine.program import from_file
from infra.local.resources import HANDLERS, INVOKES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.engine import Cloud

ROOT: Final = Path(__file__).parents[4]
STEPS: Final = (
    ("platform", "preview"),
    ("platform", "up"),
    ("platform", "up"),
    ("acme", "preview"),
    ("acme", "up"),
    ("acme", "up"),
    ("acme", "destroy"),  # refused: it is protected
)
SDK_VERSION: Final = "7.51.1"


def by_engine(folder: Path, cloud: Cloud) -> Iterator[dict[str, Any]]:
    """Take the steps with the in-process engine."""
    engine = Engine(ROOT, folder / "stacks", cloud, HANDLERS, INVOKES)
    for stack, verb in STEPS:
        try:
            result = getattr(engine, verb)(stack)
        except EngineError as error:
            yield {"operations": {}, "outputs": [], "secret": [], "error": str(error)}
            continue
        yield {
            "operations": {change.urn: change.op.value for change in result.changes},
            "outputs": sorted(result.outputs),
            "secret": sorted(result.secret_outputs),
            "error": "",
        }


def by_cli(folder: Path, cloud: EmbeddedCloud) -> Iterator[dict[str, Any]]:
    """Take the steps with the real CLI."""
    program = from_file(ROOT / "infra" / "stacks" / "__main__.py")

    def inline() -> None:
        # What the Python language host sets for a program on disk.
        context: Any = SETTINGS
        context.root_directory = str(ROOT)
        program()

    options = _options(folder, cloud)
    for name, verb in STEPS:
        stack = automation.create_or_select_stack(
            stack_name=name, project_name="cedarfleet", program=inline, opts=options
        )
        operations: dict[str, str] = {}
        error = ""

        def take(event: automation.EngineEvent, operations: dict[str, str] = operations) -> None:
            found: Any = event.resource_pre_event
            if found is not None:
                op = str(getattr(found.metadata.op, "value", found.metadata.op))
                operations[found.metadata.urn] = "replace" if "replace" in op else op

        try:
            getattr(stack, verb)(on_event=take)
        except automation.CommandError as raised:
            error = str(raised)
        outputs = stack.outputs()
        yield {
            "operations": {
                urn: op for urn, op in operations.items() if op != "same" and "::default" not in urn
            },
            "outputs": sorted(outputs),
            "secret": sorted(key for key, item in outputs.items() if item.secret),
            "error": error,
        }


def _options(folder: Path, cloud: EmbeddedCloud) -> automation.LocalWorkspaceOptions:
    description = folder / "cloud.json"
    description.write_text(
        json.dumps(
            {
                "endpoint_url": cloud.endpoint_url,
                "region": cloud.region,
                "account_id": cloud.account_id,
                "environment": cloud.environment(),
            }
        )
    )
    plugin = folder / "home" / "plugins" / f"resource-aws-v{SDK_VERSION}" / "pulumi-resource-aws"
    plugin.parent.mkdir(parents=True)
    call = f'-m infra.local.pulumi_provider --cloud "{description}" --version {SDK_VERSION}'
    plugin.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {call} "$@"\n')
    plugin.chmod(0o700)
    work = folder / "work"
    # The CLI writes its salt into a stack's file.
    shutil.copytree(ROOT / "tenants", work / "tenants")
    shutil.copy(ROOT / "Pulumi.yaml", work)
    (work / "infra" / "stacks").mkdir(parents=True)
    (folder / "state").mkdir()
    return automation.LocalWorkspaceOptions(
        work_dir=str(work),
        pulumi_home=str(folder / "home"),
        env_vars={
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "for this test only",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        },
    )


def main() -> None:
    """Start the cloud, take the steps, answer."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    with EmbeddedCloud(folder / "cloud") as cloud:
        answers = list(by_cli(folder, cloud) if sys.argv[2] == "cli" else by_engine(folder, cloud))
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
