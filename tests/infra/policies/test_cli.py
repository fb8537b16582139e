"""``python -m infra policies``: check, format, matrix and diff, as people and make run them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from infra.__main__ import main
from infra.policies import load
from infra.policies.store import deployed
from infra.policies.store.update_order import pieces, plan
from infra.stacks.config.tenants import of_tenant, tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from infra.local.cloud import EmbeddedCloud
    from tests.infra.policies.conftest import LiveStore

PROJECT = Path(__file__).parents[3]
POOL = "eu-central-1_livepool"


def run(*arguments: str, root: Path) -> int:
    """The command's exit code."""
    return main(["policies", *arguments], root=root)


def test_project_is_in_order(capsys: pytest.CaptureFixture[str]):
    """What is committed passes its own check, which says what it looked at."""
    assert run("check", root=PROJECT) == 0
    said, wrong = capsys.readouterr()
    assert wrong == ""
    policies, acme, globex, every = said.splitlines()
    static = len(list((PROJECT / "policies" / "static").iterdir()))
    cases = len(list((PROJECT / "policies" / "cases").glob("*/*.json")))
    assert policies.startswith(f"policies: {static} base policies, 4 templates, {cases} cases, ")
    assert acme == "tenant acme: 5 policies of its own, 2 grants, 9 groups, 3 lines"
    assert globex == "tenant globex: 5 policies of its own, 1 grants, 6 groups, 2 lines"
    assert every.startswith("every name and value in them is known")


@pytest.mark.parametrize("tenant", tenants(PROJECT))
def test_every_tenant_can_be_stamped(tenant: str):
    """Each stack file's policies and grants load, and the base forbids are among them."""
    loaded = load(PROJECT / "policies", of_tenant(PROJECT, tenant))
    assert {"tenant-guard", "operators-view-only"} <= {policy.id for policy in loaded.forbids}
    assert len(loaded.static) > len(list((PROJECT / "policies" / "static").iterdir()))


def test_what_is_hardly_meant_is_noted(files: Path, capsys: pytest.CaptureFixture[str]):
    """A grant that has ended, a tenant without managers: nothing fails, and it is said."""
    stack = files / "tenants" / "Pulumi.globex.yaml"
    # the template is for one person
    person = 'principal: Fleet::User::"a3d4e8b2-70f1-7093-1c5e-8c1d2f3a4b5c"'
    text = re.sub(r'principal: Fleet::Group::".*"', person, stack.read_text())
    grant = yaml.safe_load(text)["config"]["cedarfleet:tenant"]["grants"][0]["id"]
    ends = "template: break-glass\n        until: {}\n"
    for year, ended in (("2020", True), ("2999", False)):
        made = re.sub(r"template: .*\n", ends.format(f"{year}-12-24T18:00:00Z"), text, count=1)
        stack.write_text(made)
        assert run("check", root=files) == 0
        said = capsys.readouterr().out
        words = f"globex.yaml: grant `{grant}` has ended ({year}-12-24T18:00:00+00:00) and permits"
        assert (words in said) is ended, said
    for file in (stack, *(files / "tenants" / "globex" / "policies").iterdir()):
        file.write_text(
            file.read_text().replace("managers:", "heads:").replace('"managers"', '"heads"')
        )
    assert run("check", root=files) == 0
    assert "note: tenants/Pulumi.globex.yaml: has no group `managers`" in capsys.readouterr().out


def test_check_names_a_broken_tenant(files: Path, capsys: pytest.CaptureFixture[str]):
    """A tenant's policy that does not parse, and a grant that does not fit, are named."""
    (files / "tenants" / "acme" / "policies" / "mine.cedar").write_text("permit (")
    stack = files / "tenants" / "Pulumi.globex.yaml"
    stack.write_text(
        stack.read_text().replace("template: firmware-for-zone", "template: break-glass")
    )
    assert run("check", root=files) == 1
    assert capsys.readouterr().err.splitlines() == [
        "tenants/acme/policies/mine.cedar:1: `)` is missing: `(` of line 1 is never closed",
        (
            "tenant globex, grant firmware-ward-5: template `break-glass` ends: say `until`, "
            "e.g. 2026-12-24T18:00:00Z"
        ),
    ]


