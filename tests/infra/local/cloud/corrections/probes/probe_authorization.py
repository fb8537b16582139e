"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from probed_cloud import allow

if TYPE_CHECKING:
    from collections.abc import Callable

    from probed_cloud import ProbedCloud


def leading_keys_are_known(probed: ProbedCloud) -> bool:
    """A session that may read partitions of acme reads one of globex, by any way to read."""
    root = probed.cloud.client("dynamodb")
    root.create_table(
        TableName="shared",
        KeySchema=[
            {"AttributeName": "thing", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "thing", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    mine, foreign = (
        {"thing": {"S": "acme--a"}, "sk": {"S": "1"}},
        {"thing": {"S": "globex--a"}, "sk": {"S": "1"}},
    )
    for item in (mine, foreign):
        root.put_item(TableName="shared", Item=item)
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["acme--*"]}}
    session = probed.session_client("dynamodb", allow("dynamodb:*", "*", **condition))
    assert "Item" in session.get_item(TableName="shared", Key=mine)
    assert session.query(
        TableName="shared",
        KeyConditionExpression="#t = :t AND sk = :s",
        ExpressionAttributeNames={"#t": "thing"},
        ExpressionAttributeValues={":t": {"S": "acme--a"}, ":s": {"S": "1"}},
    )["Items"]
    session.transact_write_items(TransactItems=[{"Put": {"TableName": "shared", "Item": mine}}])
    return any(
        _allowed(attempt)
        for attempt in (
            lambda: session.get_item(TableName="shared", Key=foreign),
            lambda: session.put_item(TableName="shared", Item=foreign),
            lambda: session.batch_get_item(RequestItems={"shared": {"Keys": [mine, foreign]}}),
            lambda: session.transact_write_items(
                TransactItems=[{"Put": {"TableName": "shared", "Item": foreign}}]
            ),
            lambda: session.query(
                TableName="shared",
                KeyConditionExpression="thing = :t",
                ExpressionAttributeValues={":t": {"S": "globex--a"}},
            ),
        )
    )


def loopback_counts_as_tls(probed: ProbedCloud) -> bool:
    """The bucket policy that AWS advises (only TLS) keeps a session out of its own bucket."""
    root = probed.cloud.client("s3")
    root.create_bucket(
        Bucket="tls-only", CreateBucketConfiguration={"LocationConstraint": probed.cloud.region}
    )
    root.put_object(Bucket="tls-only", Key="file", Body=b"content")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::tls-only/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    root.put_bucket_policy(
        Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    session = probed.session_client("s3", allow("s3:GetObject", "arn:aws:s3:::tls-only/*"))
    return not _allowed(lambda: session.get_object(Bucket="tls-only", Key="file"))


def job_targets_are_authorized(probed: ProbedCloud) -> bool:
    """A session creates a job for another tenant's thing, or with a role it may not pass."""
    iot = probed.cloud.client("iot")
    for thing in ("acme--target", "globex--target"):
        iot.create_thing(thingName=thing)
    may = allow("iot:CreateJob", [f"{probed.arn}:job/acme--*", f"{probed.arn}:thing/acme--*"])
    session, mine, foreign = (
        probed.session_client("iot", may),
        "thing/acme--target",
        "thing/globex--target",
    )
    session.create_job(jobId="acme--own", targets=[f"{probed.arn}:{mine}"], document="{}")
    role = f"arn:aws:iam::{probed.cloud.account_id}:role/not-mine"
    presign = {"roleArn": role, "expiresInSec": 60}
    document = json.dumps(
        {"url": "${aws:iot:s3-presigned-url:https://s3.amazonaws.com/bucket/key}"}
    )
    return any(
        _allowed(attempt)
        for attempt in (
            lambda: session.create_job(
                jobId="acme--1", targets=[f"{probed.arn}:{foreign}"], document="{}"
            ),
            lambda: session.create_job(
                jobId="acme--2",
                targets=[f"{probed.arn}:{mine}"],
                document=document,
                presignedUrlConfig=presign,
            ),
        )
    )


def search_names_its_index(probed: ProbedCloud) -> bool:
    """A session with a grant on the index is refused."""
    indexed = {"thingIndexingMode": "REGISTRY", "thingConnectivityIndexingMode": "STATUS"}
    probed.cloud.client("iot").update_indexing_configuration(thingIndexingConfiguration=indexed)
    session = probed.session_client(
        "iot", allow("iot:SearchIndex", f"{probed.arn}:index/AWS_Things")
    )
    return not _allowed(lambda: session.search_index(queryString="thingName:acme--*"))


def policy_is_attached_to_its_target(probed: ProbedCloud) -> bool:
    """A session with a grant on certificates is refused."""
    iot = probed.cloud.client("iot")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("iot:Connect", "*")]})
    iot.create_policy(policyName="attached", policyDocument=document)
    target = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    session = probed.session_client("iot", allow("iot:AttachPolicy", f"{probed.arn}:cert/*"))
    return not _allowed(lambda: session.attach_policy(policyName="attached", target=target))


