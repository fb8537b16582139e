"""`python -m infra tenants new` and `invite`: a file that passes every check, and its manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from infra.__main__ import main
from infra.policies import load
from infra.stacks.config.tenants import of_tenant
from tests.infra.conftest import copy_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of one's own."""
    return copy_project(tmp_path)


def test_a_new_tenant_is_one_file_that_passes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names what was asked for, and says what to type next."""
    asked = ["tenants", "new", "orchard", "--name", "Orchard Farm", "--devices-in", "eu-central"]
    named = [*asked, "--kind", "valve", "--line", "line-north", "--tier", "starter"]
    assert main(named, root=root) == 0
    said = capsys.readouterr().out
    assert "tenants/Pulumi.orchard.yaml is written" in said
    assert "python -m infra tenants invite orchard" in said
    file = root / "tenants" / "Pulumi.orchard.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=tenant.schema.json\n")
    held = yaml.safe_load(file.read_text())["config"]["cedarfleet:tenant"]
    assert "&" not in file.read_text()  # no YAML name that a reader would have to follow
    assert held["tier"] == "starter"
    assert (held["display_name"], held["kinds"], held["lines"]) == (
        "Orchard Farm",
        ["valve"],
        {"line-north": "Line north"},
    )
    assert load(root / "policies", of_tenant(root, "orchard")).static
    assert main([*asked], root=root) == 1
    assert "tenants/Pulumi.orchard.yaml: is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["orchard", "--devices-in", "eu-central"], "--name is missing"),
        (["orchard", "--name", "Orchard"], "--devices-in is missing"),
        (["No Id", "--name", "x", "--devices-in", "eu"], "`No Id` is no tenant id"),
        (["no_id"], "`no_id` is no tenant id"),  # before what is missing is asked for
        (
            ["orchard", "--name", "x", "--devices-in", "eu", "--tier", "gold"],
            "tier: `gold` is no tier of tenants/Pulumi.platform.yaml; there are: `starter`",
        ),
        (["acme"], "tenants/Pulumi.acme.yaml: is there already"),
        (
            ["orchard", "--name", "x", "--devices-in", "eu", "--line", "No Line"],
            "must be lower-case words",
        ),
    ],
)
def test_what_is_wrong_leaves_no_file(
    arguments: list[str], words: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody can be asked, what is missing is named; a file that fails is taken away."""
    before = sorted(path.name for path in (root / "tenants").iterdir())
    assert main(["tenants", "new", *arguments], root=root) == 1
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in (root / "tenants").iterdir()) == before


def test_nobody_is_invited_into_an_unknown_group(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The groups of the tenant are named; nothing is asked of any cloud."""
    asked = ["tenants", "invite", "globex", "ana@globex.example", "--group", "kings"]
    assert main(asked, root=root) == 1
    assert "--group: `kings` is none of globex's: " in capsys.readouterr().err
