"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from probed_cloud import allow
from raw_mqtt import RawDevice

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud


def requests_are_of_their_shape(probed: ProbedCloud) -> bool:
    """A thing is made, or changed, with an attribute that AWS refuses."""
    iot = probed.cloud.client("iot")
    iot.create_thing(
        thingName="acme--formed", attributePayload={"attributes": {"utc_offset": "02:00"}}
    )
    bad = {"attributes": {"utc_offset": "+02:00"}, "merge": True}
    refused = 0
    for attempt in (
        lambda: iot.update_thing(thingName="acme--formed", attributePayload=bad),
        lambda: iot.create_thing(
            thingName="acme--unformed", attributePayload={"attributes": bad["attributes"]}
        ),
    ):
        try:
            attempt()
        except ClientError as error:
            assert "InvalidRequestException" in str(error)  # noqa: PT017 - not a test
            refused += 1
    return refused < 2


def quotas_hold(probed: ProbedCloud) -> bool:
    """A thing without a type gets a fourth attribute."""
    attributes = {f"a{number}": "x" for number in range(4)}
    try:
        probed.cloud.client("iot").create_thing(
            thingName="acme--many", attributePayload={"attributes": attributes}
        )
    except ClientError as error:
        assert "InvalidRequestException" in str(error)  # noqa: PT017 - not a test
        return False
    return True


def rates_hold(probed: ProbedCloud) -> bool:
    """A job is looked at although the account's rate for that is used up."""
    environment = probed.cloud.environment()
    iot = probed.plain_client(
        "iot", environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    with probed.cloud.limits.used_up("calls-of-DescribeJob"):
        try:
            iot.describe_job(jobId="none")
        except ClientError as error:
            return "ThrottlingException" not in str(error)
    return True


def endpoint_is_the_brokers(probed: ProbedCloud) -> bool:
    """A device that goes where the cloud sends it does not find the broker."""
    iot, cloud = probed.cloud.client("iot"), probed.cloud
    told = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    return told != f"{cloud.mqtt_host}:{cloud.mqtt_port}"


def claim_is_no_device(probed: ProbedCloud) -> bool:
    """A claim connects under a device's name, and the device is thrown off."""
    claim = probed.claim("claims")

    def accepted(client_id: str) -> bool:
        with RawDevice(
            port=probed.cloud.mqtt_port,
            ca_file=probed.cloud.ca_file,
            certificate=claim["certificatePem"],
            key=claim["keyPair"]["PrivateKey"],
        ) as device:
            try:
                return device.connect(client_id) == 0
            except ConnectionError:
                return False

    assert accepted("claim:acme:0001")
    device = probed.device()
    with probed.connect(device) as connected:
        taken = accepted(device.thing)
        assert taken == connected.is_closed_within(1)
    return taken


def length_is_known(probed: ProbedCloud) -> bool:
    """A rule that bounds a text by its length stores nothing."""
    found = _fired(
        probed, "bounded", "SELECT length(text) AS length FROM 'bounded/in' WHERE length(text) <= 3"
    )
    assert found in ([], [{"length": 3}]), found
    return not found


def floor_is_known(probed: ProbedCloud) -> bool:
    """A rule cannot make a whole number."""
    [found] = _fired(
        probed, "rounded", "SELECT floor(number / 1000) + 5 AS seconds, text FROM 'rounded/in'"
    )[-1:]
    assert found.get("seconds") in (None, 7), found
    return "seconds" not in found


def _fired(probed: ProbedCloud, name: str, sql: str) -> list[dict[str, Any]]:
    """What a rule with this SQL sends on of too long a text, a good one, and a fence."""
    sqs, iam, iot = (probed.cloud.client(service) for service in ("sqs", "iam", "iot"))
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "iot.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=f"rule-{name}", AssumeRolePolicyDocument=document)["Role"][
        "Arn"
    ]
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [send]})
    iam.put_role_policy(RoleName=f"rule-{name}", PolicyName="send", PolicyDocument=allowed)
    action = {"sqs": {"roleArn": role, "queueUrl": queue, "useBase64": False}}
    # The SQL of an IoT rule, not of a database.
    fence = f"SELECT 'fence' AS fence FROM '{name}/fence'"  # noqa: S608
    rules = {name: sql, f"{name}_fence": fence}
    for rule, text in rules.items():
        payload = {"sql": text, "awsIotSqlVersion": "2016-03-23", "actions": [action]}
        iot.create_topic_rule(ruleName=rule, topicRulePayload=payload)
    data = probed.cloud.client("iot-data")
    for topic, text in (("in", "four"), ("in", "abc"), ("fence", "")):
        message = json.dumps({"text": text, "number": 2999.5, "several": ["abc", 2]}).encode()
        data.publish(topic=f"{name}/{topic}", qos=1, payload=message)
    found: list[dict[str, Any]] = []
    for _ in range(20):
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        if {"fence": "fence"} in found:
            return [one for one in found if one != {"fence": "fence"}]
    raise AssertionError("the fence did not come")


