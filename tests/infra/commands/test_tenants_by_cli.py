"""`python -m infra tenants --engine pulumi`: each stack by the real CLI and its language host.

Runs where both are on PATH (`make pulumi` builds the CLI) and skips elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from infra.commands.run_report import read
from tests.infra.conftest import ROOT, copy_project, running_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.infra.conftest import ProcessCloud

_NEEDED: Final = ("pulumi", "pulumi-language-python")
_MISSING: Final = [each for each in _NEEDED if shutil.which(each) is None]
pytestmark = [
    pytest.mark.skipif(
        bool(_MISSING), reason=f"not on PATH: {', '.join(_MISSING)} (make pulumi builds the CLI)"
    ),
    pytest.mark.timeout(600),
]
_SDK: Final = "7.51.1"


@dataclass(frozen=True)
class RealProject:
    """A project whose stacks the real CLI keeps, on a cloud of its own."""

    root: Path
    cloud: ProcessCloud
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the project's folder, to its end."""
        return subprocess.run(
            words, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )

    def tenants(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`python -m infra tenants ... --engine pulumi`, in this project."""
        script = "import sys, pathlib; from infra.__main__ import main; "
        script += "sys.exit(main(sys.argv[1:], root=pathlib.Path.cwd()))"
        return self.run(sys.executable, "-c", script, "tenants", *words, "--engine", "pulumi")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProject]:
    """The project's files, its three stacks made and the platform stamped, as the pages say."""
    folder = tmp_path_factory.mktemp("real-cli")
    (folder / "project").mkdir()
    root = copy_project(folder / "project")
    (root / ".venv").symlink_to(ROOT / ".venv")
    with running_cloud(folder) as cloud:
        made = RealProject(root, cloud, _environment(folder, cloud))
        for words in (
            *(("stack", "init", stack) for stack in ("platform", "acme", "globex")),
            ("up", "--yes", "--skip-preview", "--stack", "platform"),
        ):
            done = made.run("pulumi", "--non-interactive", *words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield made


def _environment(folder: Path, cloud: ProcessCloud) -> dict[str, str]:
    """Of a person whose login is a folder, and whose provider is that of the embedded cloud."""
    described = folder / "cloud.json"
    described.write_text(
        json.dumps(
            {
                "endpoint_url": cloud.endpoint_url,
                "region": cloud.region,
                "account_id": cloud.account_id,
                "environment": cloud.environment,
            }
        )
    )
    home = folder / "home"
    plugin = home / "plugins" / f"resource-aws-v{_SDK}" / "pulumi-resource-aws"
    plugin.parent.mkdir(parents=True)
    call = f'-m infra.local.pulumi_provider --cloud "{described}" --version {_SDK}'
    plugin.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {call} "$@"\n')
    plugin.chmod(0o700)
    (folder / "stacks").mkdir()
    return {
        **os.environ,
        **cloud.environment,
        "PYTHONPATH": str(ROOT),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{folder / 'stacks'}",
        "PULUMI_CONFIG_PASSPHRASE": "for this test only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def test_all_tenants_are_stamped_and_drift_is_found(real: RealProject, tmp_path: Path) -> None:
    """Preview, canary and the rest, no drift; then a setting changed by hand is named."""
    seen = real.tenants("preview", "--all", "--report", str(tmp_path / "preview.json"))
    assert seen.returncode == 0, seen.stdout + seen.stderr
    report = tmp_path / "up.json"
    done = real.tenants("up", "--all", "--canary", "globex", "--report", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 done by Pulumi" in done.stdout
    assert {stack.state for stack in read(report).stacks.values()} == {"done"}
    same = real.tenants("drift", "--all", "--report", str(tmp_path / "same.json"))
    assert same.returncode == 0, same.stdout + same.stderr

    outputs = json.loads(real.run("pulumi", "stack", "output", "--json", "-s", "globex").stdout)
    versions = {"Status": "Suspended"}
    real.cloud.client("s3").put_bucket_versioning(
        Bucket=outputs["bucket"], VersioningConfiguration=versions
    )
    drift = tmp_path / "drift.json"
    found = real.tenants("drift", "--all", "--report", str(drift))
    assert found.returncode == 4, found.stdout + found.stderr
    log = (tmp_path / read(drift).stacks["globex"].log).read_text()
    assert "drift: aws:s3/bucketVersioning:BucketVersioning " in log
    assert read(drift).stacks["acme"].state == "done"


def test_a_tenant_leaves_and_nothing_is_left(real: RealProject, tmp_path: Path) -> None:
    """Unprotected, destroyed and searched for, by the CLI; its stack and its file are put away."""
    up = real.tenants("up", "acme", "--report", str(tmp_path / "up.json"))
    assert up.returncode == 0, up.stdout + up.stderr
    words = ["--to", str(tmp_path), "--reason", "leaves", "--confirm", "acme", "--quiet", "1"]
    done = real.tenants("offboard", "acme", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "certificate.json").read_text())["tenant"] == "acme"
    stacks = json.loads(real.run("pulumi", "stack", "ls", "--json").stdout)
    assert {stack["name"] for stack in stacks} == {"platform", "globex"}
    assert not (real.root / "tenants" / "Pulumi.acme.yaml").exists()
