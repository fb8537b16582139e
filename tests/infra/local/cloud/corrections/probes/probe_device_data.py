"""Of what devices measure and answer: is the hole of the correction of that name open?"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud

_SECONDS = 10.0


def streams_are_written_to(probed: ProbedCloud) -> bool:
    """A rule's Firehose action writes nothing."""
    s3, iot = probed.cloud.client("s3"), probed.cloud.client("iot")
    s3.create_bucket(
        Bucket="probed-lines",
        CreateBucketConfiguration={"LocationConstraint": probed.cloud.region},
    )
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "iot.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = probed.cloud.client("iam").create_role(
        RoleName="rule-lines", AssumeRolePolicyDocument=document
    )
    role = made["Role"]["Arn"]
    destination = {
        "RoleARN": role,
        "BucketARN": "arn:aws:s3:::probed-lines",
        "Prefix": "lines/",
    }
    probed.cloud.client("firehose").create_delivery_stream(
        DeliveryStreamName="probed", ExtendedS3DestinationConfiguration=destination
    )
    action = {"roleArn": role, "deliveryStreamName": "probed", "separator": "\n"}
    iot.create_topic_rule(
        ruleName="probed_lines",
        topicRulePayload={
            "sql": "SELECT value AS value FROM 'probed/lines'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"firehose": action}],
        },
    )
    probed.cloud.client("iot-data").publish(
        topic="probed/lines", qos=1, payload=json.dumps({"value": 7}).encode()
    )
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:  # S3 tells nobody of an object
        found = s3.list_objects_v2(Bucket="probed-lines").get("Contents", [])
        if found:
            body = s3.get_object(Bucket="probed-lines", Key=found[0]["Key"])["Body"].read()
            assert body == b'{"value": 7}\n', body
            return False
        time.sleep(0.1)
    return True


def shadows_are_limited(probed: ProbedCloud) -> bool:
    """A shadow grows beyond 8 KB, by steps that are small."""
    data = probed.cloud.client("iot-data")
    for key in ("a", "b", "c"):
        document = {"state": {"desired": {key: "x" * 3_000}}}
        try:
            data.update_thing_shadow(
                thingName="acme--large", shadowName="state", payload=json.dumps(document)
            )
        except ClientError as error:
            assert "413" in str(error.response)  # noqa: PT017 - not a test
            return False
    return True


def named_shadows_are_listed(probed: ProbedCloud) -> bool:
    """A thing's shadows are not listed, page by page, and without the one that has no name."""
    data = probed.cloud.client("iot-data")
    for name in ("b", "a", "c", "gone"):
        data.update_thing_shadow(thingName="acme--many", shadowName=name, payload=b'{"state":{}}')
    data.update_thing_shadow(thingName="acme--many", payload=b'{"state":{}}')
    data.delete_thing_shadow(thingName="acme--many", shadowName="gone")
    try:
        page = data.list_named_shadows_for_thing(thingName="acme--many", pageSize=2)
        rest = data.list_named_shadows_for_thing(
            thingName="acme--many", pageSize=2, nextToken=page["nextToken"]
        )
    except ClientError:
        return True
    assert (page["results"], rest["results"], "nextToken" in rest) == (["a", "b"], ["c"], False)
    return False
