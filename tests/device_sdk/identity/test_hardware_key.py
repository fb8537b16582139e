"""A device whose private key is in a token of SoftHSM2, which stands for a chip."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import Observer, new_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.device_sdk.devices import Device, Tenant

PROGRAM = shutil.which("softhsm2-util")
PIN = "240817"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of the test's own.

    Attributes:
        module: the PKCS #11 library.
        environment: in which it finds the token.
        folder: of PIN and keys.
    """

    module: str
    environment: Mapping[str, str]
    folder: Path

    def take(self, key_file: Path, label: str) -> None:
        """Move a key into the token: its file is gone."""
        self.run("--import", str(key_file), "--token", "press", "--label", label, "--id", "0a1b")
        key_file.unlink()

    def run(self, *words: str) -> None:
        """SoftHSM's own program."""
        done = subprocess.run(
            [str(PROGRAM), *words, "--pin", PIN],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def settings(self, changed: Mapping[str, str]) -> dict[str, Any]:
        """Table ``[hardware_key]``."""
        pin = self.folder / "pin"
        pin.write_text(f"{PIN}\n")
        pin.chmod(0o600)
        table = {"library": self.module, "token": "press", "label": "device", "pin_file": str(pin)}
        return {f"hardware_key.{key}": value for key, value in {**table, **changed}.items()}


@pytest.fixture
def token(tmp_path: Path) -> Token:
    """An empty token, label `press`."""
    module = next((each for each in MODULES if Path(each).exists()), None)
    if PROGRAM is None or module is None:
        pytest.skip("install softhsm2 (Debian package of that name) to test keys in hardware")
    folder = tmp_path / "token"
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    made = Token(
        module=module,
        environment={"SOFTHSM2_CONF": str(folder / "softhsm2.conf")},
        folder=folder,
    )
    made.run("--init-token", "--free", "--label", "press", "--so-pin", PIN)
    return made


def registered(
    tenant: Tenant, chip: Token, folder: Path, changed: Mapping[str, str] | None = None
) -> Device:
    """A device whose key is in the token and nowhere else."""
    device = tenant.device(folder, settings=chip.settings(changed or {}))
    chip.take(folder / "device.key", "device")
    return replace(device, environment=chip.environment)


def doctor(device: Device) -> subprocess.CompletedProcess[str]:
    """What it says of a device."""
    return subprocess.run(
        device.arguments("doctor"),
        env={**os.environ, **device.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_device_serves_with_a_key_that_is_in_no_file(
    tenant: Tenant, observer: Observer, token: Token, tmp_path: Path
):
    """Doctor, commands and their states work; a renewal says whose matter it is; no PIN is told."""
    device = registered(tenant, token, tmp_path / "device")
    looked = doctor(device)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    with device.run("\n    agent.command('echo')(lambda command: command.arguments)\n") as agent:
        agent.await_event("mqtt.subscribed", seconds=60)
        echo = tenant.send(new_command(device.thing, "echo", arguments={"a": 1}))
        renew = tenant.send(new_command(device.thing, "renew-key"))
        assert observer.final(echo).state is CommandState.SUCCEEDED
        refused = observer.final(renew)
        assert refused.state is CommandState.FAILED
        assert "key is in a chip" in refused.detail["reason"]
        assert agent.stop() == 0
    assert PIN not in (device.folder / "device.log").read_text() + looked.stdout
    assert not (device.folder / "device.key").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"label": "another"}, "the key of `[hardware_key]` cannot be used: are `token` and"),
        ({"token": "another"}, "the key of `[hardware_key]` cannot be used: are `token` and"),
        ({"library": "/none.so"}, "`hardware_key.library` `/none.so` is no PKCS #11 module"),
        ({"pin_file": "none"}, "cannot be read by this process's user"),
    ],
    ids=["no such key", "no such token", "no module", "no PIN"],
)
def test_what_is_wrong_with_the_key_is_told_in_words(
    tenant: Tenant, token: Token, tmp_path: Path, changed: dict[str, str], words: str
):
    """By the doctor and by the agent itself, which ends."""
    device = registered(tenant, token, tmp_path / "device", changed)
    looked = doctor(device)
    assert looked.returncode == 1
    assert words in looked.stdout
    run = subprocess.run(
        device.arguments("run"),
        env={**os.environ, **device.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert words in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        ((b"\n", 0o600), "has no PIN in its line 1"),
        ((b"1\n", 0o640), "has mode 0640, it must be 0600"),
        ((b"\xff", 0o600), "is no text"),
    ],
    ids=["empty", "readable", "no text"],
)
def test_a_pin_file_is_its_owner_s_alone(
    tenant: Tenant, token: Token, tmp_path: Path, pin: tuple[bytes, int], words: str
):
    """Who reads the PIN signs as the device."""
    device = registered(tenant, token, tmp_path / "device")
    content, mode = pin
    (token.folder / "pin").write_bytes(content)
    (token.folder / "pin").chmod(mode)
    assert words in doctor(device).stdout