def what_is_stamped_is_named(probed: ProbedCloud) -> bool:
    """Who may tag one topic, or look at one alarm, is refused it, or is let near another."""
    sns = probed.cloud.client("sns")
    mine, other = (sns.create_topic(Name=name)["TopicArn"] for name in ("named-a", "named-b"))
    tags = probed.session_client("sns", allow("sns:TagResource", mine))
    alarms = f"arn:aws:cloudwatch:{probed.cloud.region}:{probed.cloud.account_id}:alarm"
    looks = probed.session_client("cloudwatch", allow("cloudwatch:DescribeAlarms", f"{alarms}:a"))
    told = [{"Key": "stack", "Value": "platform"}]
    rightly = [
        _allowed(lambda: tags.tag_resource(ResourceArn=mine, Tags=told)),
        _allowed(lambda: looks.describe_alarms(AlarmNames=["a"])),
    ]
    wrongly = [
        _allowed(lambda: tags.tag_resource(ResourceArn=other, Tags=told)),
        _allowed(lambda: looks.describe_alarms(AlarmNames=["b"])),
        _allowed(lambda: looks.describe_alarms(AlarmNames=["a", "b"])),
        _allowed(looks.describe_alarms),
    ]
    return not all(rightly) or any(wrongly)


def batches_need_the_right_of_one(probed: ProbedCloud) -> bool:
    """Who may send a message is refused several, or who may not is let send them."""
    queue = probed.cloud.client("sqs").create_queue(QueueName="batches")["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(2)]
    arn = f"arn:aws:sqs:{probed.cloud.region}:{probed.cloud.account_id}:batches"
    sends, reads = (
        probed.session_client("sqs", allow(action, arn))
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage")
    )
    return not _allowed(
        lambda: sends.send_message_batch(QueueUrl=queue, Entries=entries)
    ) or _allowed(lambda: reads.send_message_batch(QueueUrl=queue, Entries=entries))


def rights_are_noted(probed: ProbedCloud) -> bool:
    """Nobody knows which right a role used, or which it was refused."""
    allowed = {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}
    asks = probed.session_client("sqs", allowed)
    asks.list_queues()
    _allowed(lambda: asks.create_queue(QueueName="noted"))
    noted = {(used.action, used.allowed) for used in probed.cloud.rights.used()}
    return not {("sqs:ListQueues", True), ("sqs:CreateQueue", False)} <= noted


def job_list_is_filtered_and_paged(probed: ProbedCloud) -> bool:
    """A list of one group's jobs shows the other's, or ignores the page size."""
    iot = probed.cloud.client("iot")
    for group in ("listed-acme", "listed-globex"):
        target = iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
        for number in range(3):
            iot.create_job(jobId=f"{group}-{number}", targets=[target], document="{}")
    first = iot.list_jobs(thingGroupName="listed-acme", maxResults=2)
    if len(first["jobs"]) != 2 or "nextToken" not in first:
        return True
    rest = iot.list_jobs(thingGroupName="listed-acme", maxResults=2, nextToken=first["nextToken"])
    listed = sorted(job["jobId"] for job in first["jobs"] + rest["jobs"])
    return listed != ["listed-acme-0", "listed-acme-1", "listed-acme-2"]


def _allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ClientError as error:
        # Refused for another reason: the probe itself is wrong.
        if "AccessDenied" not in str(error) and "AuthorizationError" not in str(error):
            raise
        return False
    return True
