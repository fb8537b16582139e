"""Stamped roles and IoT policies: the service becomes one tenant, and a tenant is alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Project

OWN, FOREIGN = "acme--press-07", "globex--pump-03"


@pytest.fixture(scope="module")
def session(project: Project) -> Callable[[str], Any]:
    """Clients of acme's session, as the service gets it: task role, then tenant role."""
    service_role = project.engine.outputs("platform").outputs["service_role_arn"]
    role = project.engine.outputs("acme").outputs["role_arn"]
    root = project.cloud.client("iot")
    for thing in (OWN, FOREIGN):
        root.create_thing(thingName=thing)
    return lambda service: project.cloud.client_of(service_role, service, assuming=role)


def refused(call: Callable[..., Any], **arguments: object) -> bool:
    """Whether the call is refused for want of a permission, and for nothing else."""
    try:
        call(**arguments)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response.get("Error", {}).get("Code")
        if status != 403 and code not in ("AccessDeniedException", "AccessDenied"):
            raise
        return True
    return False


def test_the_service_itself_reads_the_registry_only(project: Project) -> None:
    """The task role reads a registry row, writes none, and reaches no device, file or command."""
    made = project.engine.outputs("acme").outputs
    role = project.engine.outputs("platform").outputs["service_role_arn"]
    client = {
        name: project.cloud.client_of(role, name)
        for name in ("dynamodb", "iot", "s3", "iot-data", "sts")
    }
    key = {"issuer": {"S": made["issuer"]}}
    assert client["dynamodb"].get_item(TableName="cedarfleet-tenants", Key=key)["Item"]
    assert refused(client["dynamodb"].put_item, TableName="cedarfleet-tenants", Item=key)
    assert refused(
        client["dynamodb"].get_item,
        TableName="cedarfleet-commands",
        Key={"thing": {"S": OWN}, "sk": {"S": "x"}},
    )
    assert refused(client["iot"].list_things)
    assert refused(client["s3"].list_objects_v2, Bucket=made["bucket"])
    assert refused(client["iot-data"].publish, topic=f"fleet/{OWN}/commands/x", payload=b"{}")
    for other in (
        made["presign_role_arn"],
        role.replace("cedarfleet-service", "cedarfleet-status-rule"),
    ):
        assert refused(client["sts"].assume_role, RoleArn=other, RoleSessionName="test")


def test_nobody_but_the_service_becomes_a_tenant(project: Project) -> None:
    """A role of the account that may assume everything is refused by the tenant role's trust."""
    iam, made = project.cloud.client("iam"), project.engine.outputs("acme").outputs
    trust = project.cloud.client("iam").get_role(RoleName="cedarfleet-service")["Role"][
        "AssumeRolePolicyDocument"
    ]
    other = iam.create_role(RoleName="outsider", AssumeRolePolicyDocument=json.dumps(trust))[
        "Role"
    ]["Arn"]
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="outsider", PolicyName="all", PolicyDocument=document)
    sts = project.cloud.client_of(other, "sts")
    assert refused(sts.assume_role, RoleArn=made["role_arn"], RoleSessionName="test")


def test_a_tenants_session_reaches_its_own_things_only(
    project: Project, session: Callable[[str], Any]
) -> None:
    """Publish, connections and jobs end at the prefix, also a job with one foreign target."""
    iot, data = session("iot"), session("iot-data")
    own_arn = f"arn:aws:iot:{project.cloud.region}:{project.cloud.account_id}:thing/{OWN}"
    foreign_arn = own_arn.replace(OWN, FOREIGN)
    data.publish(topic=f"fleet/{OWN}/commands/x", qos=1, payload=b"{}")
    iot.create_job(jobId="acme--1", targets=[own_arn], document="{}")
    iot.list_job_executions_for_job(jobId="acme--1")
    iot.cancel_job(jobId="acme--1")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        data.get_connection(clientId=OWN)  # allowed to ask; it never connected

    direct = {"confirmation": True, "payload": b"{}"}
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        data.send_direct_message(clientId=OWN, topic=f"fleet/{OWN}/commands/x", **direct)

    for client, topic in ((FOREIGN, f"fleet/{OWN}/commands/x"), (OWN, f"fleet/{FOREIGN}/x")):
        assert refused(data.send_direct_message, clientId=client, topic=topic, **direct)
    assert refused(data.publish, topic=f"fleet/{FOREIGN}/commands/x", qos=1, payload=b"{}")
    assert refused(data.publish, topic=f"$aws/things/{OWN}/shadow/update", qos=1, payload=b"{}")
    assert refused(data.get_connection, clientId=FOREIGN)
    assert refused(data.delete_connection, clientId=FOREIGN)
    assert refused(iot.create_job, jobId="acme--2", targets=[own_arn, foreign_arn], document="{}")
    assert refused(iot.create_job, jobId="globex--2", targets=[own_arn], document="{}")
    assert refused(iot.list_things)


