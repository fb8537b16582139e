"""`python -m infra.local.stacks preview` of a tenant: what would change, and for whom."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.local.stacks import main
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.infra.conftest import Project

FORBID = """// For the test.
@id("managers-stop-nothing")
forbid (
  principal in Fleet::Group::"managers",
  action == Fleet::Action::"StopDevice",
  resource
);
"""


@pytest.fixture(scope="module")
def places(project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments that lead the command line to the stamped cloud and its state."""
    folder = tmp_path_factory.mktemp("cedarfleet")
    (folder / "stacks").symlink_to(project.root / "state")
    cloud = project.cloud
    described = {
        key: getattr(cloud, key) for key in ("endpoint_url", "region", "account_id", "environment")
    }
    (folder / "cloud.json").write_text(json.dumps(described))
    return ["--project", str(project.root), "--state", str(folder)]


@pytest.fixture
def forbid(project: Project) -> Iterator[Path]:
    """A policy of acme's that is not stamped."""
    file = project.root / "tenants" / "acme" / "policies" / "managers-stop-nothing.cedar"
    file.write_text(FORBID)
    yield file
    file.unlink()


def test_a_preview_says_which_decisions_flip(places: list[str], forbid: Path) -> None:
    """The table follows: managers would no longer stop devices; it concerns nobody else."""
    command = [sys.executable, "-m", "infra.local.stacks", "preview", "-s", "acme", *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    resources, who, decisions = done.stdout.split("\n\n", 2)
    assert (
        " + create  aws:verifiedpermissions/policy:Policy policies-policy-managers-stop-nothing"
        in resources
    )
    base = len(list((ROOT / "policies" / "static").iterdir()))
    assert who.startswith(f"Who may do what in acme: {base} policies of every tenant")
    assert "\n  forbid managers-stop-nothing: For the test." in who
    assert '\n  grant firmware-hall-1: firmware-for-zone for Fleet::Group::"it-staff" on ' in who
    lines = decisions.splitlines()
    assert lines[0].endswith("decisions flip")
    assert lines[2].split() == ["who", "when", "action", "on", "deployed", "files"]
    rows = lines[3 : lines.index("", 3)]
    assert rows
    for row in rows:
        assert "manager" in row, row
        assert "StopDevice" in row, row
    assert lines[-2:] == ["Steps, in this order:", "  create forbid managers-stop-nothing"]


def test_a_preview_without_other_policies_says_so(
    places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is deployed and the files agree."""
    assert main(["preview", "-s", "acme", *places]) == 0
    assert capsys.readouterr().out.endswith("\n\nThe store holds what the files say.\n")


@pytest.mark.parametrize("stack", ["platform", "pied-piper"])
def test_there_is_nothing_to_compare(
    stack: str, places: list[str], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform has no policies, and a tenant that was never stamped no store."""
    new = project.root / "tenants" / "Pulumi.pied-piper.yaml"
    new.write_text((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    try:
        assert main(["preview", "-s", stack, *places]) == 0
    finally:
        new.unlink()
    said = capsys.readouterr().out
    assert "would be: " in said
    assert "The store holds" not in said
    assert "decisions flip" not in said
    assert ("Who may do what in pied-piper" in said) is (stack == "pied-piper")


def test_a_store_that_is_gone_is_said(
    places: list[str], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preview that cannot tell the decisions fails and names the store, and omits nothing."""
    path = project.root / "state" / "stacks" / "cedarfleet" / "globex.json"
    before = path.read_text()
    store = project.engine.outputs("globex").outputs["policy_store_id"]
    path.write_text(before.replace(f'"{store}"', '"PSGONE"'))
    try:
        assert main(["preview", "-s", "globex", *places]) == 1
    finally:
        path.write_text(before)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "preview globex: cannot read what is deployed: policy store `PSGONE`: "
    )
