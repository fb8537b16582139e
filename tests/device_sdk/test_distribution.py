"""The wheel, installed alone in an empty environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cedarfleet_device
import pytest

DISTRIBUTION = Path(cedarfleet_device.__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*arguments: str | Path, cwd: Path) -> str:
    """Run a program that must succeed; its output."""
    done = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=240, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it asks for, and nothing else; its ``python``."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (
        "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); b.build_wheel(sys.argv[2])"
    )
    run(sys.executable, "-c", build, DISTRIBUTION, folder, cwd=folder)
    (wheel,) = folder.glob("cedarfleet_device-*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    installing = ("pip", "install", "--quiet", "--system-certs", "--compile-bytecode")
    run(UV, *installing, "--python", python, wheel, cwd=folder)
    return python


def test_it_brings_nothing_of_the_cloud_side(environment: Path):
    """Only the runtime of AWS IoT comes along: no boto3, no Pulumi, no Litestar."""
    listed = run(
        UV, "pip", "list", "--python", environment, "--format", "freeze", cwd=environment.parent
    )
    assert {line.split("==", 1)[0] for line in listed.split()} == {
        "awscrt",
        "awsiotsdk",
        "cedarfleet-device",
    }


def test_it_runs_and_is_small(environment: Path):
    """The program answers, the types are there, and all that it brings takes 16 MB, or 1.6 more."""
    program = environment.with_name("cedarfleet-device")
    assert "enroll" in run(program, "--help", cwd=environment.parent)
    where = run(
        environment,
        "-c",
        "import cedarfleet_device, os; print(os.path.dirname(cedarfleet_device.__file__))",
        cwd=environment.parent,
    )
    folder = Path(where.strip())
    assert (folder / "py.typed").is_file()
    assert (folder / "device.example.toml").is_file()
    assert (folder / "cedarfleet-device.service").is_file()
    brought = [folder.with_name(name) for name in ("awscrt", "awsiot", "cedarfleet_device")]
    brought += folder.parent.glob("_awscrt*")
    files = [each for place in brought for each in (place, *place.rglob("*")) if each.is_file()]
    size = sum(each.stat().st_size for each in files)
    print(f"{size / 1e6:.1f} MB, compiled files with them")
    assert 10_000_000 < size < 17_600_000


def test_a_machine_without_the_runtime_is_told_so(environment: Path, tmp_path: Path):
    """Where awscrt has no wheel and is missing, program and import say what is, in words."""
    # An empty module of that name stands in front of the installed one, as a broken build would.
    (tmp_path / "awscrt").mkdir()
    (tmp_path / "awscrt" / "__init__.py").write_text("raise ImportError('no', name='_awscrt')")
    for words in (
        [str(environment.with_name("cedarfleet-device")), "status"],
        [str(environment), "-c", "from cedarfleet_device import Agent"],
    ):
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert "the AWS common runtime cannot be loaded on this machine" in last
        assert "has wheels for x86_64 and aarch64 (glibc and musl)" in last
