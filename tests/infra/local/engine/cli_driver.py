"""Drives the real `pulumi` CLI: `cli_driver.py FOLDER STEPS`, with the tests' programs inside.

STEPS is JSON: a list of `[verb, program, arguments]`, of `["refuse", name]` and `["allow", name]`
for the cloud, or of `["import", folder]`, the state folder of the in-process engine, whose stack
`dev` the CLI then takes over. The answer is one JSON line on stdout: for each verb its operations
by URN, its outputs, which are secret, and any error. The Automation API leaves event loops and
sockets open after a failure; they end with this process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi import automation

from tests.infra.local.engine import folder_cloud
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[4]


def shelf(material: str, size: int, *, label: bool = True) -> None:
    """A component with a box of fixed name and what depends on it; a drawn name; a secret."""

    class Shelf(pulumi.ComponentResource):
        def __init__(self, name: str) -> None:
            super().__init__("store:index:Shelf", name)
            under = pulumi.ResourceOptions(parent=self, additional_secret_outputs=["key"])
            self.box = Box(f"{name}-box", under, name="fixed", material=material)
            Box(f"{name}-inner", under, name="inner", inside=self.box.arn)
            self.register_outputs({})

    made = Shelf("shelf")
    drawn = Box("drawn", material=material, size=size, code=pulumi.Output.secret("sesame"))
    if label:
        Box("label", name="label", of=drawn.arn)
    pulumi.export("arn", made.box.arn)
    pulumi.export("key", made.box.key)


def chain() -> None:
    """Two boxes, one after the other."""
    Box("second", name="second", of=Box("first", name="first").arn)


def nothing() -> None:
    """No resource."""


PROGRAMS: Final[dict[str, Callable[..., None]]] = {
    "shelf": shelf,
    "chain": chain,
    "nothing": nothing,
}


def options(folder: Path) -> automation.LocalWorkspaceOptions:
    """A private home with the provider of `box`, and a state, below `folder`; no network."""
    plugin = folder / "home" / "plugins" / "resource-box-v1.0.0" / "pulumi-resource-box"
    plugin.parent.mkdir(parents=True)
    script = Path(folder_cloud.__file__)
    call = f'PYTHONPATH="{_ROOT}" exec "{sys.executable}" "{script}" "{folder / "boxes"}"'
    plugin.write_text(f'#!/bin/sh\n{call} "$@"\n')
    plugin.chmod(0o700)
    for name in ("backend", "work"):
        (folder / name).mkdir()
    return automation.LocalWorkspaceOptions(
        work_dir=str(folder / "work"),
        pulumi_home=str(folder / "home"),
        env_vars={
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "for this test only",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        },
    )


def run(stack: automation.Stack, verb: str) -> dict[str, Any]:
    """Run one verb; the parts of a replacement are one, default providers are left out."""
    operations: dict[str, str] = {}
    error = ""

    def take(event: automation.EngineEvent) -> None:
        found: Any = event.resource_pre_event
        if found is None or "providers:box::default" in found.metadata.urn:
            return
        op = str(getattr(found.metadata.op, "value", found.metadata.op))
        if op != "same":
            operations[found.metadata.urn] = "replace" if "replace" in op else op

    try:
        getattr(stack, verb)(on_event=take)
    except automation.CommandError as raised:
        error = str(raised)
    outputs = stack.outputs()
    return {
        "operations": operations,
        "outputs": {key: item.value for key, item in outputs.items()},
        "secret": sorted(key for key, item in outputs.items() if item.secret),
        "error": error,
    }


def take_over(state: Path, opts: automation.LocalWorkspaceOptions) -> None:
    """Import the engine's state, as `pulumi stack import` does, under its own passphrase."""
    passphrase = json.loads((state / "passphrase.json").read_text())["passphrase"]
    opts.env_vars = {**(opts.env_vars or {}), "PULUMI_CONFIG_PASSPHRASE": passphrase}
    document = json.loads((state / "stacks" / "store" / "dev.json").read_text())
    stack = automation.create_or_select_stack(
        stack_name="dev", project_name="store", program=nothing, opts=opts
    )
    stack.import_stack(automation.Deployment(**document))


def main() -> None:
    """Take the steps in turn."""
    folder = Path(sys.argv[1])
    opts = options(folder)
    answers: list[dict[str, Any]] = []
    for verb, name, *arguments in json.loads(sys.argv[2]):
        marker = folder / "boxes" / f"refuse-{name}"
        if verb == "refuse":
            marker.touch()
        elif verb == "allow":
            marker.unlink()
        elif verb == "import":
            take_over(Path(name), opts)
        else:
            program = PROGRAMS[name]
            stack = automation.create_or_select_stack(
                stack_name="dev",
                project_name="store",
                program=lambda program=program, arguments=arguments: program(*arguments),
                opts=opts,
            )
            answers.append(run(stack, verb))
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
