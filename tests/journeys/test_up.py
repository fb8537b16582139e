"""`make up` keeps what it made, also when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]


@contextmanager
def running(
    state_dir: Path, *, until: str = "API: "
) -> Generator[tuple[subprocess.Popen[str], list[str]]]:
    """`make up` on this state, once it has printed a line that begins with `until`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--state-dir", str(state_dir)],
        cwd=ROOT,
        env={**os.environ, "CEDARFLEET_AWS_PACE": "1"},  # as users run it
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith(until):
                break
        assert lines[-1].startswith(until), "".join(lines)
        yield process, lines
    finally:
        process.kill()
        process.communicate()


def people(state_dir: Path) -> dict[str, Any]:
    """Who can sign in with what, and where the API is; without the tokens, which are new."""
    document: dict[str, Any] = json.loads((state_dir / "people.json").read_text())
    for groups in document.values():
        if isinstance(groups, dict):
            for one in cast("dict[str, dict[str, str]]", groups).values():
                assert one.pop("token")
    return document


def listed(state_dir: Path, tenant: str) -> list[dict[str, Any]]:
    """The tenant's devices as its manager sees them."""
    document = json.loads((state_dir / "people.json").read_text())
    answer = httpx.get(
        f"{document['api']}/v1/devices",
        headers={"Authorization": f"Bearer {document[tenant]['managers']['token']}"},
        timeout=20,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    devices: list[dict[str, Any]] = answer.json()["devices"]
    return devices


def test_a_cloud_killed_at_any_time_goes_on(tmp_path: Path) -> None:
    """Killed during the set-up it makes the rest; killed later it finds all; Ctrl-C ends all."""
    with running(tmp_path, until="acme--press-07 is connected") as (process, _):
        process.send_signal(signal.SIGKILL)
    with running(tmp_path) as (process, _):
        assert [each["id"] for each in listed(tmp_path, "acme")] == ["press-07"]
        assert [each["id"] for each in listed(tmp_path, "globex")] == ["pump-03"]
        certificate = (tmp_path / "devices/acme/press-07/device.pem").read_bytes()
        kept = people(tmp_path)
        process.send_signal(signal.SIGKILL)
    with running(tmp_path) as (process, lines):
        for stack in ("platform", "acme", "globex"):
            assert any(line.startswith(f"{stack}: 0 changes") for line in lines), "".join(lines)
        assert [each["id"] for each in listed(tmp_path, "acme")] == ["press-07"]
        assert [each["id"] for each in listed(tmp_path, "globex")] == ["pump-03"]
        assert (tmp_path / "devices/acme/press-07/device.pem").read_bytes() == certificate
        assert people(tmp_path) == kept  # the API's port and the passwords too
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.strip() == "stopping"


def test_what_is_kept_is_private(tmp_path: Path) -> None:
    """The state directory and every file with a secret belong to this user alone."""
    state_dir = tmp_path / "state"
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--state-dir", str(state_dir), "--cloud-only"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert "embedded cloud listens" in process.stdout.readline()
        assert state_dir.stat().st_mode & 0o777 == 0o700
        assert (state_dir / "cloud.json").stat().st_mode & 0o777 == 0o600
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=180)  # a loaded machine is slow, not wrong
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
