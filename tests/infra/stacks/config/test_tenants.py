"""What a tenant's stack file asks for, read without a run of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import of_tenant
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PLATFORM = "config:\n  aws:region: eu-central-1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with globex's file, without policies of its own."""
    (tmp_path / "tenants").mkdir()
    text = (ROOT / "tenants" / "Pulumi.globex.yaml").read_text()
    without = text.replace("    policies: globex/policies\n", "")
    (tmp_path / "tenants" / "Pulumi.globex.yaml").write_text(without)
    return tmp_path


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("aws:region: us-east-1", "must be the platform's region `eu-central-1`, is `us-east-1`"),
        ("pulumi:tags: {}", "missing"),
    ],
)
def test_another_region_than_the_platforms_is_told(root: Path, written: str, words: str) -> None:
    """By the check already, with file and key; a preview would tell it too."""
    (root / "tenants" / "Pulumi.platform.yaml").write_text(PLATFORM)
    file = root / "tenants" / "Pulumi.globex.yaml"
    assert of_tenant(root, "globex").tenant == "globex"
    file.write_text(file.read_text().replace("aws:region: eu-central-1", written))
    with pytest.raises(ConfigError) as refused:
        of_tenant(root, "globex")
    assert str(refused.value) == f"tenants/Pulumi.globex.yaml: aws:region: {words}"


def test_without_a_platforms_file_any_region_will_do(root: Path) -> None:
    """Then only what is deployed can say which one is right."""
    assert of_tenant(root, "globex").tenant == "globex"
