"""The wheel on the oldest and the newest Python that devices have, against the embedded cloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cedarfleet_device
import pytest
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from tests.device_sdk.devices import Observer, Tenant

DISTRIBUTION = Path(cedarfleet_device.__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
WHEEL = "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); b.build_wheel(sys.argv[2])"


def done(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=240, check=False
    )


def interpreter(version: str) -> str | None:
    """One of pyenv, whose names on the path need not run, or one on the path."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_a_device_works_on_its_python(
    tenant: Tenant, observer: Observer, tmp_path: Path, version: str
):
    """The wheel installs; doctor, a command and a damaged store end as on every other."""
    if (found := interpreter(version)) is None:
        pytest.skip(f"install Python {version} (on the path, or by pyenv) to try devices on it")
    made = done(sys.executable, "-c", WHEEL, DISTRIBUTION, tmp_path)
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    python = tmp_path / "env" / "bin" / "python"
    for step in (
        ("venv", "--quiet", "--python", found, tmp_path / "env"),
        ("pip", "install", "--quiet", "--system-certs", "--python", python, wheel),
    ):
        installed = done(UV, *step)
        assert installed.returncode == 0, installed.stderr
    assert done(python, "--version").stdout.startswith(f"Python {version}.")
    device = replace(tenant.device(tmp_path / "device"), python=str(python))
    looked = done(*device.arguments("doctor"))
    assert looked.returncode == 0, looked.stdout + looked.stderr
    with device.run("\n    agent.command('echo')(lambda command: command.arguments)\n") as agent:
        agent.await_event("mqtt.subscribed", seconds=60)
        echo = tenant.send(new_command(device.thing, "echo", arguments={"a": 1}))
        final = observer.final(echo)
        assert (final.state, final.detail) == (CommandState.SUCCEEDED, {"a": 1})
        assert agent.stop() == 0
    state = device.folder / "state"
    (state / "agent.db").write_bytes(b"SQLite format 3\0" + bytes(4000))
    refused = done(*device.arguments("run"))
    assert refused.returncode == 1
    assert "is damaged" in refused.stderr
    key = tmp_path / "release.key"
    assert done(python, "-m", "cedarfleet_device.trust.signing", "key", key).returncode == 0
