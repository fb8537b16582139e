"""`python -m infra tenants` over the stacks of two tenants, each run in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from infra.__main__ import main
from infra.commands.run_report import read
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.conftest import Project


# Of one action: both sets are asked about all that a changed policy may speak of.
BY_HAND: Final = 'permit (principal, action == Fleet::Action::"ViewAudit", resource);'


def test_a_release_stops_at_its_canary_and_goes_on(
    own: Project, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A canary whose policies are broken: nobody else is touched; mended, the run is resumed."""
    report = tmp_path / "runs" / "release.json"
    broken = own.root / "tenants" / "globex" / "policies" / "broken.cedar"
    broken.write_text("permit (principal, action, resource")
    places = ["--engine", "embedded", "--state", str(state)]
    asked = ["tenants", "up", "--all", "--canary", "globex", "--report", str(report), *places]
    assert main(asked, root=own.root) == 1
    said = capsys.readouterr().out
    assert "canary globex: failed, exit code 1" in said
    assert "0 of 2 done by the laptop's engine" in said
    assert "broken.cedar" in said
    assert f"1 were not begun; go on with: python -m infra tenants up --resume {report}" in said

    broken.unlink()
    assert main(["tenants", "up", "--resume", str(report), *places], root=own.root) == 0
    said = capsys.readouterr().out
    assert "2 of 2 done" in said
    assert re.search(r"^acme: done, .* unchanged \(", said, re.MULTILINE)
    assert {stack.state for stack in read(report).stacks.values()} == {"done"}
    assert main(["tenants", "drift", "--resume", str(report), *places], root=own.root) == 1
    assert "is of `up`, not of `drift`" in capsys.readouterr().err


def test_drift_of_resources_and_policies_is_found(
    own: Project, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy made by hand and a setting changed by hand are named; state and cloud stay."""
    outputs = own.engine.outputs("globex").outputs
    store, bucket = outputs["policy_store_id"], outputs["bucket"]
    permissions, s3 = own.cloud.client("verifiedpermissions"), own.cloud.client("s3")
    before = (own.root / "state" / "stacks" / "cedarfleet" / "globex.json").read_text()
    made = permissions.create_policy(
        policyStoreId=store,
        definition={"static": {"statement": BY_HAND}},
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    try:
        report = tmp_path / "drift.json"
        places = ["--engine", "embedded", "--state", str(state), "--report", str(report)]
        assert main(["tenants", "drift", "acme", "globex", *places], root=own.root) == 4
    finally:
        permissions.delete_policy(policyStoreId=store, policyId=made["policyId"])
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    said = capsys.readouterr().out
    assert "canary acme: done, " in said
    assert re.search(r"^globex: drifted, .* decisions flip", said, re.MULTILINE)
    flips = read(report).stacks["globex"].flips
    assert flips > 0
    assert f"decisions flip in 1 of 2: globex ({flips}); see the logs" in said
    log = (tmp_path / read(report).stacks["globex"].log).read_text()
    assert "aws:s3/bucketVersioning:BucketVersioning" in log
    assert "decisions flip" in log
    assert made["policyId"] in log
    kept = own.root / "state" / "stacks" / "cedarfleet" / "globex.json"
    assert kept.read_text() == before


def test_a_first_manager_is_invited(project: Project) -> None:
    """Cognito invites by mail; a repetition says so and puts into the group all the same."""
    email, pool = "ana@globex.example", project.engine.outputs("globex").outputs["user_pool_id"]
    command = [sys.executable, "-m", "infra", "tenants", "invite", "globex", email]
    cognito = project.cloud.client("cognito-idp")
    for words in ("is invited", "is there already"):
        environment = {**os.environ, **project.cloud.environment}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == f"{email} {words}"
    groups = cognito.admin_list_groups_for_user(UserPoolId=pool, Username=email)["Groups"]
    cognito.admin_delete_user(UserPoolId=pool, Username=email)
    assert [group["GroupName"] for group in groups] == ["managers"]


def test_tenants_are_listed_with_what_they_ask_for(
    own: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each file, a suspended tenant as such."""
    own.change("globex", suspended=True)
    assert main(["tenants", "list"], root=own.root) == 0
    head, acme, globex = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["tenant", "name", "tier", "cell", "state"]
    assert acme.startswith("acme    Acme Metal Forming  standard  one   active ")
    assert globex.startswith("globex  Globex Medical      -         one   suspended ")
    assert main(["tenants", "list", "--tier", "standard"], root=own.root) == 0
    listed = capsys.readouterr().out.splitlines()[1:]
    assert [row.split() for row in listed] == [acme.split()]
    assert main(["tenants", "list", "--tier", "gold"], root=own.root) == 1
    assert "--tier: `gold` is no tier of the platform's file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "initech"], "tenants/Pulumi.initech.yaml: no such file; there are: acme, globex"),
        (["up", "platform"], "`platform` is the platform: stamp it by itself"),
        (["up", "acme", "--canary", "globex"], "--canary: `globex` is none of acme"),
        (["up", "--resume", "none.json"], "none.json: No such file"),
    ],
)
def test_mistakes_are_told_before_anything_begins(
    arguments: list[str], words: str, own: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such tenant, the platform among them, a canary that does not take part, no report."""
    assert main(["tenants", *arguments], root=own.root) == 1
    assert words in capsys.readouterr().err