def test_check_reads_more_than_policies(files: Path, capsys: pytest.CaptureFixture[str]):
    """A command that needs no action of the schema, and a sign-in page that is another's."""
    acme, globex = (files / "tenants" / f"Pulumi.{name}.yaml" for name in ("acme", "globex"))
    acme.write_text(acme.read_text().replace("reboot: OperateDevice", "reboot: OperatDevice"))
    globex.write_text(
        globex.read_text().replace(
            "domain_prefix: cedarfleet-globex", "domain_prefix: cedarfleet-acme"
        )
    )
    assert run("check", root=files) == 1
    command, page = capsys.readouterr().err.splitlines()
    assert command == (
        "tenants/Pulumi.acme.yaml: cedarfleet:tenant.commands.reboot: `OperatDevice` is no action; "
        "did you mean `OperateDevice`? There are MaintainDevice, OperateDevice, SetParameters, "
        "StopDevice"
    )
    assert page == (
        "tenants/Pulumi.globex.yaml: cedarfleet:tenant.sign_in.domain_prefix: `cedarfleet-acme` is "
        "that of acme; a sign-in page has a name of its own, one in the world"
    )


def test_check_compares_cases_matrix_and_form(files: Path, capsys: pytest.CaptureFixture[str]):
    """A policy that decides otherwise fails its cases and the matrix, and another form is said."""
    policy = files / "policies" / "static" / "operators-view.cedar"
    policy.write_text(
        policy.read_text().replace('in Fleet::Action::"View"', '==  Fleet::Action::"ViewDevice"')
    )
    assert run("check", root=files) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        (
            "policies/cases/ALLOW/operator-lists-devices.json: "
            "expected `yes: operators-view`, decided `no`"
        ),
        (
            "policies/matrix.md: is not what the policies say; "
            "`python -m infra policies matrix --write`"
        ),
        (
            "policies/static/operators-view.cedar: is not in the house form; "
            "`python -m infra policies format` rewrites it"
        ),
    ]
    assert run("format", root=files) == 0
    assert run("matrix", "--write", root=files) == 0
    assert capsys.readouterr().out == "formatted policies/static/operators-view.cedar\n"
    assert run("check", root=files) == 1
    assert capsys.readouterr().err.splitlines() == lines[:1]


def test_broken_base_is_said_once(files: Path, capsys: pytest.CaptureFixture[str]):
    """A base policy that does not parse is not repeated for each tenant and case."""
    (files / "policies" / "static" / "operators-view.cedar").write_text("permit (")
    assert run("check", root=files) == 1
    assert capsys.readouterr().err.splitlines() == [
        "policies/static/operators-view.cedar:1: `)` is missing: `(` of line 1 is never closed"
    ]


# A case that says nothing, by its name: what stands in it, and what is said of it.
MALFORMED: Final = {
    "cut-off": ("{", "is no case: JSONDecodeError"),
    "empty": (
        '{"why": ""}',
        "missing or unknown member: action, context, expected, principal, resource",
    ),
    "list": ("[]", "is no case: a case must be an object"),
    "other-folder": (None, "expects the other decision than its folder ALLOW"),
}
# A slip in a case, by its name: the words before and after, and what is said of it.
SLIPS: Final = {
    "person": ("newcomer", "nobody", 'no person or machine `Fleet::User::"nobody"` in entities'),
    "action": ("ViewDevice", "Explode", "Explode"),
    "type": ("Fleet::Action", "Action", "`action` is written Fleet::Action::"),
    "context": (
        "emergency",
        "emergncy",
        "`context`: the schema has no attribute `emergncy`",
    ),
    "decision": ("DENY", "REFUSE", "`expected` has `decision`, ALLOW or DENY, and `policies`"),
}


@pytest.fixture(scope="module")
def refused_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By the file below `policies/cases`, what one check says of each wrong case."""
    root = tmp_path_factory.mktemp("cases")
    for folder in ("policies", "tenants"):
        shutil.copytree(PROJECT / folder, root / folder)
    cases = root / "policies" / "cases"
    right = (cases / "DENY" / "nobody-views.json").read_text()
    for name, (text, _) in MALFORMED.items():
        (cases / "ALLOW" / f"{name}.json").write_text(text or right)
    for name, (old, new, _) in SLIPS.items():
        assert old in right
        (cases / "DENY" / f"{name}.json").write_text(right.replace(old, new))
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert run("check", root=root) == 1
    lines = [line.partition(": ") for line in said.getvalue().splitlines()]
    assert len(lines) == len(MALFORMED) + len(SLIPS), said.getvalue()
    return {file.removeprefix("policies/cases/"): words for file, _, words in lines}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_case_is_refused(refused_cases: dict[str, str], name: str):
    """A case that says nothing is an error, not a case that passes."""
    assert MALFORMED[name][-1] in refused_cases[f"ALLOW/{name}.json"]


@pytest.mark.parametrize("name", SLIPS)
def test_slip_in_a_case_is_named(refused_cases: dict[str, str], name: str):
    """A name that nobody knows would be denied by every policy: such a case would prove nothing."""
    assert SLIPS[name][-1] in refused_cases[f"DENY/{name}.json"]


def test_unknown_tenant_is_refused(files: Path, capsys: pytest.CaptureFixture[str]):
    """The message names the file that is missing, and the tenants that there are."""
    assert run("diff", "initech", root=files) == 1
    assert (
        capsys.readouterr().err
        == "tenants/Pulumi.initech.yaml: no such file; there are: acme, globex\n"
    )
    with pytest.raises(SystemExit):
        run("diff", "acme", "--store", "x", root=files)
    assert "--store and --pool go together" in capsys.readouterr().err


def test_refusing_cloud_is_said(environment: dict[str, str]):
    """A store that cannot be asked is one line, not a traceback."""
    command = [
        sys.executable,
        "-m",
        "infra",
        "policies",
        "diff",
        "globex",
        "--store",
        "PS1",
        "--pool",
        POOL,
    ]
    wrong_key = {**os.environ, **environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    refused = subprocess.run(
        command, env=wrong_key, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("cannot read what is deployed: ")
    assert len(refused.stderr.splitlines()) == 1


def test_what_diff_needs_to_know_is_said(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """With nothing but an endpoint it takes the region from the file, and asks for credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    assert run("diff", "globex", "--store", "PS1", "--pool", POOL, root=files) == 1
    said = capsys.readouterr().err
    assert said.startswith("cannot read what is deployed: no AWS credentials: set AWS_PROFILE, or")
    assert 'eval "$(python -m infra.local.aws environment)"' in said


