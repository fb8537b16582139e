"""The handlers on the embedded cloud: complete, drift is seen and mended, destroys are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from infra import names
from infra.local.engine import Op
from infra.local.resources import HANDLERS
from tests.infra.local.resources.changes_by_hand import change_platform, change_tenant
from tests.infra.local.resources.recorded_calls import TAGGING, RecordingCloud, tag_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Project

RELEASES: Final = Path(__file__).parents[2] / "releases"
# Deleting these is leaving them: the index is the account's, and a schema leaves with its store.
# Settings of the account, which the provider's delete leaves as they are.
STAY = {
    "aws:iot/eventConfigurations:EventConfigurations",
    "aws:iot/indexingConfiguration:IndexingConfiguration",
    "aws:iot/loggingOptions:LoggingOptions",
}


def resources(project: Project, stack: str) -> list[dict[str, Any]]:
    """What the state holds of a stack, without stacks, components, providers and references."""
    path = project.root / "state" / "stacks" / "cedarfleet" / f"{stack}.json"
    state = json.loads(path.read_text())["deployment"]["resources"]
    return [one for one in state if one["type"].startswith("aws:")]


def by_name(project: Project, stack: str, name: str) -> dict[str, Any]:
    """The one resource of that logical name and any type."""
    (found,) = [one for one in resources(project, stack) if one["urn"].endswith(f"::{name}")]
    return found


def touched(project: Project, action: str, stack: str) -> set[tuple[str, str]]:
    """Operations and logical names of what a run changed."""
    changes = getattr(project.engine, action)(stack).changes
    return {
        (change.op.value, change.urn.rpartition("::")[2])
        for change in changes
        if change.op is not Op.READ
    }


def test_handlers_are_those_of_the_programs_types(scratch: Project) -> None:
    """A handler that no resource uses would be untested code.

    What the last release stamped and the program has let go of is still deleted by an upgrade.
    """
    used = {one["type"] for stack in ("platform", "acme") for one in resources(scratch, stack)}
    released = {
        one["type"]
        for file in RELEASES.rglob("*.json")
        for one in json.loads(file.read_text()).get("deployment", {}).get("resources", [])
    }

    assert used <= set(HANDLERS) <= used | released


def test_what_vanished_is_seen_and_made_again(scratch: Project) -> None:
    """After somebody deletes by hand, refresh drops it from the state and `up` restores it."""
    iot, s3 = scratch.cloud.client("iot"), scratch.cloud.client("s3")
    policies = scratch.cloud.client("verifiedpermissions")
    bucket = by_name(scratch, "acme", "artifacts-bucket")["id"]
    forbid, _, store = by_name(scratch, "acme", "policies-policy-operators-view-only")[
        "id"
    ].partition(",")
    iot.delete_policy(policyName="acme-device")
    s3.delete_bucket_policy(Bucket=bucket)
    policies.delete_policy(policyStoreId=store, policyId=forbid)

    names = {"fleet-device", "artifacts-tls", "policies-policy-operators-view-only"}
    assert touched(scratch, "refresh", "acme") == {("delete", name) for name in names}
    assert {("create", name) for name in names} <= touched(scratch, "up", "acme")
    assert "TlsOnly" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert touched(scratch, "up", "acme") == set()


def test_what_was_changed_is_seen_and_set_back(scratch: Project) -> None:
    """A policy widened by hand shows in a refresh; the next `up` writes the program's."""
    iam, iot = scratch.cloud.client("iam"), scratch.cloud.client("iot")
    said = iam.get_role_policy(RoleName="cedarfleet-acme", PolicyName="one-tenant")[
        "PolicyDocument"
    ]
    open_to_all = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
    iam.put_role_policy(
        RoleName="cedarfleet-acme", PolicyName="one-tenant", PolicyDocument=json.dumps(open_to_all)
    )
    device = iot.get_policy(policyName="acme-device")["policyDocument"]
    iot.create_policy_version(
        policyName="acme-device", policyDocument=json.dumps(open_to_all), setAsDefault=True
    )

    assert {name for _, name in touched(scratch, "refresh", "acme")} == {
        "access-role",
        "fleet-device",
    }
    assert {("update", "access-role"), ("update", "fleet-device")} <= touched(scratch, "up", "acme")
    assert (
        iam.get_role_policy(RoleName="cedarfleet-acme", PolicyName="one-tenant")["PolicyDocument"]
        == said
    )
    assert iot.get_policy(policyName="acme-device")["policyDocument"] == device


def drifted(project: Project, stack: str) -> dict[str, list[str]]:
    """Logical name -> what a refresh found changed; a rule's name says that it is one."""
    return {
        change.urn.rpartition("::")[2] + (" (rule)" if "TopicRule" in change.urn else ""): [
            key for key in change.keys if key != "__defaults"
        ]
        for change in project.engine.refresh(stack).changes
        if change.op is Op.UPDATE
    }


