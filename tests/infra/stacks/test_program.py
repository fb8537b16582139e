"""The program's folder is on the module path, as the Pulumi CLI puts it, and hides nothing."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "infra" / "stacks"

# As the Python language host runs a program: its folder comes first, then it is run as `__main__`.
# Without an engine it ends with an error of the SDK or the config, after all of its imports.
PROGRAM = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
try:
    runpy.run_path(sys.argv[1] + "/__main__.py", run_name="__main__")
except Exception as error:
    ended = repr(error)
import platform, uuid
print(json.dumps([sys.path, platform.__file__, uuid.__file__, ended]))
"""


def test_program_sees_the_standard_library() -> None:
    """Run as the CLI runs it, `platform` and `uuid` are Python's own; `infra/` is on no path."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(FOLDER)],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    path, *modules, ended = json.loads(done.stdout)

    assert str(FOLDER) in path
    assert str(ROOT / "infra") not in path
    assert not any(Path(file).is_relative_to(ROOT / "infra") for file in modules)
    assert "aws:region: missing" in ended


def test_program_hides_no_module() -> None:
    """Nothing in the program's folder is named as a module of Python or of an installed package."""
    taken = sys.stdlib_module_names | importlib.metadata.packages_distributions().keys()
    ours = {
        path.stem
        for path in FOLDER.iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    }

    assert {"config", "platform_stack", "tenant_stack"} <= ours
    assert not ours & taken


def test_project_file_asks_nothing_of_every_stack() -> None:
    """A key without value would be asked of every stack; a plugin path would hijack real runs."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())

    assert project["stackConfigDir"] == "tenants"
    assert project["main"] == "infra/stacks/"
    assert "plugins" not in project
    assert all("value" in entry for entry in project["config"].values())
    assert project["config"]["pulumi:disable-default-providers"]["value"] == ["aws"]
