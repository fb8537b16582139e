"""The client's wheel, installed alone in an empty environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import cedarfleet
import pytest

DISTRIBUTION: Final = Path(cedarfleet.__file__).parents[2]
UV: Final = Path(sys.executable).with_name("uv")
OF_THE_SERVICE: Final = {"boto3", "litestar", "pulumi", "cedarpy", "cedarfleet-backend"}


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=240, check=False, cwd=cwd
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it asks for, without its parts; its ``python``."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (
        "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); b.build_wheel(sys.argv[2])"
    )
    made = run(sys.executable, "-c", build, DISTRIBUTION, folder, cwd=folder)
    assert made.returncode == 0, made.stderr
    (wheel,) = folder.glob("cedarfleet-*.whl")
    python = folder / "env" / "bin" / "python"
    for words in (
        ("venv", "--quiet", "--python", sys.executable, folder / "env"),
        ("pip", "install", "--quiet", "--system-certs", "--python", python, wheel),
    ):
        done = run(UV, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return python


def test_it_brings_nothing_of_the_service(environment: Path) -> None:
    """Neither the service, nor AWS's libraries, nor the parts that nobody asked for."""
    words = ("pip", "list", "--python", environment, "--format", "freeze")
    listed = run(UV, *words, cwd=environment.parent).stdout
    names = {line.split("==", 1)[0] for line in listed.split()}
    assert {"cedarfleet", "httpx", "attrs", "click", "rich"} <= names
    assert names.isdisjoint(OF_THE_SERVICE | {"mcp", "cryptography"})


def test_it_runs_and_names_the_parts_it_lacks(environment: Path) -> None:
    """The command line answers; what needs a part says how to install it."""
    program, here = environment.with_name("cedarfleet"), environment.parent
    assert "rollout" in run(program, "--help", cwd=here).stdout
    lacking = run(program, "mcp", cwd=here)
    assert lacking.returncode == 6
    assert "pip install cedarfleet[mcp]" in lacking.stderr
    (here / "trail").write_text("")
    assert "cedarfleet[audit]" in run(program, "audit", "verify", "trail", cwd=here).stderr
    typed = "import cedarfleet, pathlib; print(pathlib.Path(cedarfleet.__file__).parent)"
    folder = Path(run(environment, "-c", typed, cwd=here).stdout.strip())
    assert (folder / "py.typed").is_file()
    assert (folder / "generated" / "api" / "default" / "send_command.py").is_file()
    assert not (folder / "generate.py").exists()
