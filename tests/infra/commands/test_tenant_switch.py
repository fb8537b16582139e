"""The line `suspended: true` comes into a tenant's file and leaves it; all else stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from infra.__main__ import main
from infra.commands.file_lines import marked
from tests.infra.conftest import ROOT, copy_project

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((ROOT / "tenants").glob("Pulumi.*.yaml"))
TENANTS = [file for file in FILES if file.name != "Pulumi.platform.yaml"]


@pytest.mark.parametrize("file", TENANTS, ids=lambda file: file.name)
def test_a_mark_comes_and_goes_without_a_trace(file: Path) -> None:
    """The file is told as suspended by its YAML, and is byte by byte what it was afterwards."""
    text = file.read_text()
    suspended = marked(text, "suspended", on=True)
    assert yaml.safe_load(suspended)["config"]["cedarfleet:tenant"]["suspended"] is True
    assert marked(suspended, "suspended", on=True) == suspended
    assert marked(suspended, "suspended", on=None) == text


def test_a_line_of_a_person_is_replaced() -> None:
    """One that says the other, with a comment of its own."""
    text = 'config:\n  "cedarfleet:tenant":  # x\n    suspended: false  # for now\n    kinds: []\n'
    suspended = marked(text, "suspended", on=True)
    assert suspended == 'config:\n  "cedarfleet:tenant":  # x\n    suspended: true\n    kinds: []\n'
    assert marked(text, "suspended", on=None).count("suspended") == 0


def test_a_tenant_without_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked of any cloud."""
    root = copy_project(tmp_path)
    assert main(["tenants", "suspend", "initech", "--reason", "unpaid"], root=root) == 1
    assert "Pulumi.initech.yaml: no such file; there are: acme, globex" in capsys.readouterr().err