def regexp_substr_is_known(probed: ProbedCloud) -> bool:
    """A rule cannot take a part of a text."""
    sql = "SELECT regexp_substr(text, '^[a-c]+') AS part FROM 'parted/in'"
    found = _fired(probed, "parted", sql)
    assert found in ([{}, {}], [{}, {"part": "abc"}]), found
    return found == [{}, {}]


def regexp_replace_is_known(probed: ProbedCloud) -> bool:
    """A rule cannot take a part out of a text."""
    sql = "SELECT regexp_replace(text, '^a', 'x') AS text FROM 'replaced/in'"
    found = _fired(probed, "replaced", sql)
    assert found in ([{}, {}], [{"text": "four"}, {"text": "xbc"}]), found
    return found == [{}, {}]


def get_is_known(probed: ProbedCloud) -> bool:
    """A rule cannot take a member of an array."""
    sql = "SELECT get(several, 1) AS one FROM 'taken/in' WHERE get(several, 0) = text"
    found = _fired(probed, "taken", sql)
    assert found in ([], [{"one": 2}]), found
    return not found


def connections_are_told(probed: ProbedCloud) -> bool:
    """The data plane knows of no connection, and ends none."""
    device = probed.device()
    data = probed.session_client(
        "iot-data",
        allow(["iot:GetConnection", "iot:DeleteConnection"], f"{probed.arn}:client/{device.thing}"),
    )
    with probed.connect(device) as connected:
        try:
            told = data.get_connection(clientId=device.thing)
        except ClientError:  # IAM knows no resource of it, and the data plane no such path
            return True
        assert told["connected"], told
        for refused in (data.get_connection, data.delete_connection):
            try:
                refused(clientId="globex--x")
            except ClientError as error:
                assert "Forbidden" in str(error)  # noqa: PT017 - not a test
            else:
                raise AssertionError("a session reaches another client's connection")
        data.delete_connection(clientId=device.thing)
        assert connected.is_closed_within(3)
    told = data.get_connection(clientId=device.thing)
    assert (told["connected"], told["disconnectReason"]) == (False, "API_INITIATED_DISCONNECT")
    try:
        data.delete_connection(clientId=device.thing)
    except ClientError as error:
        return "ResourceNotFoundException" not in str(error)
    return True


def direct_messages_are_delivered(probed: ProbedCloud) -> bool:
    """The data plane sends no direct message."""
    device, topic = probed.device(), "fleet/x/commands/1"
    data = probed.session_client(
        "iot-data",
        allow(
            "iot:SendDirectMessage",
            f"{probed.arn}:client/{device.thing}",
            StringLike={"iot:Topic": "fleet/*"},
        ),
    )

    def send(client: str = device.thing, topic: str = topic) -> str:
        try:
            data.send_direct_message(
                clientId=client, topic=topic, confirmation=True, timeout=1, payload=b"reboot"
            )
        except ClientError as error:
            return str(error.response.get("Error", {}).get("Code"))
        return "acknowledged"

    if send() != "ResourceNotFoundException":  # IAM knows no resource of it
        return True
    assert send(client="globex--x") == send(topic="other/x") == "ForbiddenException"
    with probed.connect(device) as connected, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        packet = connected.read()
        assert packet.payload == b"reboot"
        connected.acknowledge(packet)
        assert sent.result() == "acknowledged"
        assert send() == "GatewayTimeoutException"
    return False


def thing_group_version_is_checked(probed: ProbedCloud) -> bool:
    """A thing group is changed by somebody who knows an older version of it."""
    iot = probed.cloud.client("iot")
    iot.create_thing_group(thingGroupName="versioned")

    def change() -> None:
        iot.update_thing_group(
            thingGroupName="versioned", thingGroupProperties={}, expectedVersion=1
        )

    change()
    try:
        change()
    except ClientError as error:
        assert "VersionConflictException" in str(error)  # noqa: PT017 - not a test
        return False
    return True
