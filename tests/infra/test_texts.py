"""Names and descriptions are what AWS takes: it would fail half way, the laptop takes any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.infra.stamped import Stamped, resources

if TYPE_CHECKING:
    from tests.infra.conftest import Project

# EC2 API reference, CreateSecurityGroup; IAM, CreateRole; AWS IoT, CreateThingGroup and
# CreateProvisioningTemplate; Elastic Load Balancing, CreateLoadBalancer and CreateTargetGroup;
# CloudWatch, PutMetricAlarm; Cognito, CreateGroup; Verified Permissions, CreatePolicyStore and
# CreatePolicyTemplate; KMS, CreateKey.
PRINTABLE = r"[ -~]"
FORMS = {
    (
        "aws:ec2/securityGroup:SecurityGroup",
        "name",
    ): r"(?!sg-)[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}",
    (
        "aws:ec2/securityGroup:SecurityGroup",
        "description",
    ): r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}",
    ("aws:iam/role:Role", "name"): r"[\w+=,.@-]{1,64}",
    ("aws:iam/role:Role", "description"): r"[\t\n\r -~¡-ÿ]{0,1000}",
    ("aws:iam/role:Role", "path"): r"/(?:[!-~]{1,510}/)?",
    ("aws:iam/rolePolicy:RolePolicy", "name"): r"[\w+=,.@-]{1,128}",
    ("aws:iot/thingGroup:ThingGroup", "name"): r"[a-zA-Z0-9:_-]{1,128}",
    ("aws:iot/thingGroup:ThingGroup", "properties.description"): PRINTABLE + r"{0,2028}",
    ("aws:iot/thingType:ThingType", "name"): r"[a-zA-Z0-9:_-]{1,128}",
    ("aws:iot/thingType:ThingType", "properties.description"): PRINTABLE + r"{0,2028}",
    ("aws:iot/policy:Policy", "name"): r"[\w+=,.@-]{1,128}",
    ("aws:iot/topicRule:TopicRule", "name"): r"[a-zA-Z0-9_]{1,128}",
    ("aws:iot/topicRule:TopicRule", "description"): PRINTABLE + r"{0,256}",
    (
        "aws:lb/loadBalancer:LoadBalancer",
        "name",
    ): r"(?!internal-)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?",
    ("aws:lb/targetGroup:TargetGroup", "name"): r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?",
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "alarmDescription"): PRINTABLE + r"{0,1024}",
    ("aws:cloudwatch/logGroup:LogGroup", "name"): r"[.\-_/#A-Za-z0-9]{1,512}",
    ("aws:sqs/queue:Queue", "name"): r"[a-zA-Z0-9_-]{1,80}",
    ("aws:sns/topic:Topic", "name"): r"[a-zA-Z0-9_-]{1,256}",
    ("aws:ecr/repository:Repository", "name"): r"[a-z0-9]+(?:[._/-][a-z0-9]+)*",
    ("aws:dynamodb/table:Table", "name"): r"[a-zA-Z0-9_.-]{3,255}",
    ("aws:cognito/userPool:UserPool", "name"): r"[\w\s+=,.@-]{1,128}",
    ("aws:cognito/userGroup:UserGroup", "name"): r"[!-~]{1,128}",
    ("aws:cognito/userGroup:UserGroup", "description"): r"(?s).{0,2048}",
    ("aws:verifiedpermissions/policyStore:PolicyStore", "description"): r"(?s).{0,150}",
    ("aws:verifiedpermissions/policyTemplate:PolicyTemplate", "description"): r"(?s).{0,150}",
    ("aws:kms/key:Key", "description"): r"(?s).{0,8192}",
    ("aws:wafv2/webAcl:WebAcl", "name"): r"[\w\-]{1,128}",
    (
        "aws:wafv2/webAcl:WebAcl",
        "description",
    ): r"[\w+=:#@/\-,.][\w+=:#@/\-,.\s]{1,254}[\w+=:#@/\-,.]",
    ("aws:s3/bucket:Bucket", "bucketPrefix"): r"(?!xn--)[a-z0-9][a-z0-9.-]{0,36}",
}


def texts(found: Stamped) -> list[tuple[str, str]]:
    """Names and descriptions of a resource, also those one level down."""
    inputs = found.inputs | {
        f"{key}.{inner}": value
        for key, part in found.inputs.items()
        if isinstance(part, dict)
        for inner, value in part.items()
    }
    wanted = ("name", "description", "path", "alarmDescription", "bucketPrefix")
    return [
        (key, value)
        for key, value in inputs.items()
        if key.rpartition(".")[2] in wanted and isinstance(value, str)
    ]


@pytest.mark.parametrize("stack", ["platform", "acme", "globex"])
def test_every_text_is_one_that_aws_takes(project: Project, stack: str) -> None:
    """Characters and length of names and descriptions fit the service that gets them."""
    stamped = resources(project.root, stack)
    wrong = [
        f"{one.name}: {key}: `{value}`"
        for one in stamped
        for key, value in texts(one)
        if (form := FORMS.get((one.kind, key))) is not None
        and re.fullmatch(form, value, re.ASCII) is None
    ]
    assert wrong == []
    assert len({(one.kind, key) for one in stamped for key, _ in texts(one)} & FORMS.keys()) > 8


def test_no_description_is_without_a_rule(project: Project) -> None:
    """A description added to the program needs a rule here: somebody must ask what AWS takes."""
    described = {
        (one.kind, key)
        for stack in ("platform", "acme")
        for one in resources(project.root, stack)
        for key, _ in texts(one)
        if "escription" in key
    }
    assert len(described) > 5
    assert described <= FORMS.keys()