def test_diff_of_a_deployed_tenant(
    environment: dict[str, str],
    client: VerifiedPermissionsClient,
    store_of: Callable[[str], LiveStore],
    tmp_path: Path,
):
    """Against a store: no difference after stamping, then a policy that was deleted by hand."""
    bundle = load(PROJECT / "policies", of_tenant(PROJECT, "globex"))
    wanted = bundle.policy_set.bound(tenant="globex", pool_id=POOL)
    store = store_of(wanted.schema)
    for step in plan([], pieces(wanted)):
        store.take(step)
    command = [
        sys.executable,
        "-m",
        "infra",
        "policies",
        "diff",
        "globex",
        "--store",
        store.id,
        "--pool",
        POOL,
    ]
    command.append("--exit-code")
    environment = {**os.environ, **environment}
    same = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (same.returncode, same.stdout, same.stderr) == (
        0,
        "The store holds what the files say.\n",
        "",
    )
    for content, policy_id in store.policies.items():
        if '@id("infusion-firmware-by-managers")' in content[0]:
            client.delete_policy(policyStoreId=store.id, policyId=policy_id)
    trail = tmp_path / "trail.json"
    trail.write_text('{"entries": [{"id": "1", "kind": "outcome"}], "cursor": null}')
    changed = subprocess.run(
        [*command, "--recorded", str(trail)],
        env=environment, cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (changed.returncode, changed.stderr) == (1, "")
    assert changed.stdout.endswith(
        "0 of 0 recorded decisions flip (0 are decided otherwise today, 1 cannot be asked again)\n"
    )
    assert "create forbid infusion-firmware-by-managers" in changed.stdout
    odd = (
        '@id("odd") permit (principal, action == Fleet::Action::"ViewAudit", resource) '
        "when { context has source_ip && context.source_ip.isIpv6() };"
    )
    client.create_policy(policyStoreId=store.id, definition={"static": {"statement": odd}})
    unreached = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (unreached.returncode, unreached.stderr) == (3, "")
    assert "1 policies were reached by no question: delete permit odd\n" in unreached.stdout
    command[command.index(POOL)] = "eu-central-1_other"
    other = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (other.returncode, other.stdout) == (1, "")
    assert "is it the tenant's pool?" in other.stderr


def test_store_is_found_in_the_registry(embedded_cloud: EmbeddedCloud):
    """The tenant's row says which store and which pool."""
    dynamodb = embedded_cloud.client("dynamodb")
    dynamodb.create_table(
        TableName="policies-test-tenants",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": "S"} for n in ("issuer", "tenant")
        ],
        KeySchema=[{"AttributeName": "issuer", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-tenant",
                "KeySchema": [{"AttributeName": "tenant", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    issuer = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
    row = {"issuer": {"S": issuer}, "tenant": {"S": "acme"}, "policy_store_id": {"S": "PS1"}}
    dynamodb.put_item(TableName="policies-test-tenants", Item=row)
    found = deployed.find(dynamodb, "acme", table="policies-test-tenants")
    assert (found.policy_store_id, found.pool_id) == ("PS1", POOL)
    with pytest.raises(
        deployed.NotDeployedError, match="table `policies-test-tenants` has no tenant `initech`"
    ):
        deployed.find(dynamodb, "initech", table="policies-test-tenants")
    with pytest.raises(deployed.NotDeployedError, match="no table `elsewhere`"):
        deployed.find(dynamodb, "acme", table="elsewhere")
