"""AWS's quotas of what may stand: how many of something, one row each (see ``table``)."""

from __future__ import annotations

from typing import Final

from infra.local.cloud.limits.rows import (
    COGNITO,
    CORE,
    FIREHOSE,
    GROUPS,
    IAM,
    MANAGEMENT,
    NETWORK,
    Count,
)

_INVALID: Final = "InvalidRequestException"
_EXCEEDED: Final = "LimitExceededException"
_VERSIONS: Final = "VersionsLimitExceededException"
COUNTS: Final = (
    Count(
        id="groups-of-a-thing",
        service="iot",
        operations=("AddThingToThingGroup",),
        what="thing groups that hold one thing",
        figure=10,
        page=GROUPS,
        code=_INVALID,
    ),
    Count(
        id="groups-of-one-hierarchy",
        service="iot",
        operations=("AddThingToThingGroup",),
        what="groups of one hierarchy (siblings, ancestors) that hold one thing",
        figure=1,
        page=GROUPS,
        code=_INVALID,
    ),
    Count(
        id="children-of-a-group",
        service="iot",
        operations=("CreateThingGroup",),
        what="direct child groups of a thing group",
        figure=100,
        page=CORE,
        code=_INVALID,
        assumed=True,  # the code
    ),
    Count(
        id="levels-of-a-hierarchy",
        service="iot",
        operations=("CreateThingGroup",),
        what="levels of a hierarchy of thing groups",
        figure=7,
        page=CORE,
        code=_INVALID,
        assumed=True,  # the code
    ),
    Count(
        id="attributes-of-a-typed-thing",
        service="iot",
        operations=("CreateThing", "UpdateThing"),
        what="attributes of a thing that has a thing type",
        figure=50,
        page=CORE,
        code=_INVALID,
    ),
    Count(
        id="attributes-of-an-untyped-thing",
        service="iot",
        operations=("CreateThing", "UpdateThing"),
        what="attributes of a thing without a thing type",
        figure=3,
        page=CORE,
        code=_INVALID,
    ),
    Count(
        id="provisioning-templates",
        service="iot",
        operations=("CreateProvisioningTemplate",),
        what="provisioning templates of an account",
        figure=256,
        page=CORE,
        code=_INVALID,
        assumed=True,  # the code: the model lists none for a quota
    ),
    Count(
        id="domain-configurations",
        service="iot",
        operations=("CreateDomainConfiguration",),
        what="domain configurations of an account",
        figure=10,
        page=CORE,  # L-89635276 "Configurable endpoints: maximum number of domain configurations"
        code=_EXCEEDED,
        status=410,
        assumed=True,  # the figure, which our copies of the page do not show
    ),
    Count(
        id="versions-of-a-template",
        service="iot",
        operations=("CreateProvisioningTemplateVersion",),
        what="versions of a provisioning template",
        figure=5,
        page=CORE,
        code=_VERSIONS,
        status=409,
    ),
    Count(
        id="versions-of-a-device-policy",
        service="iot",
        operations=("CreatePolicyVersion",),
        what="versions of an IoT policy",
        figure=5,
        page=CORE,
        code=_VERSIONS,
        status=409,
    ),
    Count(
        id="policies-of-a-certificate",
        service="iot",
        operations=("AttachPolicy",),
        what="IoT policies attached to a certificate or group",
        figure=10,
        page=CORE,
        code=_EXCEEDED,
        status=410,
    ),
    Count(
        id="characters-of-a-device-policy",
        service="iot",
        operations=("CreatePolicy", "CreatePolicyVersion"),
        what="characters of an IoT policy, white space not counted",
        figure=2048,
        page=CORE,
        code="MalformedPolicyException",
    ),
    Count(
        id="targets-of-a-job",
        service="iot",
        operations=("CreateJob",),
        what="targets of a job",
        figure=100,
        page=MANAGEMENT,
        code=_EXCEEDED,
        status=410,
        assumed=True,  # the code
    ),
    # In the page's words: "Roles in an AWS account: 1,000", "Role trust policy length: 2,048
    # characters", and of a role's inline policies together "10,240 characters".
    Count(
        id="roles",
        service="iam",
        operations=("CreateRole",),
        what="roles of an account",
        figure=1000,
        page=IAM,
        code="LimitExceeded",
        status=409,
    ),
    Count(
        id="characters-of-inline-policies",
        service="iam",
        operations=("PutRolePolicy",),
        what="characters of a role's inline policies, white space not counted",
        figure=10_240,
        page=IAM,
        code="LimitExceeded",
        status=409,
    ),
    Count(
        id="characters-of-a-trust-policy",
        service="iam",
        operations=("CreateRole", "UpdateAssumeRolePolicy"),
        what="characters of a role's trust policy, white space not counted",
        figure=2048,
        page=IAM,
        code="LimitExceeded",
        status=409,
    ),
    # "User pools per account: 1,000", "App clients per user pool: 1,000", "Groups per user pool:
    # 10,000", "Resource servers per user pool: 25".
    Count(
        id="user-pools",
        service="cognito-idp",
        operations=("CreateUserPool",),
        what="user pools of an account",
        figure=1000,
        page=COGNITO,
        code=_EXCEEDED,
    ),
    Count(
        id="clients-of-a-pool",
        service="cognito-idp",
        operations=("CreateUserPoolClient",),
        what="app clients of a user pool",
        figure=1000,
        page=COGNITO,
        code=_EXCEEDED,
    ),
    Count(
        id="groups-of-a-pool",
        service="cognito-idp",
        operations=("CreateGroup",),
        what="groups of a user pool",
        figure=10_000,
        page=COGNITO,
        code=_EXCEEDED,
    ),
    Count(
        id="resource-servers-of-a-pool",
        service="cognito-idp",
        operations=("CreateResourceServer",),
        what="resource servers of a user pool",
        figure=25,
        page=COGNITO,
        code=_EXCEEDED,
    ),
    Count(
        id="streams",
        service="firehose",
        operations=("CreateDeliveryStream",),
        what="Firehose streams of a region",
        figure=50,
        page=FIREHOSE,  # "each account can have up to 50 [...] delivery streams per Region"
        code=_EXCEEDED,
        assumed=True,  # that it stands: an earlier copy of the page says so, the latest does not
    ),
    # "VPCs per Region: 5", "Elastic IP addresses per Region: 5"; the codes are of the EC2 API
    # reference, "Error codes".
    Count(
        id="networks",
        service="ec2",
        operations=("CreateVpc",),
        what="VPCs of a region",
        figure=5,
        page=NETWORK,
        code="VpcLimitExceeded",
    ),
    Count(
        id="addresses",
        service="ec2",
        operations=("AllocateAddress",),
        what="elastic IP addresses of a region",
        figure=5,
        page=NETWORK,
        code="AddressLimitExceeded",
    ),
)
