"""What somebody changes by hand in a stamped platform and tenant, and what must show of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import ProcessCloud

Found = dict[str, list[str]]


def change_platform(cloud: ProcessCloud, named: Callable[[str], dict[str, Any]]) -> Found:
    """Change what can be changed of each kind; logical name -> inputs that must show.

    Args:
        cloud: where it stands.
        named: the state's resource of a logical name (`type@name` where two have it).
    """
    dynamodb, ec2, iot = (cloud.client(each) for each in ("dynamodb", "ec2", "iot"))
    table = named("aws:dynamodb/table:Table@tables-audit")["id"]
    dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": False}
    )
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    cloud.client("sqs").set_queue_attributes(
        QueueUrl=named("aws:sqs/queue:Queue@fleet-status-errors")["id"],
        Attributes={"MessageRetentionPeriod": "60"},
    )
    cloud.client("ecr").put_image_tag_mutability(
        repositoryName="cedarfleet-service", imageTagMutability="MUTABLE"
    )
    alarm = named("alarms-status-lost")["outputs"]
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm["name"],
        Namespace=alarm["namespace"],
        MetricName=alarm["metricName"],
        Dimensions=[{"Name": "QueueName", "Value": "another"}],
        Statistic=alarm["statistic"],
        ComparisonOperator=alarm["comparisonOperator"],
        Threshold=99,
        Period=3600,
        EvaluationPeriods=alarm["evaluationPeriods"],
        TreatMissingData=alarm["treatMissingData"],
    )
    ec2.modify_vpc_attribute(VpcId=named("network-vpc")["id"], EnableDnsHostnames={"Value": False})
    cloud.client("iam").update_role(RoleName="cedarfleet-status-rule", Description="by hand")
    rule = iot.get_topic_rule(ruleName="cedarfleet_command_status")["rule"]
    iot.replace_topic_rule(
        ruleName="cedarfleet_command_status",
        topicRulePayload={
            "sql": rule["sql"],
            "awsIotSqlVersion": rule["awsIotSqlVersion"],
            "description": "by hand",
            "actions": [],
        },
    )
    cloud.client("logs").put_retention_policy(logGroupName="/cedarfleet/service", retentionInDays=1)
    cloud.client("kms").enable_key_rotation(
        KeyId=named("webhooks-key")["id"], RotationPeriodInDays=2560
    )
    cloud.client("sns").set_topic_attributes(
        TopicArn=named("bill-topic")["id"],
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    return {
        "tables-audit": ["pointInTimeRecovery", "ttl"],
        "fleet-status-errors": ["messageRetentionSeconds"],
        "api-images": ["imageTagMutability"],
        "alarms-status-lost": [
            "alarmActions",
            "alarmDescription",
            "dimensions",
            "okActions",
            "period",
            "threshold",
        ],
        "network-vpc": ["enableDnsHostnames"],
        "fleet-status": ["description"],
        "fleet-status (rule)": ["description", "dynamodbv2s", "errorAction"],
        "api-log": ["retentionInDays"],
        "webhooks-key": ["rotationPeriodInDays"],
        "bill-topic": ["policy"],
    }


def change_tenant(cloud: ProcessCloud, named: Callable[[str], dict[str, Any]]) -> Found:
    """Likewise of a tenant's stack."""
    iot, s3 = cloud.client("iot"), cloud.client("s3")
    policies, cognito = cloud.client("verifiedpermissions"), cloud.client("cognito-idp")
    iot.update_thing_group(
        thingGroupName="acme",
        thingGroupProperties={
            "thingGroupDescription": "by hand",
            "attributePayload": {"attributes": {"tenant": "globex"}},
        },
    )
    bucket = named("artifacts-bucket")["id"]
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False}
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    rules[0]["NoncurrentVersionExpiration"] = {"NoncurrentDays": 1}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    cloud.client("iam").update_role(RoleName="cedarfleet-acme", MaxSessionDuration=7200)
    store = named("policies-store")["id"]
    policies.update_policy_store(
        policyStoreId=store, description="by hand", validationSettings={"mode": "OFF"}
    )
    schema = json.loads(policies.get_schema(policyStoreId=store)["schema"])
    schema["Fleet"]["entityTypes"]["ByHand"] = {}
    policies.put_schema(policyStoreId=store, definition={"cedarJson": json.dumps(schema)})
    pool = named("identity-pool")["id"]
    cognito.update_user_pool(
        UserPoolId=pool,
        AutoVerifiedAttributes=["email"],
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": False},
        Policies={"PasswordPolicy": {"MinimumLength": 6}},
    )
    app = named("identity-app")
    given = {"ClientName": "app", "RefreshTokenValidity": 1, "ReadAttributes": ["email"]}
    cognito.update_user_pool_client(UserPoolId=pool, ClientId=app["id"], **given)
    return {
        "access-role": ["maxSessionDuration"],
        "fleet-devices": ["properties", "version"],
        "artifacts-private": [
            "blockPublicAcls",
            "blockPublicPolicy",
            "ignorePublicAcls",
            "restrictPublicBuckets",
        ],
        "artifacts-versions": ["versioningConfiguration"],
        "artifacts-lifecycle": ["rules"],
        "policies-store": ["description", "validationSettings"],
        "policies-schema": ["definition"],
        "identity-pool": ["adminCreateUserConfig", "passwordPolicy", "userPoolAddOns"],
        "identity-app": ["readAttributes", "refreshTokenValidity"],
    }
