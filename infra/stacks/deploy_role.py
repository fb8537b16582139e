"""A candidate for the role that stamps: what `pulumi up`, `refresh` and `destroy` of the stacks do.

What the embedded engine calls is shown: tests stamp, refresh, change and destroy both stacks with
this role's sessions, while the embedded cloud asks IAM. What only the real provider calls (reads of
a refresh, types that are recorded here) is by its source and AWS's pages: **not run**.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra import names
from infra.stacks import iam

MANAGED_POLICY: Final = 6144
"""Characters without blanks of one managed policy, ten of which a role may have (source: IAM user
guide, "IAM and AWS STS quotas")."""
NAME: Final = "stamping"
"""Of the role in tests. Not `cedarfleet-...`: those it may write, and itself it must not."""
_EVERY: Final = ("*",)


@dataclass(frozen=True, kw_only=True)
class Right:
    """Some actions of one service on the same resources.

    Attributes:
        policy: the document that it stands in.
        service: prefix of the actions.
        on: resources, behind `arn:aws:<service>:<region>:<account>:`, or a whole ARN with
            `{region}` and `{account}`; `*`: AWS knows none, or the name is AWS's to choose.
        stamping: actions of which a test shows the use, parted by blanks.
        provider: those that no test shows: what only the real provider asks for, the last release's
            resources, and changes that no test makes.
        when: condition operator -> key -> values.
    """

    policy: str
    service: str
    on: tuple[str, ...]
    stamping: str = ""
    provider: str = ""
    when: dict[str, dict[str, list[str]]] | None = None

    @property
    def shown(self) -> list[str]:
        """`stamping` as IAM spells it."""
        return [f"{self.service}:{one}" for one in self.stamping.split()]

    @property
    def told(self) -> list[str]:
        """`provider` as IAM spells it."""
        return [f"{self.service}:{one}" for one in self.provider.split()]

    def resources(self, *, region: str, account_id: str) -> list[str]:
        """As whole ARNs."""
        return [
            one.format(region=region, account=account_id)
            if one.startswith(("arn:", "*"))
            else f"arn:aws:{self.service}:{region}:{account_id}:{one}"
            for one in self.on
        ]


_ROLES: Final = tuple(
    f"arn:aws:iam::{{account}}:role{path}cedarfleet-*"
    for path in ("/", names.TENANT_ROLE_PATH, names.PRESIGN_ROLE_PATH, names.TELEMETRY_ROLE_PATH)
)
_BUCKETS: Final = ("arn:aws:s3:::*-artifacts-*", "arn:aws:s3:::cedarfleet-access-logs-*")
_PASSED_TO: Final = (
    "ecs-tasks.amazonaws.com",
    "firehose.amazonaws.com",
    "iot.amazonaws.com",
    "scheduler.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
_LINKED: Final = (
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "email.cognito-idp.amazonaws.com",
    "wafv2.amazonaws.com",
)
RIGHTS: Final[tuple[Right, ...]] = (
    # Roles: by their names alone. Whoever may write these may do whatever they may be given, so the
    # role that stamps is an administrator of the account in the end (docs/adr/0070).
    Right(
        policy="roles",
        service="iam",
        on=_ROLES,
        stamping=(
            "CreateRole DeleteRole DeleteRolePolicy GetRole GetRolePolicy PutRolePolicy "
            "TagRole UntagRole UpdateRole"
        ),
        provider=(
            "ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies "
            "UpdateAssumeRolePolicy UpdateRoleDescription"
        ),
    ),
    Right(
        policy="roles",
        service="iam",
        on=_ROLES,
        provider="PassRole",
        when={"StringEquals": {"iam:PassedToService": list(_PASSED_TO)}},
    ),
    Right(
        policy="roles",
        service="iam",
        on=("arn:aws:iam::{account}:role/aws-service-role/*",),
        provider="CreateServiceLinkedRole",
        when={"StringEquals": {"iam:AWSServiceName": list(_LINKED)}},
    ),
    # The network: EC2 chooses all names; a read knows no resource.
    Right(
        policy="network",
        service="ec2",
        on=_EVERY,
        stamping=(
            "AllocateAddress AssociateRouteTable AttachInternetGateway "
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateInternetGateway "
            "CreateNatGateway CreateRoute CreateRouteTable CreateSecurityGroup CreateSubnet "
            "CreateTags CreateVpc CreateVpcEndpoint DeleteInternetGateway DeleteNatGateway "
            "DeleteRoute DeleteRouteTable DeleteSecurityGroup DeleteSubnet DeleteTags "
            "DeleteVpc DeleteVpcEndpoints DescribeAddresses DescribeInternetGateways "
            "DescribeNatGateways DescribeRouteTables DescribeSecurityGroups DescribeSubnets "
            "DescribeVpcAttribute DescribeVpcEndpoints DescribeVpcs DetachInternetGateway "
            "DisassociateRouteTable ModifyVpcAttribute ReleaseAddress ReplaceRoute "
            "RevokeSecurityGroupEgress RevokeSecurityGroupIngress"
        ),
        provider=(
            "CreateFlowLogs DeleteFlowLogs DescribeAccountAttributes "
            "DescribeAddressesAttribute DescribeAvailabilityZones DescribeFlowLogs "
            "DescribeNetworkAcls DescribeNetworkInterfaces DescribePrefixLists "
            "DescribeSecurityGroupRules DisassociateAddress ModifySecurityGroupRules "
            "ModifySubnetAttribute ModifyVpcEndpoint ReplaceRouteTableAssociation"
        ),
    ),
    Right(
        policy="network",
        service="elasticloadbalancing",
        on=_EVERY,
        provider=(
            "AddTags CreateListener CreateLoadBalancer CreateTargetGroup DeleteListener "
            "DeleteLoadBalancer DeleteTargetGroup DescribeListenerAttributes "
            "DescribeListeners DescribeLoadBalancerAttributes DescribeLoadBalancers "
            "DescribeTags DescribeTargetGroupAttributes DescribeTargetGroups ModifyListener "
            "ModifyListenerAttributes ModifyLoadBalancerAttributes ModifyTargetGroup "
            "ModifyTargetGroupAttributes RemoveTags SetSecurityGroups SetSubnets SetWebACL"
        ),
    ),
    Right(
        policy="network",
        service="acm",
        on=("certificate/*",),
        stamping=(
            "AddTagsToCertificate DeleteCertificate DescribeCertificate RemoveTagsFromCertificate"
        ),
        provider="ListTagsForCertificate",
    ),
    Right(policy="network", service="acm", on=_EVERY, stamping="RequestCertificate"),
    Right(
        policy="network",
        service="route53",
        on=("arn:aws:route53:::hostedzone/*", "arn:aws:route53:::change/*"),
        provider="ChangeResourceRecordSets GetChange GetHostedZone ListResourceRecordSets",
    ),
    Right(
        policy="network",
        service="wafv2",
        on=(
            "regional/webacl/cedarfleet/*",
            "regional/managedruleset/*/*",
            "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/app/cedarfleet/*",
        ),
        provider=(
            "AssociateWebACL CreateWebACL DeleteLoggingConfiguration DeleteWebACL "
            "DisassociateWebACL GetLoggingConfiguration GetWebACL GetWebACLForResource "
            "ListTagsForResource PutLoggingConfiguration TagResource UntagResource "
            "UpdateWebACL"
        ),
    ),
    # Data.
    Right(
        policy="data",
        service="dynamodb",
        on=("table/cedarfleet-*",),
        stamping=(
            "CreateTable DeleteTable DescribeContinuousBackups DescribeTable "
            "DescribeTimeToLive TagResource UntagResource UpdateContinuousBackups "
            "UpdateTimeToLive"
        ),
        provider="ListTagsOfResource UpdateTable",
    ),
    Right(
        policy="data",
        service="dynamodb",
        on=("table/cedarfleet-tenants",),
        stamping="DeleteItem GetItem PutItem",
        provider="UpdateItem",
    ),
    Right(
        policy="data",
        service="s3",
        on=_BUCKETS,
        stamping=(
            "CreateBucket DeleteBucket DeleteBucketPolicy GetBucketCORS "
            "GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock "
            "GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration ListBucket "
            "ListBucketVersions PutBucketCORS PutBucketOwnershipControls PutBucketPolicy "
            "PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning "
            "PutEncryptionConfiguration PutLifecycleConfiguration"
        ),
        provider=(
            "GetAccelerateConfiguration GetBucketAcl GetBucketLocation GetBucketLogging "
            "GetBucketObjectLockConfiguration GetBucketRequestPayment GetBucketTagging "
            "GetBucketWebsite GetReplicationConfiguration"
        ),
    ),
    # A bucket that is not protected any more is emptied before it is deleted.
    Right(
        policy="data",
        service="s3",
        on=tuple(f"{bucket}/*" for bucket in _BUCKETS),
        provider="DeleteObject DeleteObjectVersion",
    ),
    Right(
        policy="data",
        service="kms",
        on=("key/*",),
        stamping=(
            "DescribeKey EnableKeyRotation GetKeyRotationStatus ScheduleKeyDeletion "
            "TagResource UntagResource"
        ),
        provider="DisableKeyRotation GetKeyPolicy ListResourceTags UpdateKeyDescription",
    ),
    Right(policy="data", service="kms", on=_EVERY, stamping="CreateKey"),
    Right(
        policy="data",
        service="sqs",
        on=("cedarfleet-*",),
        stamping=(
            "CreateQueue DeleteQueue GetQueueAttributes SetQueueAttributes TagQueue UntagQueue"
        ),
        provider="GetQueueUrl ListQueueTags",
    ),
    Right(
        policy="data",
        service="firehose",
        on=("deliverystream/cedarfleet-*",),
        stamping=(
            "CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream "
            "TagDeliveryStream UntagDeliveryStream"
        ),
        provider="ListTagsForDeliveryStream UpdateDestination",
    ),
    Right(
        policy="data",
        service="secretsmanager",
        on=("secret:cedarfleet/*",),
        provider="GetSecretValue",
    ),
    # People and what they may do.
    Right(
        policy="people",
        service="cognito-idp",
        on=("userpool/*",),
        stamping=(
            "CreateGroup CreateIdentityProvider CreateResourceServer CreateUserPoolClient "
            "CreateUserPoolDomain DeleteGroup DeleteIdentityProvider DeleteResourceServer "
            "DeleteUserPool DeleteUserPoolClient DeleteUserPoolDomain "
            "DescribeIdentityProvider DescribeResourceServer DescribeUserPool "
            "DescribeUserPoolClient GetGroup SetUserPoolMfaConfig TagResource UntagResource "
            "UpdateGroup UpdateIdentityProvider UpdateResourceServer UpdateUserPool "
            "UpdateUserPoolClient"
        ),
        provider=(
            "AddCustomAttributes DescribeRiskConfiguration GetUserPoolMfaConfig "
            "ListTagsForResource SetRiskConfiguration"
        ),
    ),
    Right(
        policy="people",
        service="cognito-idp",
        on=_EVERY,
        stamping="CreateUserPool DescribeUserPoolDomain",
    ),
    Right(
        policy="people",
        service="verifiedpermissions",
        on=("arn:aws:verifiedpermissions::{account}:policy-store/*",),
        stamping=(
            "CreateIdentitySource CreatePolicy CreatePolicyTemplate DeleteIdentitySource "
            "DeletePolicy DeletePolicyStore DeletePolicyTemplate GetIdentitySource GetPolicy "
            "GetPolicyStore GetPolicyTemplate GetSchema PutSchema TagResource UntagResource "
            "UpdateIdentitySource UpdatePolicy UpdatePolicyStore UpdatePolicyTemplate"
        ),
        provider="ListTagsForResource",
    ),
    Right(
        policy="people",
        service="verifiedpermissions",
        on=_EVERY,
        stamping="CreatePolicyStore",
    ),
    Right(
        policy="people",
        service="ses",
        on=("identity/*",),
        provider=(
            "CreateEmailIdentity DeleteEmailIdentity GetEmailIdentity ListTagsForResource "
            "PutEmailIdentityDkimAttributes TagResource UntagResource"
        ),
    ),
    # Devices.
    Right(
        policy="devices",
        service="iot",
        on=(
            "policy/*",
            "rule/cedarfleet_*",
            "thinggroup/*",
            "thingtype/cedarfleet-*",
            "domainconfiguration/cedarfleet-*",
            "provisioningtemplate/*",
        ),
        stamping=(
            "CreateDomainConfiguration CreatePolicy CreatePolicyVersion CreateThingGroup "
            "CreateThingType CreateTopicRule DeleteDomainConfiguration DeletePolicy "
            "DeletePolicyVersion DeleteThingGroup DeleteThingType DeleteTopicRule "
            "DeprecateThingType DescribeDomainConfiguration DescribeThingGroup "
            "DescribeThingType GetPolicy GetTopicRule ListPolicyVersions ReplaceTopicRule "
            "TagResource UntagResource UpdateDomainConfiguration UpdateThingGroup"
        ),
        provider=(
            "DeleteProvisioningTemplate DescribeProvisioningTemplate GetPolicyVersion "
            "ListTagsForResource ListTargetsForPolicy"
        ),
    ),
    Right(
        policy="devices",
        service="iot",
        on=_EVERY,
        stamping="DescribeEndpoint DescribeEventConfigurations UpdateEventConfigurations",
        provider="GetV2LoggingOptions SetV2LoggingOptions",
    ),
    # What runs, and who watches it.
    Right(
        policy="running",
        service="ecr",
        on=("repository/cedarfleet-*",),
        stamping=(
            "CreateRepository DeleteLifecyclePolicy DeleteRepository DescribeRepositories "
            "GetLifecyclePolicy PutImageTagMutability PutLifecyclePolicy TagResource "
            "UntagResource"
        ),
        provider="ListTagsForResource PutImageScanningConfiguration",
    ),
    Right(
        policy="running",
        service="ecs",
        on=(
            "cluster/cedarfleet",
            "service/cedarfleet/*",
            "task-definition/cedarfleet-*:*",
        ),
        stamping="DeleteCluster DescribeClusters TagResource UntagResource",
        provider=(
            "CreateService DeleteService DescribeServices ListServiceDeployments "
            "ListTagsForResource UpdateCluster UpdateService"
        ),
    ),
    Right(
        policy="running",
        service="ecs",
        on=_EVERY,
        stamping=(
            "CreateCluster DeregisterTaskDefinition DescribeTaskDefinition RegisterTaskDefinition"
        ),
        provider="DescribeServiceDeployments",
    ),
    Right(
        policy="running",
        service="application-autoscaling",
        on=("scalable-target/*",),
        provider=(
            "DeleteScalingPolicy DeregisterScalableTarget ListTagsForResource "
            "PutScalingPolicy RegisterScalableTarget TagResource UntagResource"
        ),
    ),
    Right(
        policy="running",
        service="application-autoscaling",
        on=_EVERY,
        provider="DescribeScalableTargets DescribeScalingPolicies",
    ),
    Right(
        policy="running",
        service="logs",
        on=(
            "log-group:/cedarfleet/*",
            f"log-group:{names.FIREWALL_LOG}*",
            f"log-group:{names.IOT_LOG}*",
        ),
        stamping="CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource UntagResource",
        provider="DeleteRetentionPolicy ListTagsForResource",
    ),
    Right(
        policy="running",
        service="logs",
        on=_EVERY,
        stamping=(
            "DeleteResourcePolicy DescribeLogGroups DescribeResourcePolicies PutResourcePolicy"
        ),
        provider="CreateLogDelivery DeleteLogDelivery",
    ),
    Right(
        policy="running",
        service="cloudwatch",
        on=(
            "alarm:cedarfleet-*",
            "arn:aws:cloudwatch::{account}:dashboard/cedarfleet",
        ),
        stamping=(
            "DeleteAlarms DeleteDashboards DescribeAlarms GetDashboard PutDashboard "
            "PutMetricAlarm TagResource UntagResource"
        ),
        provider="ListTagsForResource",
    ),
    Right(
        policy="running",
        service="sns",
        on=("cedarfleet-*",),
        stamping=(
            "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes TagResource "
            "UntagResource"
        ),
        provider="ListTagsForResource",
    ),
    Right(
        policy="running",
        service="budgets",
        on=("arn:aws:budgets::{account}:budget/cedarfleet-*",),
        provider="ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget",
    ),
)


POLICIES: Final = frozenset(right.policy for right in RIGHTS)
"""Names of the documents."""


def policies(*, region: str, account_id: str) -> dict[str, iam.Document]:
    """The role's managed policies by name; each fits what IAM takes.

    Args:
        region: AWS region of the platform.
        account_id: twelve digits.
    """
    documents: dict[str, list[iam.Statement]] = {}
    for right in RIGHTS:
        statements = documents.setdefault(right.policy, [])
        statements.append(
            iam.allow(
                f"{right.policy.capitalize()}{len(statements)}",
                sorted((*right.shown, *right.told)),
                right.resources(region=region, account_id=account_id),
                when=right.when,
            )
        )
    return {name: iam.document(*statements) for name, statements in documents.items()}


def only_by_provider() -> frozenset[str]:
    """Actions, as IAM spells them, that no test shows the use of: *not run*."""
    shown = {action for right in RIGHTS for action in right.shown}
    return frozenset({action for right in RIGHTS for action in right.told} - shown)
