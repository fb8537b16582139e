"""`python -m infra.local.stacks` against an embedded cloud in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.stacks import main

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a running embedded cloud."""
    folder = tmp_path_factory.mktemp("cloud") / "state"
    command = [
        sys.executable,
        "-u",
        "-m",
        "infra.local",
        "--cloud-only",
        "--state-dir",
        str(folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        assert process.stdout is not None
        assert "listens on" in process.stdout.readline()
        yield folder
        process.terminate()
        process.stdout.read()


def run(state: Path, verb: str, stack: str = "platform", *more: str) -> int:
    """One run of the command line on this project."""
    return main([verb, "-s", stack, *more, "--project", str(_ROOT), "--state", str(state)])


def test_the_platform_goes_up_and_stays(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Preview, up, no-op up and outputs print what they did, and what is only recorded."""
    assert run(state, "preview") == 0
    assert "would be: " in capsys.readouterr().out
    assert run(state, "up") == 0
    first = capsys.readouterr().out
    assert " + create  aws:dynamodb/table:Table" in first
    assert "(only recorded)" in first
    assert run(state, "up") == 0
    again = capsys.readouterr().out.splitlines()
    # What `up` reads is its own outputs, which hold the keys that cannot change.
    assert again[0] == " > read    pulumi:pulumi:StackReference own"
    assert again[1].endswith(" unchanged")
    assert run(state, "outputs") == 0
    assert "  tenants_table: cedarfleet-tenants" in capsys.readouterr().out
    assert run(state, "outputs", "platform", "tenants_table") == 0
    assert capsys.readouterr().out == "cedarfleet-tenants\n"
    assert run(state, "outputs", "platform", "tenant_table") == 1
    assert "no output `tenant_table`; there are account_id, " in capsys.readouterr().err


def test_what_must_not_be_lost_is_not_destroyed(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stack with protected tables is not destroyed; stderr says why, the exit code is 1."""
    run(state, "up")
    assert run(state, "destroy") == 1
    said = capsys.readouterr().err
    assert "nothing was done, since these are protected:\n  aws:dynamodb/table:Table " in said
    assert "urn:" not in said
    assert "set `protect: false` in tenants/Pulumi.platform.yaml, run `up -s platform`" in said
    assert run(state, "refresh") == 0


def test_mistakes_are_told_in_one_line(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such stack, no cloud described, nobody listening: exit code 1 and what to do."""
    assert run(state, "up", "acne") == 1
    assert "no stack `acne`" in capsys.readouterr().err
    assert run(tmp_path, "up") == 1
    assert "cloud.json does not exist: run `make up` first" in capsys.readouterr().err
    described = json.loads((state / "cloud.json").read_text())
    (tmp_path / "cloud.json").write_text(
        json.dumps({**described, "endpoint_url": "http://127.0.0.1:1"})
    )
    assert run(tmp_path, "up") == 1
    assert "nobody listens on http://127.0.0.1:1: run `make up` first" in capsys.readouterr().err
    (tmp_path / "cloud.json").write_text("{}")
    assert run(tmp_path, "up") == 1
    assert "does not describe an embedded cloud" in capsys.readouterr().err