def test_a_tenants_session_asks_nothing_of_the_registry(session: Callable[[str], Any]) -> None:
    """Neither its own things nor the index: what is known of a device stands in its rows."""
    iot = session("iot")
    assert refused(iot.describe_thing, thingName=OWN)
    assert refused(iot.update_thing, thingName=OWN, attributePayload={"attributes": {"a": "b"}})
    assert refused(iot.list_thing_groups_for_thing, thingName=OWN)
    assert refused(iot.list_things_in_thing_group, thingGroupName="acme")
    assert refused(iot.search_index, queryString="thingName:acme--*")


def test_a_tenants_session_passes_its_own_presign_role_only(
    project: Project, session: Callable[[str], Any]
) -> None:
    """A job cannot be given another tenant's role to sign its downloads with."""
    iot = session("iot")
    target = [f"arn:aws:iot:{project.cloud.region}:{project.cloud.account_id}:thing/{OWN}"]
    roles = {
        name: project.engine.outputs(name).outputs["presign_role_arn"]
        for name in ("acme", "globex")
    }
    signing = {"expiresInSec": 60}
    iot.create_job(
        jobId="acme--3",
        targets=target,
        document="{}",
        presignedUrlConfig=signing | {"roleArn": roles["acme"]},
    )
    assert refused(
        iot.create_job,
        jobId="acme--4",
        targets=target,
        document="{}",
        presignedUrlConfig=signing | {"roleArn": roles["globex"]},
    )


def test_a_tenants_session_reads_and_writes_its_own_rows_only(
    session: Callable[[str], Any],
) -> None:
    """The leading key decides in both tables, in transactions too; scan and registry are shut."""
    table = session("dynamodb")
    table.put_item(TableName="cedarfleet-commands", Item={"thing": {"S": OWN}, "sk": {"S": "x"}})
    table.get_item(TableName="cedarfleet-commands", Key={"thing": {"S": OWN}, "sk": {"S": "x"}})
    for name, key in (("cedarfleet-commands", "thing"), ("cedarfleet-audit", "partition")):
        assert refused(table.put_item, TableName=name, Item={key: {"S": FOREIGN}, "sk": {"S": "x"}})
        assert refused(table.get_item, TableName=name, Key={key: {"S": FOREIGN}, "sk": {"S": "x"}})
        assert refused(table.scan, TableName=name)
    puts = [
        {
            "Put": {
                "TableName": "cedarfleet-commands",
                "Item": {"thing": {"S": thing}, "sk": {"S": "t"}},
            }
        }
        for thing in (OWN, FOREIGN)
    ]
    table.transact_write_items(TransactItems=puts[:1])
    assert refused(table.transact_write_items, TransactItems=puts)
    assert refused(table.get_item, TableName="cedarfleet-tenants", Key={"issuer": {"S": "x"}})


def test_a_tenants_session_keeps_facts_of_its_own_devices_only(
    session: Callable[[str], Any],
) -> None:
    """Its partition is read as a whole and written; nothing is deleted, no other one reached."""
    table, name = session("dynamodb"), "cedarfleet-devices"

    def query(tenant: str) -> dict[str, Any]:
        return {
            "TableName": name,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": "partition"},
            "ExpressionAttributeValues": {":p": {"S": f"{tenant}--devices"}},
        }

    own = {"partition": {"S": "acme--devices"}, "sk": {"S": "isolation#x"}}
    table.put_item(TableName=name, Item=own)
    table.query(**query("acme"))
    foreign = own | {"partition": {"S": "globex--devices"}}
    assert refused(table.put_item, TableName=name, Item=foreign)
    assert refused(table.query, **query("globex"))
    assert refused(table.query, **query("acme2"))
    assert refused(table.delete_item, TableName=name, Key=own)
    assert refused(table.scan, TableName=name)


