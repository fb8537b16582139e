"""The whole program: platform and tenants, stamped by the engine on the embedded cloud."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from infra.local.engine import Op
from infra.local.engine.values import SIGNATURE
from tests.infra.conftest import ROOT, Project, running_cloud

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.engine import Result

STACKS = ("platform", "acme", "globex")
RECORDED = {
    *(
        "aws:lb",
        "aws:acm",
        "aws:budgets",
        "aws:route53",
        "aws:ecs",
        "aws:appautoscaling",
        "aws:wafv2",
        "aws:sesv2",
    ),
    # Of services that stand here, what nothing behaves by.
    *("aws:ec2/flowLog:FlowLog", "aws:iot/loggingOptions:LoggingOptions"),
}


@pytest.mark.parametrize("stack", STACKS)
def test_stamping_again_changes_nothing(project: Project, stack: str) -> None:
    """A second `up` of the same files has no change, and the cloud agrees with the state."""
    again = project.up(stack)

    assert [change for change in again.changes if change.op is not Op.READ] == []
    assert again.same > 50
    assert [
        str(change) for change in project.engine.refresh(stack).changes if change.op is not Op.READ
    ] == []


def test_a_cloud_that_lost_everything_is_filled_again(project: Project, tmp_path: Path) -> None:
    """On an empty cloud a refresh finds all resources gone, and `up --refresh` makes them again."""
    shutil.copytree(project.root, tmp_path / "project", symlinks=True)
    (tmp_path / "cloud").mkdir()
    with running_cloud(tmp_path / "cloud") as empty:
        emptied = Project(tmp_path / "project", empty)
        changes = [
            each for each in emptied.engine.refresh("platform").changes if each.op is not Op.READ
        ]
        assert len(changes) > 50
        left = {each.urn.split("::")[-1] for each in changes if each.op is not Op.DELETE}
        assert left == {"fleet-events"}, "a setting of the account, always there"
        emptied.up("platform")
        emptied.engine.up("acme", refresh=True)
        for stack in ("platform", "acme"):
            assert [
                each
                for each in emptied.engine.up(stack, refresh=True).changes
                if each.op is not Op.READ
            ] == []


def test_no_logical_name_carries_a_tenant(project: Project) -> None:
    """The tenants' resources of the same purpose have the same names, and can be compared."""
    for tenant in ("acme", "globex"):
        state = json.loads(
            (project.root / "state" / "stacks" / "cedarfleet" / f"{tenant}.json").read_text()
        )
        names = [one["urn"].split("::")[-1] for one in state["deployment"]["resources"]]
        assert [
            name for name in names if tenant in name and not name.startswith("cedarfleet-")
        ] == []


def test_everything_that_can_be_tagged_says_whose_it_is(project: Project) -> None:
    """Tenant, stack and the program stand on buckets, roles and thing groups alike."""
    made = project.engine.outputs("acme").outputs
    iot, iam = project.cloud.client("iot"), project.cloud.client("iam")
    group = iot.describe_thing_group(thingGroupName="acme")["thingGroupArn"]
    for tags in (
        project.cloud.client("s3").get_bucket_tagging(Bucket=made["bucket"])["TagSet"],
        iam.list_role_tags(RoleName="cedarfleet-acme")["Tags"],
        iot.list_tags_for_resource(resourceArn=group)["tags"],
    ):
        assert {tag["Key"]: tag["Value"] for tag in tags} == {
            "tenant": "acme",
            "stack": "cedarfleet/acme",
            "managed-by": "pulumi",
        }


def test_only_what_the_embedded_cloud_lacks_is_recorded(project: Project) -> None:
    """The result names what was only written down: the way to the service, none of a tenant."""
    platform = project.engine.outputs("platform")

    kinds = {urn.split("::")[2].split("$")[-1] for urn in platform.recorded}
    assert {kind if kind in RECORDED else kind.rpartition("/")[0] for kind in kinds} == RECORDED
    assert project.engine.outputs("acme").recorded == ()
    said = f"{len(platform.recorded)} resources are only recorded: nothing stands behind them here"
    assert said in platform.lines()


def test_the_registry_row_leads_to_everything_of_the_tenant(project: Project) -> None:
    """A token's issuer finds store, clients, role, group, bucket and commands of its tenant."""
    outputs = {tenant: project.engine.outputs(tenant).outputs for tenant in ("acme", "globex")}
    table = project.cloud.client("dynamodb")
    for tenant, made in outputs.items():
        row = table.get_item(TableName="cedarfleet-tenants", Key={"issuer": {"S": made["issuer"]}})[
            "Item"
        ]
        assert row["tenant"] == {"S": tenant}
        assert row["status"] == {"S": "ACTIVE"}
        assert row["client_ids"] == {
            "SS": sorted(
                [
                    *(made[f"{app}client_id"] for app in ("", "console_", "cli_", "agent_")),
                    *made["machine_clients"].values(),
                ]
            )
        }
        for app in ("console", "cli", "agent"):
            assert row[f"{app}_client_id"] == {"S": made[f"{app}_client_id"]}
        assert row["policy_store_id"] == {"S": made["policy_store_id"]}
        assert row["role_arn"] == {"S": made["role_arn"]}
        assert row["bucket"] == {"S": made["bucket"]}
        assert row["jwks_uri"] == {"S": made["issuer"] + "/.well-known/jwks.json"}
    acme = table.get_item(
        TableName="cedarfleet-tenants", Key={"issuer": {"S": outputs["acme"]["issuer"]}}
    )["Item"]
    assert acme["commands"]["M"]["reboot"] == {"S": "OperateDevice"}
    assert acme["groups"]["M"] == {
        line: {"L": []} for line in ("line-press", "line-pump", "zone-hall-1")
    }
    names = {id_["S"] for id_ in acme["policy_names"]["M"].values()}
    assert {"operators-view-only", "managers-everything", "technicians-line-press"} <= names
    assert outputs["acme"]["policy_store_id"] != outputs["globex"]["policy_store_id"]


