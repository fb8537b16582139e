"""The program's folder under the real CLI's rules: `main: infra/` puts that folder itself on the module path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_platform_package_hides_no_module_of_the_standard_library() -> None:
    """`import platform` stays Python's own, since the SDK has loaded it before the folder comes first on the path."""
    program = (
        "import sys, pulumi; sys.path.insert(0, 'infra'); import platform, infra.platform;"
        "print(platform.python_version(), infra.platform.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        sys.version.split()[0],
        str(ROOT / "infra" / "platform" / "__init__.py"),
    ]


def test_the_project_file_asks_nothing_of_every_stack() -> None:
    """A key without a value would be required of tenants and platform alike; a plugin path would hijack real runs."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())

    assert project["stackConfigDir"] == "tenants"
    assert project["main"] == "infra/"
    assert "plugins" not in project
    assert all("value" in entry for entry in project["config"].values())
    assert project["config"]["pulumi:disable-default-providers"]["value"] == ["aws"]
