"""The tenant's telemetry: the one rule that its devices reach, and what that rule writes.

A message becomes a line in the tenant's bucket, by Firehose, and the last value of its topic, a row
of the commands table. Firehose and not the rule's S3 action: that one makes an object of each
message (source: AWS IoT developer guide, "S3"), and S3 asks $5 for a million PUTs, Firehose some
$0.15 for a million records of up to 5 KB (prices: docs/quotas.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws
from cedarfleet_device import wire

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.stacks.config.tiers import Tier
    from infra.stacks.outputs import PlatformOutputs
    from infra.stacks.tenant_stack.bucket import Bucket

SQL_VERSION: Final = "2016-03-23"
# Firehose's own default is five minutes (source: its API reference, "BufferingHints"); a last value
# is told by the row, at once.
BUFFER_SECONDS: Final = 300
BUFFER_MIB: Final = 64
_MAX_NUMBER_TEXT: Final = 20  # characters of a time in milliseconds or of a sequence
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, kw_only=True)
class TelemetryArgs:
    """The tenant, how long its telemetry stays, and where it goes."""

    tenant: str
    terms: Tier
    platform: PlatformOutputs
    bucket: Bucket


class Telemetry(pulumi.ComponentResource):
    """Role, Firehose stream and rule."""

    def __init__(
        self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Telemetry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=names.telemetry_role(args.tenant),
            path=names.TELEMETRY_ROLE_PATH,
            description=f"telemetry of {args.tenant}, from its rule to its bucket",
            assume_role_policy=pulumi.Output.json_dumps(
                args.platform.account_id.apply(lambda account: trust(account_id=account))
            ),
            opts=child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-role",
            name="write-telemetry",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                pulumi.Output.all(
                    arns=args.platform.arns,
                    bucket=args.bucket.bucket,
                    commands_table=args.platform.commands_table,
                ).apply(lambda known: permissions(tenant=args.tenant, **known))
            ),
            opts=child,
        )
        granted = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[grant]))
        stream = aws.kinesis.FirehoseDeliveryStream(
            f"{name}-stream",
            name=names.telemetry_stream(args.tenant),
            destination="extended_s3",
            extended_s3_configuration={
                "role_arn": role.arn,
                "bucket_arn": args.bucket.bucket.apply(names.Arns.bucket),
                "prefix": names.TELEMETRY_PREFIX,
                "error_output_prefix": f"{names.TELEMETRY_PREFIX}failed/",
                "buffering_interval": BUFFER_SECONDS,
                "buffering_size": BUFFER_MIB,
            },
            opts=granted,
        )
        aws.iot.TopicRule(
            f"{name}-rule",
            name=wire.telemetry_rule(args.tenant),
            description=f"telemetry of {args.tenant}",
            enabled=True,
            sql=sql(tenant=args.tenant, days=args.terms.telemetry_days),
            sql_version=SQL_VERSION,
            dynamodbv2s=[
                {
                    "role_arn": role.arn,
                    "put_item": {"table_name": args.platform.commands_table},
                }
            ],
            firehoses=[
                {
                    "role_arn": role.arn,
                    "delivery_stream_name": stream.name,
                    "separator": "\n",
                }
            ],
            error_action={
                "sqs": {
                    "role_arn": role.arn,
                    "queue_url": args.platform.status_errors_queue,
                    "use_base64": False,
                }
            },
            opts=granted,
        )
        self.register_outputs({})


def sql(*, tenant: str, days: int) -> str:
    """The rule's SQL.

    Every column by name: a payload chooses no key. Thing and topic come from the topic, whose thing
    must be the sender and of this tenant; what is checked must be equal to what matches of it,
    since `$` also stands before a final line break. All that a device chooses is bounded. `thing`
    and `sk` are the keys of the row; whoever reads the bucket takes `device` and `topic`.

    Args:
        tenant: whose.
        days: how long a last value stays.
    """
    thing = "topic(2)"
    device = f"regexp_replace({thing}, '^{names.thing_prefix(tenant)}', '')"
    topic = "regexp_replace(topic(), '^fleet/[^/]+/telemetry/', '')"
    name = f"^{names.thing_prefix(tenant)}{wire.DEVICE_ID}"
    columns = {
        "thing": f"'{names.telemetry_rows(tenant)}' + {device}",
        "sk": topic,
        "device": device,
        "topic": topic,
        "sequence": "sequence",
        "at": "at",
        "value": "value",
        "received_at": "timestamp()",
        "ttl": f"floor(timestamp() / 1000) + {days * _DAY_SECONDS}",
    }
    checks = (
        f"clientid() = {thing}",
        f"regexp_substr({thing}, '{name}') = {thing}",
        f"regexp_substr({topic}, '^{wire.TELEMETRY_TOPIC}') = {topic}",
        f"length({topic}) <= {wire.MAX_TELEMETRY_TOPIC}",
        f"length(sequence) <= {_MAX_NUMBER_TEXT}",
        f"length(at) <= {_MAX_NUMBER_TEXT}",
        f"length(value) <= {wire.MAX_MESSAGE_BYTES}",
        f"wire = {wire.WIRE_VERSION}",
    )
    selected = ", ".join(f"{text} AS {column}" for column, text in columns.items())
    return f"SELECT {selected} FROM 'fleet/+/telemetry/#' WHERE {' AND '.join(checks)}"  # noqa: S608 - of an IoT rule, made of names of ours


def trust(*, account_id: str) -> iam.Document:
    """IoT Core and Firehose of this account, and no other account's, may assume the role.

    Source for Firehose, and the id that it tells: CloudWatch Logs user guide, "Create a Firehose
    delivery stream".
    """
    document = iam.trust("iot.amazonaws.com", account_id)
    firehose = iam.trust_told("firehose.amazonaws.com", account_id)
    return document | {"Statement": [*document["Statement"], firehose]}


def permissions(*, tenant: str, arns: names.Arns, bucket: str, commands_table: str) -> iam.Document:
    """Write last values of the tenant's own devices, and lines under its own prefix.

    What Firehose needs of a bucket: its developer guide, "Grant Firehose access to an Amazon S3
    destination"; `s3:ListBucket` and `s3:GetObject`, which it names too, serve other sources (not
    run).
    """
    files = arns.bucket(bucket)
    rows = {
        "ForAllValues:StringLike": {
            "dynamodb:LeadingKeys": [f"{names.telemetry_rows(tenant)}*"],
        },
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    return iam.document(
        iam.allow("LastValues", "dynamodb:PutItem", arns.table(commands_table), when=rows),
        iam.allow("Stream", "firehose:PutRecord", arns.stream(names.telemetry_stream(tenant))),
        iam.allow("Errors", "sqs:SendMessage", arns.queue(names.STATUS_ERRORS_QUEUE)),
        iam.allow("Bucket", ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], files),
        iam.allow(
            "Lines",
            ["s3:AbortMultipartUpload", "s3:PutObject"],
            f"{files}/{names.TELEMETRY_PREFIX}*",
        ),
    )