@pytest.mark.parametrize(
    ("stack", "change"), [("platform", change_platform), ("acme", change_tenant)]
)
def test_drift_of_each_kind_shows_and_is_mended(
    stack: str, change: Callable[..., dict[str, list[str]]], scratch: Project
) -> None:
    """A refresh names each setting that was changed by hand; `up` sets it back, and no more."""

    def named(name: str) -> dict[str, Any]:
        kind, at, logical = name.rpartition("@")
        return next(
            one
            for one in resources(scratch, stack)
            if one["urn"].endswith(f"::{logical}") and (not at or one["type"] == kind)
        )

    assert drifted(scratch, stack) == {}
    wanted = change(scratch.cloud, named)
    found = drifted(scratch, stack)
    assert {name: found.get(name) for name in wanted} == wanted
    assert found.keys() == wanted.keys()
    names = {name.removesuffix(" (rule)") for name in wanted}
    assert names <= {name for _, name in touched(scratch, "up", stack)}
    assert drifted(scratch, stack) == {}
    assert touched(scratch, "up", stack) == set()


def test_a_deleted_table_comes_back_as_it_was(scratch: Project) -> None:
    """From the backup that its deletion leaves, as docs/operations.md says; `up` sets the rest."""
    client, name = scratch.cloud.client("dynamodb"), names.COMMANDS_TABLE
    assert touched(scratch, "up", "platform") == set()
    row = {"thing": {"S": "acme--press-01"}, "sk": {"S": "one"}, "name": {"S": "stop"}}
    client.put_item(TableName=name, Item=row)
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)

    (backup,) = client.list_backups(TableName=name, BackupType="SYSTEM")["BackupSummaries"]
    client.restore_table_from_backup(TargetTableName=name, BackupArn=backup["BackupArn"])

    found = drifted(scratch, "platform")
    assert found == {"tables-commands": ["pointInTimeRecovery", "ttl"]}
    mended = touched(scratch, "up", "platform")
    assert {operation for operation, _ in mended} == {"update"}, mended
    assert drifted(scratch, "platform") == {}
    assert client.scan(TableName=name)["Items"] == [row]
    told = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = told["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    time_to_live = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (recovery, time_to_live["TimeToLiveStatus"]) == ("ENABLED", "ENABLED")
    client.delete_item(TableName=name, Key={"thing": row["thing"], "sk": row["sk"]})


def test_iot_policy_changes_more_often_than_it_has_versions(
    scratch: Project,
) -> None:
    """AWS keeps five versions; the oldest makes room."""
    handler, iot = HANDLERS["aws:iot/policy:Policy"], scratch.cloud.client("iot")
    statement = {"Effect": "Deny", "Action": "iot:Connect", "Resource": "*"}
    inputs: dict[str, Any] = {
        "name": "versions",
        "policy": json.dumps({"Version": "2012-10-17", "Statement": []}),
    }
    made = handler.create(scratch.stamping, inputs)
    outputs = made.outputs
    for number in range(7):
        document = {"Version": "2012-10-17", "Statement": [statement] * (number + 1)}
        outputs = handler.update(
            scratch.stamping, made.id, outputs, inputs | {"policy": json.dumps(document)}
        )

    assert outputs["defaultVersionId"] == "8"
    assert (
        len(json.loads(iot.get_policy(policyName="versions")["policyDocument"])["Statement"]) == 7
    )
    handler.delete(scratch.stamping, made.id, outputs)
    assert handler.read(scratch.stamping, made.id, outputs) is None


def test_fifth_change_of_a_template_is_refused(scratch: Project) -> None:
    """AWS keeps five versions of a template, and the provider deletes none: neither do we."""
    kind = "aws:iot/provisioningTemplate:ProvisioningTemplate"
    thing = {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "one"}}
    certificate = {
        "Type": "AWS::IoT::Certificate",
        "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
    }
    body: dict[str, Any] = {
        "Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {"thing": thing, "certificate": certificate},
    }
    inputs = {
        "name": "versions",
        "templateBody": json.dumps(body),
        "provisioningRoleArn": scratch.engine.outputs("acme").outputs["presign_role_arn"],
    }
    handler = HANDLERS[kind]
    made = handler.create(scratch.cloud, inputs)
    outputs = made.outputs

    def change(number: int) -> dict[str, Any]:
        text = json.dumps(body | {"DeviceConfiguration": {"change": number}})
        return handler.update(scratch.cloud, made.id, outputs, inputs | {"templateBody": text})

    for number in range(4):
        outputs = change(number)
    with pytest.raises(ClientError, match="VersionsLimitExceededException"):
        change(4)
    handler.delete(scratch.cloud, made.id, outputs)


