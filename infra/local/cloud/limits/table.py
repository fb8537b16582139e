"""AWS's figures: what may stand, how fast one may call, how long a change takes. One row each.

Every row names the page that says so. ``assumed``: AWS publishes no figure (or no error code), and
ours is a guess on the strict side. Figures are of an account in eu-central-1 that has asked for no
increase; other regions have a tenth of some of them.
"""

from __future__ import annotations

from typing import Final

from infra.local.cloud.limits.rows import (
    API,
    COGNITO,
    CORE,
    FIREHOSE,
    GUIDE,
    KMS,
    MANAGEMENT,
    POLICIES,
    Bound,
    Delay,
    Rate,
)


def _registry(operation: str, figure: float, page: str = CORE, *, assumed: bool = False) -> Rate:
    return Rate(
        id=f"calls-of-{operation}",
        service="iot",
        operations=(operation,),
        figure=figure,
        page=page,
        assumed=assumed,
    )


def _store(figure: float, *operations: str, assumed: bool = False) -> Rate:
    return Rate(
        id=f"calls-of-{operations[0]}-on-a-store",
        service="verifiedpermissions",
        operations=operations,
        figure=figure,
        page=POLICIES,
        per="policyStoreId",
        assumed=assumed,
    )


def _pools(category: str, figure: float, *operations: str) -> Rate:
    """A category of Cognito's page, of all user pools of the account together."""
    return Rate(
        id=f"calls-of-{category}",
        service="cognito-idp",
        operations=operations,
        figure=figure,
        page=COGNITO,
        code="TooManyRequestsException",
    )


def _pool(operation: str) -> Rate:
    """One operation on one pool: 5 a second, says a footnote of Cognito's page."""
    return Rate(
        id=f"calls-of-{operation}-on-a-pool",
        service="cognito-idp",
        operations=(operation,),
        figure=5,
        page=COGNITO,
        per="UserPoolId",
        code="TooManyRequestsException",
        assumed=operation in _OF_SECRETS,
    )


