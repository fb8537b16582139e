"""The rows of `docs/aws-fidelity.md` that AWS must settle: the call of each, or why there is none.

A test holds page and table together, word for word.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Row:
    """One statement that the product makes of AWS, and that nobody has seen there.

    Attributes:
        id: names its probe.
        statement: the page's words.
        calls: that settle it, or empty.
        reason: why no call can settle it, or empty.
    """

    id: str
    statement: str
    calls: str = ""
    reason: str = ""


class Settled(StrEnum):
    """What an answer means for the statement."""

    HOLDS = "yes: it holds"
    DIFFERS = "yes: it does not hold"
    OPEN = "no"
    NO_CALL = "not by a call"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one row.

    Attributes:
        answer: what was answered, or why nothing was; no secret, no signed URL.
    """

    settled: Settled
    answer: str


def answered(holds: bool, answer: str) -> Outcome:
    """An answer that settles a row, one way or the other."""
    return Outcome(settled=Settled.HOLDS if holds else Settled.DIFFERS, answer=answer)


def unanswered(reason: str) -> Outcome:
    """The row stays open."""
    return Outcome(settled=Settled.OPEN, answer=reason)


ROWS: Final = (
    Row(
        id="policy-by-name",
        statement="A policy is found, and deleted, by `name/...` in place of its id; a name that "
        "is taken, and a client token that comes again with other members, are "
        "ConflictException; a token counts for eight hours",
        reason="all 50 are taken",
    ),
    Row(
        id="all-permits-that-match",
        statement="The determining policies of an ALLOW are all permits that match, so one that "
        "was revoked can be taken out of them",
        reason="as above",
    ),
    Row(
        id="form-of-one-object",
        statement="A form of S3 takes one object under its key, of the size that its policy "
        "allows, until it ends; who signed it needs `s3:PutObject`",
        reason="it makes no bucket",
    ),
    Row(
        id="signatures-of-kms",
        statement="KMS signs up to 4,096 bytes by a key on P-256 that never leaves it, 1,000 times "
        "a second and account; a key's own policy, as AWS makes it, leaves the rest to IAM",
        reason="all 50 are taken",
    ),
    Row(
        id="token-endpoint-of-a-page",
        statement="The token endpoint of a user pool's domain lets a page of another origin read "
        "its answer, as the console needs to",
        reason="sign in on the console of the throw-away tenant",
    ),
    Row(
        id="signed-part",
        statement="S3 takes a part by a signed URL only with the length and the SHA-256 that were "
        "signed",
        reason="`make aws-check` makes no bucket",
    ),
    Row(
        id="deleted-version",
        statement="A URL of a version goes on once the object has a delete mark",
        reason="it makes no bucket",
    ),
    Row(
        id="plan-of-a-pool",
        statement="One UpdateUserPool takes a pool from Plus to Lite: it names the plan and leaves "
        "threat protection out, while a risk configuration still stands",
        reason="50 calls have no room for it, and Cognito charges for each person on Plus: "
        "`tenants move` of the throw-away tenant, up and down",
    ),
    Row(
        id="recorded-resources",
        statement="So have the calls that the provider would make for load balancer, DNS, "
        "ECS service, autoscaling, firewall, flow log, IoT Core's log, budgets, sender of mail and "
        "risks that Cognito sees, which are only recorded",
        reason="they stand for hours and need a domain of one's own: `pulumi up -s platform`",
    ),
    Row(
        id="managed-rule-counts",
        statement="A rule of a managed group counts instead of blocking where the web ACL overrides"
        " it by its name, and the group's other rules block",
        reason="all 50 are taken: `firewall: count` for some days shows in its log what would be "
        "refused",
    ),
    Row(
        id="deployment-taken-back",
        statement="ECS takes a deployment back when one of its alarms rings, and watches for some "
        "minutes after the last old task went",
        reason="it needs a deployment that goes wrong",
    ),
    Row(
        id="restored-table",
        statement="A table is restored to any second between recovery's beginning and five minutes "
        "ago, into a new table without `ttl`, recovery, protection and tags",
        reason="all 50 are taken: `backups restore` of the throw-away platform",
    ),
    Row(
        id="own-name",
        statement="MQTT with a client certificate is answered on 443 without ALPN where a domain "
        "configuration says SECURE_MQTT and AWS_X509",
        reason="it needs a domain of one's own: `cedarfleet-device doctor` with `port = 443`",
    ),
    Row(
        id="certificate-of-another-account",
        statement="A certificate that AWS IoT made for one account can be registered without CA in "
        "another, and is let in there by the server name",
        reason="it needs a second account: `python -m infra devices import` of one device there",
    ),
    Row(
        id="error-codes",
        statement="The error code of each of them",
        calls="`create-job` with 101 targets; of the others each needs more calls than 50",
    ),
    Row(
        id="rates",
        statement="Calls a second: registry, fleet index, jobs, publish, direct messages (assumed: "
        "AWS names no figure), decisions and writes of each policy store",
        calls="`service-quotas list-service-quotas`, of IoT Core",
    ),
    Row(
        id="buckets",
        statement="A second's worth of calls may come at once",
        reason="AWS publishes no size of its buckets, and 50 calls empty none",
    ),
    Row(
        id="publishes",
        statement="What a connection publishes too much is lost, unacknowledged, and the "
        "connection stays",
        calls="300 MQTT publishes at QoS 1 at once",
    ),
    Row(
        id="fleet-index",
        statement="SearchIndex finds a change after 3 s",
        reason="no part of the product searches, and a new account's index is built for minutes",
    ),
    Row(
        id="group-membership",
        statement="A group's things are listed after 1 s",
        calls="`remove-thing-from-thing-group`, then `list-things-in-thing-group`",
    ),
    Row(
        id="certificate-status",
        statement="A revoked certificate is let in, and its connections live, for 2 minutes more",
        calls="`update-certificate` with a device connected",
    ),
    Row(
        id="delete-connection",
        statement="`DeleteConnection` ends a connection at once, and the device may connect again "
        "while its certificate lingers",
        calls="`delete-connection` of the device that was revoked, and CONNECT again",
    ),
    Row(
        id="policies-as-put",
        statement="GetPolicy, GetPolicyTemplate and GetSchema answer policies and templates as "
        "they were put, and the schema but for its spaces",
        reason="50 calls have no room for it: `python -m infra policies diff <tenant>` reads a "
        "store back",
    ),
    Row(
        id="cedar-policy",
        statement="A changed Cedar policy, template or schema decides after 3 s",
        calls="`create-policy`, then `is-authorized-with-token` at once and after the delay",
    ),
    Row(
        id="cedar-order",
        statement="Changes of one policy store are seen in their order, so a forbid that is made "
        "before a permit denies before it",
        reason="AWS does not promise it, and seeing it a few times proves nothing",
    ),
    Row(
        id="simultaneous-writes",
        statement="Of two writes of one policy store at once, one may be refused with "
        "ConflictException",
        calls="`create-policy` and `create-identity-source` in the same moment",
    ),
    Row(
        id="provider-checks",
        statement="The Pulumi program makes a platform and tenants, twice without change, and "
        "destroys them",
        reason="they are no calls: `pulumi preview -s platform`",
    ),
    Row(
        id="tenant-role",
        statement="A tenant's role reaches its own rows, bucket, things, jobs and store only",
        calls="`iam simulate-custom-policy` with the role's policy, at a foreign row",
    ),
    Row(
        id="job-role",
        statement="The presign role is taken with `aws:SourceArn` of the job",
        calls="`create-job` with a presigned URL, `iot-jobs-data describe-job-execution`",
    ),
    Row(
        id="repeated-enrolment",
        statement="CreateThing with the same attributes gives the same thing again and with others "
        "is refused",
        calls="`create-thing` three times",
    ),
    Row(
        id="repeated-attachments",
        statement="Attaching policy or certificate again, and adding to a group again, changes "
        "nothing",
        reason="50 calls have no room for it: `attach-policy` twice",
    ),
    Row(
        id="claims-outside-schema",
        statement="An ID token with claims outside the schema is taken in STRICT; "
        "`context.token.sub` is there",
        calls="`is-authorized-with-token` with a person's ID token, and with an access token",
    ),
    Row(
        id="machine-token",
        statement="A machine's token is of the form that the policies read: `sub` is the client, "
        "`scope` a set",
        reason="50 calls have no room for it, and Cognito charges for each machine's client: one "
        "machine of the throw-away tenant",
    ),
    Row(
        id="machine-secrets",
        statement="Two secrets of an app client bring tokens at once, a deleted one none any more; "
        "a third is refused by `LimitExceededException`, deleting the last by "
        "`InvalidParameterException`",
        reason="50 calls have no room for it: make a machine of the throw-away tenant by the API, "
        "add a secret, delete the first",
    ),
    Row(
        id="identity-source-of-all-clients",
        statement="An identity source without client ids takes tokens of each app client of its "
        "pool",
        reason="the page says whom it compares with a list, and nothing of an empty one; a machine "
        "made by the API shows it",
    ),
    Row(
        id="federated-profile",
        statement="Whoever comes by an OIDC provider is a profile `<provider>_<sub>` of the pool, "
        "in Cognito's own group `<pool>_<provider>` alone, and a token of the pool verifies as any "
        "other's",
        reason="it needs a provider: sign in by one on the throw-away tenant",
    ),
    Row(
        id="provider-details",
        statement="What Cognito adds to a provider's `ProviderDetails` (endpoints that it has "
        "discovered, a SAML provider's addresses) is no drift of the stack",
        reason="it needs a provider: `tenants drift` of the tenant",
    ),
    Row(
        id="token-in-a-batchs-context",
        statement="`BatchIsAuthorized` takes a context with `token` as the schema has it, for a "
        "machine that is asked for without its token, and decides as by the token",
        reason="50 calls have no room for it: a machine's campaign on the throw-away tenant shows "
        "it",
    ),
    Row(
        id="alpn-on-443",
        statement="An account's own endpoint answers MQTT with a client certificate on 443 where "
        "the handshake names `x-amzn-mqtt-ca` (ALPN), and needs no such name on 8883",
        reason="`cedarfleet-device doctor` with AWS's name and `port = 443`",
    ),
    Row(
        id="rates-of-user-pools",
        statement="Calls a second of user pools, of an account: 50 people made, 25 changed, 120 "
        "read, 50 looks at groups, 30 lists",
        reason="50 calls empty none",
    ),
    Row(
        id="issued-at",
        statement="`iat` of a token is at most a second behind our clock, and a token that is made "
        "after a group was taken away is without it",
        reason="seeing it a few times proves nothing",
    ),
    Row(
        id="ttl-number",
        statement="DynamoDBv2 writes `ttl` as a number",
        calls="one status message by MQTT, then `dynamodb query`",
    ),
    Row(
        id="data-endpoint",
        statement="The account's own data endpoint takes what the generic one takes",
        calls="`iot describe-endpoint`, one `iot-data delete-connection` there",
    ),
    Row(
        id="plus-in-placeholder",
        statement="A name with `+` in a presigned placeholder is encoded once",
        calls="the URL of that job, of `a+b.bin`",
    ),
    Row(
        id="target-that-is-gone",
        statement="CreateJob refuses a job for one target that is no more, as "
        "ResourceNotFoundException",
        reason="the codes of CreateJob are asked for with 101 targets",
    ),
    Row(
        id="schedules",
        statement="A schedule of the form `at(...)` sends its message once, and again when it is "
        "given another time",
        reason="it takes minutes to fire",
    ),
    Row(
        id="execution-details",
        statement="What a device tells of a job: values of `[^\\p{C}]+`, at most 1,024 characters, "
        "else `InvalidRequest`",
        reason="it needs a job, and a device's MQTT",
    ),
    Row(
        id="execution-events",
        statement="IoT Jobs tells of each execution that ended, and a rule writes it down",
        reason="it needs a device",
    ),
    Row(
        id="one-execution-is-canceled",
        statement="CancelJobExecution with `force` ends what a device is at, for that device "
        "alone, and its `statusDetails` come with the event",
        reason="it needs a device",
    ),
    Row(
        id="rate-of-executions",
        statement="CancelJobExecution and ListJobExecutionsForThing ten times a second each",
        reason="all 50 are taken",
    ),
    Row(
        id="fair-queues",
        statement="A standard queue gives a message out at least once, and messages of a group "
        "that has much in flight after those of others",
        reason="it needs a backlog",
    ),
    Row(
        id="share-of-a-quota",
        statement="`SERVICE_QUOTA()` knows the account's quota of Fargate vCPUs, so an alarm rings "
        "at 80 % of it",
        reason="it needs tasks that run: the graph of the alarm `cedarfleet-tasks-quota`",
    ),
    Row(
        id="basic-ingest",
        statement="A message that is published to `$aws/rules/<rule>/...` reaches that rule alone, "
        "and no subscriber; `topic()` begins behind the rule's name",
        reason="it needs a device's MQTT",
    ),
    Row(
        id="firehose-buffers",
        statement="Firehose collects records for 300 s or 64 MiB and writes them as one object; "
        "the laptop writes each at once",
        reason="it takes minutes",
    ),
    Row(
        id="firehose-role",
        statement="Firehose tells `sts:ExternalId`, the account, as it assumes a role; "
        "`s3:PutObject`, `AbortMultipartUpload`, `ListBucketMultipartUploads` and "
        "`GetBucketLocation` do for it",
        reason="it makes no bucket",
    ),
    Row(
        id="shadow-rate",
        statement="20 requests a second of one thing's shadows, by HTTP and MQTT together; MQTT is "
        "answered 429",
        reason="it needs a device's MQTT",
    ),
    Row(
        id="shadow-version",
        statement="An update that names another version than the shadow has is refused with 409; "
        "where there is no shadow, ours names none",
        reason="all 50 are taken",
    ),
    Row(
        id="job-deletion",
        statement="`DeleteJob` with `force` deletes a job that is under way, ten at once, and "
        "lists it as `DELETION_IN_PROGRESS` until it is gone",
        reason="all 50 are taken",
    ),
    Row(
        id="shadows-of-the-deleted",
        statement="Shadows of a thing that was deleted answer no more, and "
        "ListNamedShadowsForThing names none that was deleted",
        reason="all 50 are taken",
    ),
    Row(
        id="store-deletion",
        statement="A policy store is deleted with the policies that were made by hand in it",
        reason="it destroys a tenant: `tenants offboard` of the throw-away tenant",
    ),
    Row(
        id="events-of-their-form",
        statement="PutEvents answers 200 where it takes nothing: an entry without source, type or "
        "detail fails by itself, and one whose detail is no JSON object",
        reason="all 50 are taken",
    ),
)
