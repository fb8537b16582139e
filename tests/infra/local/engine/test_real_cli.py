"""The real `pulumi` CLI and the in-process engine do the same with the same program.

Runs where `pulumi` is on PATH (https://www.pulumi.com/docs/install/) and skips elsewhere. The CLI
gets a private home with our plugin in it, and a state of its own in a temporary folder; it reaches
no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.engine import DeploymentFailedError
from infra.local.engine.urns import name_of
from tests.infra.local.engine.cli_driver import PROGRAMS
from tests.infra.local.engine.folder_cloud import FolderCloud

if TYPE_CHECKING:
    from infra.local.engine import Result
    from tests.infra.local.engine.conftest import StoreProject

pytestmark = [
    pytest.mark.skipif(
        shutil.which("pulumi") is None,
        reason="the real CLI is not on PATH: install pulumi to run it",
    ),
    pytest.mark.timeout(240),
]


def by_cli(folder: Path, steps: list[list[Any]]) -> list[dict[str, Any]]:
    """Take the steps with the real CLI; its cloud is `folder/boxes`."""
    (folder / "boxes").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    driver = Path(__file__).with_name("cli_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(folder), json.dumps(steps)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def operations(result: Result) -> dict[str, str]:
    """Operation by URN."""
    return {change.urn: change.op.value for change in result.changes}


def by_engine(store: StoreProject, step: list[Any]) -> Result:
    """Take one step with the in-process engine."""
    verb, name, *arguments = step
    return getattr(store(partial(PROGRAMS[name], *arguments)), verb)("dev")


def test_both_engines_take_the_same_steps_to_the_same_end(
    store: StoreProject, tmp_path: Path
) -> None:
    """From preview to destroy, with a cascade: equal operations and outputs."""
    steps: list[list[Any]] = [
        ["preview", "shelf", "oak", 1],
        ["up", "shelf", "oak", 1],
        ["up", "shelf", "oak", 1],
        ["up", "shelf", "oak", 2],
        ["preview", "shelf", "elm", 2],
        ["up", "shelf", "elm", 2],
        ["up", "chain"],
        ["destroy", "nothing"],
    ]
    for step, theirs in zip(steps, by_cli(tmp_path / "cli", steps), strict=True):
        ours = by_engine(store, step)
        assert theirs["error"] == "", step
        assert operations(ours) == theirs["operations"], step
        if step[0] == "up":
            assert ours.outputs == theirs["outputs"], step
            assert sorted(ours.secret_outputs) == theirs["secret"], step
    assert FolderCloud(tmp_path / "cli" / "boxes").boxes() == store.cloud.boxes() == {}


def test_the_cli_takes_over_a_stack_of_the_engine(store: StoreProject) -> None:
    """The CLI imports the engine's state, opens its secrets, finds no change, destroys it all."""
    ours = by_engine(store, ["up", "shelf", "oak", 1])
    steps = [
        ["import", str(store.root / "state")],
        ["preview", "shelf", "oak", 1],
        ["destroy", "nothing"],
    ]
    preview, destroy = by_cli(store.root, steps)
    assert (preview["operations"], preview["error"]) == ({}, "")
    assert (preview["outputs"], preview["secret"]) == (ours.outputs, sorted(ours.secret_outputs))
    assert destroy["error"] == ""
    assert store.cloud.boxes() == {}


def test_both_engines_resume_after_a_failure(store: StoreProject, tmp_path: Path) -> None:
    """A create that is refused leaves the same behind: the next run makes the same rest."""
    failed, resumed = by_cli(
        tmp_path / "cli",
        [["refuse", "second"], ["up", "chain"], ["allow", "second"], ["up", "chain"]],
    )
    refusal = store.root / "boxes" / "refuse-second"
    refusal.touch()
    with pytest.raises(DeploymentFailedError, match="not allowed to make second"):
        by_engine(store, ["up", "chain"])
    refusal.unlink()
    assert "not allowed to make second" in failed["error"]
    ours = operations(by_engine(store, ["up", "chain"]))
    assert ours == resumed["operations"]
    assert [name_of(urn) for urn in ours] == ["second"]