def test_a_tenants_session_adds_to_its_audit_trail_and_reads_it(
    session: Callable[[str], Any],
) -> None:
    """What was done can be written and read, and not be changed or deleted by who did it."""
    table = session("dynamodb")
    key = {"partition": {"S": "acme--audit#2026-11-22"}, "sk": {"S": "01JD0000000000000000000000"}}
    table.put_item(
        TableName="cedarfleet-audit", Item=key, ConditionExpression="attribute_not_exists(sk)"
    )

    assert refused(table.get_item, TableName="cedarfleet-audit", Key=key)
    assert refused(table.delete_item, TableName="cedarfleet-audit", Key=key)
    change = {
        "UpdateExpression": "SET outcome = :o",
        "ExpressionAttributeValues": {":o": {"S": "denied"}},
    }
    assert refused(table.update_item, TableName="cedarfleet-audit", Key=key, **change)
    condition = {
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "partition"},
    }
    values = {":p": key["partition"]}
    found = table.query(TableName="cedarfleet-audit", **condition, ExpressionAttributeValues=values)
    assert found["Items"] == [key]
    person = {"partition": {"S": "acme--people"}, "sk": {"S": "somebody"}}
    table.put_item(TableName="cedarfleet-audit", Item=person)
    table.delete_item(TableName="cedarfleet-audit", Key=person)
    assert "Item" not in table.get_item(TableName="cedarfleet-audit", Key=person)
    foreign = {"partition": {"S": "globex--people"}, "sk": {"S": "somebody"}}
    assert refused(table.delete_item, TableName="cedarfleet-audit", Key=foreign)
    assert refused(table.get_item, TableName="cedarfleet-audit", Key=foreign)


def test_a_tenants_session_reaches_its_own_bucket_and_store_only(
    project: Project, session: Callable[[str], Any]
) -> None:
    """Files, decisions and grants end at the tenant; schema and store stay as they are."""
    s3, policies = session("s3"), session("verifiedpermissions")
    made = {name: project.engine.outputs(name).outputs for name in ("acme", "globex")}
    s3.list_objects_v2(Bucket=made["acme"]["bucket"])
    assert refused(s3.list_objects_v2, Bucket=made["globex"]["bucket"])
    assert refused(s3.put_object, Bucket=made["acme"]["bucket"], Key="x", Body=b"")
    question = {
        "identityToken": "a.b.c",
        "action": {"actionType": "Fleet::Action", "actionId": "ListDevices"},
        "resource": {"entityType": "Fleet::Tenant", "entityId": "acme"},
    }
    with pytest.raises(
        ClientError, match="ValidationException"
    ):  # allowed to ask; the token is none
        policies.is_authorized_with_token(policyStoreId=made["acme"]["policy_store_id"], **question)
    assert refused(
        policies.is_authorized_with_token,
        policyStoreId=made["globex"]["policy_store_id"],
        **question,
    )
    # It copies its own policies, and makes and ends grants there (ADR 0038). No schema is written,
    # no policy changed in place, and nothing of another tenant's store read.
    own, other = (made[name]["policy_store_id"] for name in ("acme", "globex"))
    policies.list_policies(policyStoreId=own)
    assert refused(policies.list_policies, policyStoreId=other)
    assert refused(policies.get_schema, policyStoreId=other)
    definition = {"static": {"statement": "forbid (principal, action, resource) when { false };"}}
    grant = policies.create_policy(policyStoreId=own, definition=definition)["policyId"]
    assert refused(policies.update_policy, policyStoreId=own, policyId=grant, definition=definition)
    policies.delete_policy(policyStoreId=own, policyId=grant)
    assert refused(policies.create_policy, policyStoreId=other, definition=definition)
    assert refused(policies.put_schema, policyStoreId=own, definition={"cedarJson": "{}"})
    assert refused(policies.delete_policy_store, policyStoreId=own)