def test_the_policy_names_of_the_row_are_those_of_the_store(project: Project) -> None:
    """Every policy of the store has its name in the row: each refusal can name what decided."""
    made = project.engine.outputs("acme").outputs
    client = project.cloud.client("verifiedpermissions")
    pages = client.get_paginator("list_policies").paginate(policyStoreId=made["policy_store_id"])
    in_store = {policy["policyId"] for page in pages for policy in page["policies"]}

    assert in_store == set(made["policy_names"])
    assert client.get_policy_store(policyStoreId=made["policy_store_id"])["validationSettings"] == {
        "mode": "STRICT"
    }


def test_a_tenant_is_a_file(project: Project) -> None:
    """A third tenant, nothing but a stack file, is stamped, changed and destroyed tracelessly."""
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.acme.yaml").read_text())
    tenant = document["config"]["cedarfleet:tenant"]
    del tenant["policies"]
    tenant |= {"display_name": "Initech"}
    tenant["sign_in"]["domain_prefix"] = "cedarfleet-initech"
    (project.root / "tenants" / "Pulumi.initech.yaml").write_text(yaml.safe_dump(document))

    result = project.up("initech")
    made = result.outputs
    _check_order(result)
    iot, s3 = project.cloud.client("iot"), project.cloud.client("s3")
    assert iot.describe_thing_group(thingGroupName="initech")["thingGroupName"] == "initech"
    s3.put_object(Bucket=made["bucket"], Key="a", Body=b"1")
    s3.put_object(Bucket=made["bucket"], Key="a", Body=b"2")

    project.change(
        "initech",
        commands={"reboot": "StopDevice"},
        command_rules={},  # a command that leaves takes its rules along
        lines={"line-press": "Presses", "line-new": "New"},
        grants=tenant["grants"][:1],
        protect=False,
    )
    changed = {
        (change.op, change.urn.rpartition("::")[2]) for change in project.up("initech").changes
    }
    assert {one for one in changed if one[0] is not Op.READ} == {
        (Op.DELETE, "policies-link-firmware-hall-1"),
        (Op.DELETE, "policies-template-firmware-for-zone"),
        *((Op.UPDATE, name) for name in ("registry-row", "digest-row")),
        *((Op.UPDATE, name) for name in ("identity-pool", "policies-store", "artifacts-bucket")),
    }

    project.engine.destroy("initech")  # takes the bucket's versions along
    row = project.cloud.client("dynamodb").get_item(
        TableName="cedarfleet-tenants", Key={"issuer": {"S": made["issuer"]}}
    )
    assert "Item" not in row
    assert made["bucket"] not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert project.named("initech") == []


def _check_order(stamped: Result) -> None:
    """Forbids stand before any permit or link, and no token is accepted before all of them do."""
    effects = {
        path.stem: "forbid (" in path.read_text()
        for path in (ROOT / "policies" / "static").iterdir()
    }
    made = [change.urn.split("::")[2:] for change in stamped.changes]
    policies = [name for kind, name in made if kind.endswith("verifiedpermissions/policy:Policy")]
    forbids = [effects.get(name.removeprefix("policies-policy-"), False) for name in policies]
    assert any(forbids)
    assert forbids == sorted(forbids, reverse=True), policies
    kinds = [kind.rpartition("/")[2] for kind, _ in made]
    assert kinds.index("identitySource:IdentitySource") > max(
        index
        for index, (kind, name) in enumerate(made)
        if kind.endswith("verifiedpermissions/policy:Policy") and name
    )
    assert made[-1][1] == "registry-row"


def test_no_private_key_and_no_secret_is_in_the_state(project: Project) -> None:
    """A machine's secret is ciphertext in the state, in no row; device keys are nowhere."""
    made = project.engine.outputs("acme")
    (secret,) = made.outputs["machine_secrets"].values()
    assert "machine_secrets" in made.secret_outputs
    assert not any(secret in line for line in made.lines())
    rows = project.cloud.client("dynamodb").scan(TableName="cedarfleet-tenants")["Items"]
    assert secret not in json.dumps(rows, default=sorted)
    files = [path for path in (project.root / "state").rglob("*") if path.is_file()]
    assert len(files) >= len(STACKS)
    for path in files:
        text = path.read_text()
        assert "PRIVATE KEY" not in text
        assert secret not in text, path
    acme = json.loads((project.root / "state" / "stacks" / "cedarfleet" / "acme.json").read_text())
    resources = acme["deployment"]["resources"]
    held = [
        one["outputs"]["clientSecret"]
        for one in resources
        if "clientSecret" in one.get("outputs", {})
    ]
    assert [set(one) - {"ciphertext"} for one in held] == [{SIGNATURE}]
