"""The real `pulumi` CLI and the in-process engine do the same with the same program and the same handlers.

Runs where `pulumi` is on PATH (https://www.pulumi.com/docs/install/) and skips elsewhere. The CLI gets a private home
with our plugin in it, and a state of its own in a temporary folder; it reaches no network.
"""

from __future__ import annotations

import gc
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi import automation

from infra.local.engine import DeploymentFailedError
from infra.local.engine.urns import name_of, type_chain
from tests.infra.local.engine.folder_cloud import Box, FolderCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.local.engine.conftest import Workshop

pytestmark = [
    pytest.mark.skipif(
        shutil.which("pulumi") is None, reason="the real CLI is not on PATH: install pulumi to run this"
    ),
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the Automation API's event loops
]
_ROOT = Path(__file__).parents[4]
_Steps = dict[str, str]


class _Cli:
    """The real CLI with the plugin of `box`, and a cloud of its own."""

    def __init__(self, folder: Path) -> None:
        self.cloud = FolderCloud(folder / "boxes")
        self.cloud.folder.mkdir(parents=True)
        plugin = folder / "home" / "plugins" / "resource-box-v1.0.0" / "pulumi-resource-box"
        plugin.parent.mkdir(parents=True)
        script = Path(__file__).with_name("box_plugin.py")
        plugin.write_text(
            f'#!/bin/sh\nPYTHONPATH="{_ROOT}" exec "{sys.executable}" "{script}" "{self.cloud.folder}" "$@"\n'
        )
        plugin.chmod(0o700)
        (folder / "state").mkdir()
        (folder / "work").mkdir()
        self._options = automation.LocalWorkspaceOptions(
            work_dir=str(folder / "work"),
            pulumi_home=str(folder / "home"),
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "for this test only",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            },
        )

    def stack(self, program: Callable[[], None]) -> automation.Stack:
        """The stack `dev` for a program."""
        return automation.create_or_select_stack(
            stack_name="dev", project_name="store", program=program, opts=self._options
        )


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> _Cli:
    """One home and one state for the module."""
    return _Cli(tmp_path_factory.mktemp("cli"))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    """What the Automation API leaves unclosed is collected under this module's filter, not in another test."""
    yield
    gc.collect()


def program(material: str, size: int, *, label: bool = True) -> None:
    """A component with a box of a fixed name and what hangs on it, a box of a drawn name, a secret."""

    class Shelf(pulumi.ComponentResource):
        def __init__(self, name: str) -> None:
            super().__init__("store:index:Shelf", name)
            under = pulumi.ResourceOptions(parent=self, additional_secret_outputs=["key"])
            self.box = Box(f"{name}-box", under, name="fixed", material=material)
            Box(f"{name}-inner", under, name="inner", inside=self.box.arn)
            self.register_outputs({})

    shelf = Shelf("shelf")
    drawn = Box("drawn", material=material, size=size, code=pulumi.Output.secret("sesame"))
    if label:
        Box("label", name="label", of=drawn.arn)
    pulumi.export("arn", shelf.box.arn)
    pulumi.export("key", shelf.box.key)


def by_cli(stack: automation.Stack, verb: str) -> _Steps:
    """Operation of each resource that changed, as the CLI's engine says; halves of a replacement are one."""
    steps: _Steps = {}

    def take(event: automation.EngineEvent) -> None:
        found: Any = event.resource_pre_event
        if found is None or "providers:box::default" in found.metadata.urn:
            return
        op = str(getattr(found.metadata.op, "value", found.metadata.op))
        op = "replace" if "replace" in op else op
        if op != "same":
            steps[found.metadata.urn] = op

    getattr(stack, verb)(on_event=take)
    return steps


def test_both_engines_take_the_same_steps_to_the_same_end(workshop: Workshop, cli: _Cli) -> None:
    """Preview, up, no-op, update, replacement with cascade, removal, destroy: operations and outputs are equal."""
    sequence: list[tuple[str, str, Callable[[], None]]] = [
        ("preview", "new", lambda: program("oak", 1)),
        ("up", "new", lambda: program("oak", 1)),
        ("up", "no-op", lambda: program("oak", 1)),
        ("up", "update", lambda: program("oak", 2)),
        ("preview", "replace", lambda: program("elm", 2)),
        ("up", "replace", lambda: program("elm", 2)),
        ("up", "remove", lambda: program("elm", 2, label=False)),
    ]
    for verb, what, inline in sequence:
        stack = cli.stack(inline)
        theirs = by_cli(stack, verb)
        ours = getattr(workshop(inline), verb)("dev")
        assert {change.urn: change.op.value for change in ours.changes} == theirs, (verb, what)
        if verb == "up":
            outputs = stack.outputs()
            assert {key: item.value for key, item in outputs.items()} == ours.outputs
            assert {key for key, item in outputs.items() if item.secret} == ours.secret_outputs
    assert _without_drawn(cli.cloud) == _without_drawn(workshop.cloud)
    theirs = by_cli(cli.stack(lambda: None), "destroy")
    ours = workshop(lambda: None).destroy("dev")
    assert {change.urn: change.op.value for change in ours.changes} == theirs
    assert cli.cloud.boxes() == workshop.cloud.boxes() == {}


def test_both_engines_resume_after_a_failure(workshop: Workshop, cli: _Cli) -> None:
    """A create that is refused leaves the same state behind: the next run makes the same rest."""
    steps: list[_Steps] = []

    def chain() -> None:
        first = Box("first", name="first")
        Box("second", name="second", of=first.arn)

    for cloud in (cli.cloud, workshop.cloud):
        (cloud.folder / "refuse-second").touch()
    with pytest.raises(automation.CommandError, match="not allowed to make second"):
        cli.stack(chain).up()
    with pytest.raises(DeploymentFailedError, match="not allowed to make second"):
        workshop(chain).up("dev")
    for cloud in (cli.cloud, workshop.cloud):
        (cloud.folder / "refuse-second").unlink()
    steps.append(by_cli(cli.stack(chain), "up"))
    steps.append({change.urn: change.op.value for change in workshop(chain).up("dev").changes})
    assert steps[0] == steps[1]
    assert [name_of(urn) for urn in steps[0] if type_chain(urn) == "box:index:Box"] == ["second"]
    cli.stack(chain).destroy()


def _without_drawn(cloud: FolderCloud) -> dict[str, Any]:
    return {name.partition("-")[0]: {**box, "name": "", "of": ""} for name, box in cloud.boxes().items()}