# That page names none of the three operations of secrets; that they count as those of the client
# does is assumed.
_OF_SECRETS: Final = (
    "AddUserPoolClientSecret",
    "DeleteUserPoolClientSecret",
    "ListUserPoolClientSecrets",
)
CLIENT_READS: Final = ("DescribeUserPoolClient", "ListUserPoolClients", _OF_SECRETS[2])
CLIENT_CHANGES: Final = (
    "CreateUserPoolClient",
    "DeleteUserPoolClient",
    "UpdateUserPoolClient",
    *_OF_SECRETS[:2],
)
PUBLISHES_OF_A_CONNECTION: Final = Rate(
    id="publishes-of-a-connection", service="mqtt", operations=("PUBLISH",), figure=100, page=CORE
)
CONNECTS_OF_A_CLIENT: Final = Rate(
    id="connects-of-a-client", service="mqtt", operations=("CONNECT",), figure=1, page=CORE
)
STORED_MESSAGES: Final = Rate(
    id="stored-messages", service="mqtt", operations=("delivery",), figure=10, page=CORE
)
QUEUED_MESSAGES: Final = Rate(
    id="queued-messages",
    service="mqtt",
    operations=("queue",),
    figure=500,
    page=CORE,
    # That those too many are lost, AWS says of shared subscriptions (page "MQTT").
    assumed=True,
)
RECORDS_OF_A_STREAM: Final = Rate(
    id="records-of-a-stream",
    service="firehose",
    operations=("PutRecord",),
    figure=1000,
    # Of "Europe (Frankfurt)": "1,000 requests/second"; 2,000 in Ireland, Virginia and Oregon.
    page=FIREHOSE,
    per="DeliveryStreamName",
    code="ServiceUnavailableException",
    status=500,
)
CALLS_OF_A_THINGS_SHADOWS: Final = Rate(
    id="calls-of-a-things-shadows",
    service="iot-data",
    operations=("DeleteThingShadow", "GetThingShadow", "UpdateThingShadow"),
    figure=20,
    page=CORE,  # "Device Shadow API requests/second per thing", by MQTT and HTTP together
    per="thingName",
    status=429,
)
RATES: Final = (
    RECORDS_OF_A_STREAM,
    _registry("DescribeThing", 350),
    _registry("ListThingGroupsForThing", 100),
    _registry("ListThingsInThingGroup", 25),
    _registry("DescribeThingGroup", 100),
    _registry("CreateThing", 100),
    _registry("UpdateThing", 100),
    _registry("CreateThingGroup", 25),
    _registry("AddThingToThingGroup", 100),
    _registry("RemoveThingFromThingGroup", 100),
    _registry("AttachThingPrincipal", 100),
    # The figures are from memory of that page.
    _registry("CreateCertificateFromCsr", 15, assumed=True),
    _registry("AttachPolicy", 15, assumed=True),
    _registry("DescribeCertificate", 10, assumed=True),
    _registry("ListThingPrincipals", 10, assumed=True),
    _registry("UpdateCertificate", 10, assumed=True),
    _registry("SearchIndex", 15, MANAGEMENT),
    _registry("GetThingConnectivityData", 350, MANAGEMENT),
    _registry("CreateJob", 10, MANAGEMENT),
    _registry("DescribeJob", 10, MANAGEMENT),
    _registry("ListJobExecutionsForJob", 10, MANAGEMENT),
    _registry("DescribeJobExecution", 10, MANAGEMENT),
    _registry("CancelJob", 10, MANAGEMENT),
    _registry("CancelJobExecution", 10, MANAGEMENT, assumed=True),
    _registry("ListJobExecutionsForThing", 10, MANAGEMENT, assumed=True),
    Rate(
        # "20,000 (shared) in the following Regions: [...] Europe (Frankfurt)"; 10,000 elsewhere,
        # 100,000 in three: of the account, its symmetric keys and all who use them together.
        id="calls-of-symmetric-keys",
        service="kms",
        operations=("Decrypt", "Encrypt"),
        figure=20_000,
        page=KMS,
    ),
    Rate(
        # "1,000 (shared) for elliptic curve (ECC)" keys.
        id="signatures-of-elliptic-curves",
        service="kms",
        operations=("Sign", "Verify"),
        figure=1_000,
        page=KMS,
    ),
    Rate(
        id="calls-of-GetPublicKey",
        service="kms",
        operations=("GetPublicKey",),
        figure=2_000,
        page=KMS,
    ),
    Rate(
        id="calls-of-Publish",
        service="iot-data",
        operations=("Publish",),
        figure=20_000,
        page=CORE,
    ),
    Rate(
        id="calls-of-DeleteConnection",
        service="iot-data",
        operations=("DeleteConnection",),
        figure=100,
        page=CORE,
    ),
    Rate(
        id="calls-of-SendDirectMessage",
        service="iot-data",
        operations=("SendDirectMessage",),
        figure=100,
        page=f"{GUIDE}direct-messaging.html",
        status=429,
        assumed=True,  # the figure: AWS says that there is one, and not which
    ),
    Rate(
        id="writes-of-job-executions",
        service="iot-jobs-data",
        operations=("StartNextPendingJobExecution", "UpdateJobExecution"),
        figure=200,
        page=MANAGEMENT,
    ),
    Rate(
        id="reads-of-job-executions",
        service="iot-jobs-data",
        operations=("DescribeJobExecution", "GetPendingJobExecutions"),
        figure=200,
        page=MANAGEMENT,
    ),
    _store(200, "IsAuthorized"),
    _store(200, "IsAuthorizedWithToken"),
    _store(30, "BatchIsAuthorized"),
    _store(30, "BatchIsAuthorizedWithToken"),
    _store(10, "CreatePolicy"),
    _store(10, "UpdatePolicy"),
    _store(10, "DeletePolicy"),
    _store(10, "PutSchema"),
    _store(10, "ListPolicies"),
    _store(10, "ListPolicyTemplates"),
    _store(10, "GetPolicy"),
    _store(10, "GetPolicyTemplate"),
    _store(10, "GetSchema"),
    # The page does not name it, and a call may ask of several stores: that of GetPolicy, for all.
    Rate(
        id="calls-of-BatchGetPolicy",
        service="verifiedpermissions",
        operations=("BatchGetPolicy",),
        figure=10,
        page=POLICIES,
        assumed=True,
    ),
    _pools("UserCreation", 50, "AdminCreateUser", "SignUp", "ConfirmSignUp", "AdminConfirmSignUp"),
    _pools("UserRead", 120, "AdminGetUser", "GetUser"),
    _pools(
        "UserUpdate",
        25,
        "AdminAddUserToGroup",
        "AdminRemoveUserFromGroup",
        "AdminDisableUser",
        "AdminEnableUser",
        "AdminUserGlobalSignOut",
        "AdminUpdateUserAttributes",
        "AdminDeleteUser",
        "GlobalSignOut",
        "UpdateUserAttributes",
    ),
    _pools("UserResourceRead", 50, "AdminListGroupsForUser"),
    _pools("UserList", 30, "ListUsers", "ListUsersInGroup"),
    _pools("UserPoolClientRead", 15, *CLIENT_READS),
    _pools("UserPoolClientUpdate", 15, *CLIENT_CHANGES),
    *(_pool(operation) for operation in (*CLIENT_READS, *CLIENT_CHANGES)),
    PUBLISHES_OF_A_CONNECTION,
    CONNECTS_OF_A_CLIENT,
    STORED_MESSAGES,
    QUEUED_MESSAGES,
    CALLS_OF_A_THINGS_SHADOWS,
)