def test_a_group_keeps_its_members_when_its_description_changes(scratch: Project) -> None:
    """A group that changes is not made again, so that its members stay."""
    cognito, pool = (
        scratch.cloud.client("cognito-idp"),
        by_name(scratch, "acme", "identity-pool")["id"],
    )
    group = by_name(scratch, "acme", "identity-managers")
    cognito.admin_create_user(
        UserPoolId=pool,
        Username="m@acme.example",
        TemporaryPassword="Initial-Word-1234",
        MessageAction="SUPPRESS",
    )
    cognito.admin_add_user_to_group(
        UserPoolId=pool, Username="m@acme.example", GroupName="managers"
    )

    inputs = group["inputs"] | {"description": "Runs the plant"}
    HANDLERS[group["type"]].update(scratch.stamping, group["id"], group["outputs"], inputs)
    try:
        members = cognito.list_users_in_group(UserPoolId=pool, GroupName="managers")["Users"]
        described = cognito.get_group(UserPoolId=pool, GroupName="managers")["Group"]["Description"]
        assert (len(members), described) == (1, "Runs the plant")
    finally:
        HANDLERS[group["type"]].update(
            scratch.stamping, group["id"], group["outputs"], dict(group["inputs"])
        )


def test_an_update_of_every_type_keeps_what_it_is(scratch: Project) -> None:
    """Each handler updates in place with its own inputs, a tag added and one removed.

    For the tag nothing but calls for tags are made, as by the provider, and it is gone afterwards.
    """
    for stack in ("platform", "acme"):
        for one in resources(scratch, stack):
            handler, inputs, old = HANDLERS[one["type"]], dict(one["inputs"]), dict(one["outputs"])
            cloud = RecordingCloud(scratch.stamping)
            tagged = handler.taggable and not handler.recorded
            if handler.taggable:
                inputs["tags"] = inputs.get("tags", {}) | {"reviewed": "yes"}
            new = handler.update(cloud, one["id"], old, inputs)
            assert new.get("arn") == old.get("arn"), one["urn"]
            added = tag_names(scratch.cloud, one) if tagged else None
            back = handler.update(cloud, one["id"], new, dict(one["inputs"]))
            left = tag_names(scratch.cloud, one) if tagged else None
            if added is not None:
                assert left == added - {"reviewed"} != added, one["urn"]
            if tagged:
                others = [call for call in cloud.calls if not TAGGING.fullmatch(call)]
                assert others == [], one["urn"]
            seen = handler.read(scratch.stamping, one["id"], back)
            assert seen is not None, one["urn"]
    for stack in ("platform", "acme"):
        assert touched(scratch, "refresh", stack) <= {
            ("update", "fleet-device"),
        }


def test_every_made_resource_is_found_by_what_it_was_made_of(scratch: Project) -> None:
    """After a crash the engine asks by the inputs alone; a handler's answer is the right id."""
    asked = 0
    for stack in ("platform", "acme"):
        for one in resources(scratch, stack):
            found = HANDLERS[one["type"]].find(scratch.stamping, one["inputs"])
            assert found in (None, one["id"]), one["urn"]
            asked += found is not None
    assert asked >= 10


def test_after_a_destroy_nothing_is_left(scratch: Project) -> None:
    """Every handler's delete removes what it made, and deleting again is no error."""
    left: list[str] = []
    for stack in ("acme", "platform"):
        known = resources(scratch, stack)
        scratch.engine.destroy(stack)
        for one in known:
            handler = HANDLERS[one["type"]]
            if handler.recorded or one["type"] in STAY:
                continue
            if handler.read(scratch.stamping, one["id"], one["outputs"]) is not None:
                left.append(one["urn"])
            handler.delete(scratch.stamping, one["id"], one["outputs"])
    assert left == []


def test_a_policy_in_use_is_not_deleted(scratch: Project) -> None:
    """As on AWS a certificate that holds it refuses its end; detached, it goes."""
    handler, iot = HANDLERS["aws:iot/policy:Policy"], scratch.cloud.client("iot")
    document = {"Version": "2012-10-17", "Statement": []}
    made = handler.create(scratch.stamping, {"name": "held", "policy": json.dumps(document)})
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_policy(policyName="held", target=certificate)
    with pytest.raises(ClientError, match=r"DeleteConflictException.*attached to one or more"):
        handler.delete(scratch.stamping, made.id, made.outputs)
    assert iot.list_targets_for_policy(policyName="held")["targets"] == [certificate]
    iot.detach_policy(policyName="held", target=certificate)
    handler.delete(scratch.stamping, made.id, made.outputs)
    assert handler.read(scratch.stamping, made.id, made.outputs) is None
