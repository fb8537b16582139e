"""The examples are devices that run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cedarfleet_device
import pytest
from cedarfleet_device import CommandFailedError, Result
from cedarfleet_device.__main__ import maker_functions
from cedarfleet_device.commands.handlers import Command
from cedarfleet_device.installs.installation import Installation
from cedarfleet_device.installs.limits import InstallConfig
from cedarfleet_device.installs.record import InstallFiles
from cedarfleet_device.wire import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = Path(cedarfleet_device.__file__).parents[2] / "examples"


@dataclass
class Registry:
    """Takes handlers as an agent does."""

    handlers: dict[str, Callable[[Command], Any]] = field(default_factory=dict[str, Any])

    def command(self, name: str, **_: object) -> Callable[[Any], Any]:
        """Keep the decorated function."""

        def keep(function: Any) -> Any:
            self.handlers[name] = function
            return function

        return keep

    def send(self, name: str, **arguments: object) -> Any:
        """Run a handler as the agent would."""
        command = Command(
            command_id="0",
            name=name,
            arguments=arguments,
            issued_at=0,
            expires_at=0,
            report=lambda _: None,
        )
        return self.handlers[name](command)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder that the agent was started in."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def loaded(name: str) -> tuple[Registry, dict[str, Any]]:
    """An example as `cedarfleet-device run --handlers` reads it."""
    functions, agent = maker_functions(EXAMPLES / name), Registry()
    functions["register"](agent)
    return agent, functions


def test_the_sensor_measures_and_keeps_its_interval(folder: Path):
    """A wrong interval fails with the reason, and the former one stays."""
    agent, _ = loaded("sensor.py")
    assert agent.send("run-diagnostics")["free_bytes"] > 0
    assert agent.send("set-parameters", interval_seconds=5) == {"interval_seconds": 5}
    with pytest.raises(CommandFailedError, match="must be 1 to 3600"):
        agent.send("set-parameters", interval_seconds="5")
    assert (folder / "interval").read_text() == "5"


def test_the_press_runs_and_reboots_last():
    """A run of few strokes ends, a wrong number does not begin, a reboot waits for its success."""
    agent, _ = loaded("press.py")
    assert agent.send("set-parameters", strokes=2) == {"strokes": 2}
    with pytest.raises(CommandFailedError, match="above 0"):
        agent.send("set-parameters", strokes=0)
    assert agent.send("stop") == {"stopped": True}
    told = agent.send("reboot")
    assert isinstance(told, Result)
    assert told.afterwards is not None


def test_the_gateway_goes_back_from_what_does_not_work(folder: Path):
    """A version whose self-test fails gives way to the one before; one that works stays."""
    _, functions = loaded("gateway.py")

    def offer(version: str, program: str) -> str:
        archive = folder / "app.tar"
        with tarfile.open(archive, "w") as packed:
            content = f"#!/bin/sh\n{program}\n".encode()
            app = tarfile.TarInfo("app")
            app.size, app.mode = len(content), 0o755
            packed.addfile(app, io.BytesIO(content))
        manifest = Manifest(
            name="app.tar",
            size=archive.stat().st_size,
            sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
            package="app",
            version=version,
        )
        installation = Installation(
            functions["installer"],
            files=InstallFiles(folder),
            limits=InstallConfig(confirm_seconds=0.05),
            online=lambda: True,
            clock=lambda: 0,
        )
        outcome = installation.carry_out(
            version,
            manifest,
            fetch=lambda: archive,
            tell=lambda _: None,
            cancelled=lambda: False,
        )
        assert outcome is not None
        installation.ended(version)
        return outcome.status

    assert offer("1.0", "exit 0") == "SUCCEEDED"
    assert offer("1.1", "exit 1") == "FAILED"
    assert (folder / "current").readlink().name == "1.0"
    assert offer("1.2", "exit 0") == "SUCCEEDED"
    assert {each.name for each in (folder / "versions").iterdir()} == {"1.0", "1.2"}
    assert json.loads((folder / "packages.json").read_text()) == {"app": "1.2"}