SUBSCRIPTIONS_OF_A_CONNECTION: Final = Bound(
    id="subscriptions-of-a-connection",
    what="subscriptions of a connection",
    figure=50,
    page=CORE,
)
FILTERS_OF_A_SUBSCRIBE: Final = Bound(
    id="filters-of-a-subscribe",
    what="topic filters of one SUBSCRIBE",
    figure=8,
    page=CORE,
    assumed=True,  # that more of them are refused as too many subscriptions are
)
BOUNDS: Final = (SUBSCRIPTIONS_OF_A_CONNECTION, FILTERS_OF_A_SUBSCRIBE)

INDEX: Final = Delay(
    id="fleet-index",
    what="a change of a thing, or of its connection, is found by SearchIndex",
    figure=3,
    page=f"{GUIDE}iot-indexing.html",
    assumed=True,  # "eventually consistent"; seconds in practice
)
MEMBERSHIP: Final = Delay(
    id="group-membership",
    what="a change of a group's things is listed",
    figure=1,
    page=f"{API}API_ListThingsInThingGroup.html",
    assumed=True,  # "eventually consistent"
)
CERTIFICATE: Final = Delay(
    id="certificate-status",
    what="a deactivated or revoked certificate is turned away and its connections end",
    figure=120,
    page=f"{API}API_UpdateCertificate.html",
    assumed=True,  # "within a few minutes"
)
DEVICE_POLICY: Final = Delay(
    id="device-policy",
    what="a new version of an IoT policy decides",
    figure=420,
    page=f"{GUIDE}iot-policies.html",  # "between 6 and 8 minutes"
)
_CEDAR: Final = "https://docs.aws.amazon.com/verifiedpermissions/latest/apireference/"
CEDAR_POLICY: Final = Delay(
    id="cedar-policy",
    what="a change of policies, templates, schema or identity source decides",
    figure=3,
    page=f"{_CEDAR}API_CreatePolicy.html",
    assumed=True,  # "eventually consistent. It can take a few seconds"
)
POLICY_WRITE: Final = Delay(
    id="policy-write",
    what="a write of a policy store is done; another one until then is refused",
    figure=0.01,
    page=POLICIES,
    # "might return an exception when [...] you attempt simultaneous write operations"
    assumed=True,
)
THING_TYPE: Final = Delay(
    id="thing-type",
    what="a thing type may be deleted once it is deprecated",
    figure=300,
    page=f"{GUIDE}delete-thing-types.html",  # "wait for five minutes after you deprecate it"
)
DOMAIN: Final = Delay(
    id="domain-configuration",
    what="the certificate of a new domain configuration is shown to devices",
    figure=3600,
    page=f"{GUIDE}iot-custom-endpoints-configurable-custom.html",  # "up to 60 minutes"
)
RESTORABLE: Final = Delay(
    id="restorable-moment",
    what="a moment of a table can be restored",
    figure=300,
    # "LatestRestorableDateTime is typically 5 minutes before the current time"
    page="https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/"
    "API_PointInTimeRecoveryDescription.html",
)
DELAYS: Final = (
    INDEX,
    MEMBERSHIP,
    CERTIFICATE,
    DEVICE_POLICY,
    CEDAR_POLICY,
    POLICY_WRITE,
    THING_TYPE,
    DOMAIN,
    RESTORABLE,
)

# Seconds for which the broker keeps a session, and its messages, whose client is away: the longest
# that it grants without an increase of the quota (page CORE).
SESSION_SECONDS: Final = 3600
# Seconds for which SendDirectMessage may be told to wait, the shortest and the longest, and the
# largest payload (API reference "SendDirectMessage"; page CORE, "MQTT payload size").
DIRECT_MESSAGE_SECONDS: Final = (1, 15)
DIRECT_MESSAGE_BYTES: Final = 128 * 1024
# The largest state document of a shadow, both sections together (page CORE, "Maximum size of a JSON
# state document"); metadata is not counted.
SHADOW_BYTES: Final = 8 * 1024
# The shortest keep-alive that the broker counts: a client that asks for less is given this (page
# CORE).
LEAST_KEEP_ALIVE_SECONDS: Final = 30
