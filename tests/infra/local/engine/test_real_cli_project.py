"""The real `pulumi` CLI deploys this project's own program just as the engine does.

Runs where `pulumi` is on PATH (https://www.pulumi.com/docs/install/) and skips elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.engine.urns import type_chain
from tests.infra.local.engine.project_driver import ROOT, STEPS

pytestmark = [
    pytest.mark.skipif(
        shutil.which("pulumi") is None,
        reason="the real CLI is not on PATH: install pulumi to run it",
    ),
    pytest.mark.timeout(280),
]


def test_the_project_deploys_the_same_under_the_real_cli(tmp_path: Path) -> None:
    """Platform and a tenant: equal operations, nothing on a second up, equal outputs."""
    answers: list[list[dict[str, Any]]] = []
    for how in ("cli", "engine"):
        done = subprocess.run(
            [
                sys.executable,
                str(Path(__file__).with_name("project_driver.py")),
                str(tmp_path / how),
                how,
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    for step, theirs, ours in zip(STEPS, *answers, strict=True):
        if step[1] == "destroy":
            assert "protect" in theirs["error"], step
            assert "protected" in ours["error"], step
            continue
        assert (theirs["error"], ours["error"]) == ("", ""), step
        assert _without_references(ours) == _without_references(theirs), step
        if step[1] == "preview":
            assert len(ours["operations"]) > 50, step
        if step[1] == "up":
            assert (ours["outputs"], ours["secret"]) == (theirs["outputs"], theirs["secret"]), step
    assert _without_references(answers[1][2]) == _without_references(answers[1][5]) == {}


def _without_references(answer: dict[str, Any]) -> dict[str, str]:
    """The CLI reads a stack reference in every run; our engine only if its outputs are new."""
    operations: dict[str, str] = answer["operations"]
    return {
        urn: op
        for urn, op in operations.items()
        if type_chain(urn) != "pulumi:pulumi:StackReference"
    }
