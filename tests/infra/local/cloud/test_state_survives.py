"""What was acknowledged is found again after kill -9 and after Ctrl-C."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.request
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from awsiot import mqtt5_client_builder
from botocore.exceptions import ClientError

from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOST_SECONDS_AT_MOST = 1.5  # promised: about 1 s; the rest is for a busy machine
USER = {"Username": "ada", "Password": "Perm-Passw0rd!2"}


def _make(cloud: Any) -> dict[str, Any]:
    """One of everything that ``make up`` must find again."""
    made: dict[str, Any] = {}
    cloud.client("dynamodb").create_table(
        TableName="registry",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    cloud.client("dynamodb").put_item(TableName="registry", Item={"key": {"S": "acme"}})
    people = cloud.client("cognito-idp")
    made["pool"] = people.create_user_pool(PoolName="people")["UserPool"]["Id"]
    made["app"] = people.create_user_pool_client(
        UserPoolId=made["pool"], ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    people.admin_create_user(
        UserPoolId=made["pool"], Username=USER["Username"], MessageAction="SUPPRESS"
    )
    people.admin_set_user_password(UserPoolId=made["pool"], **USER, Permanent=True)
    iot = cloud.client("iot")
    iot.create_thing(thingName="acme--press-07")
    made["certificate"] = iot.create_keys_and_certificate(setAsActive=True)
    may = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iot.create_policy(policyName="all", policyDocument=document)
    iot.attach_policy(policyName="all", target=made["certificate"]["certificateArn"])
    iot.attach_thing_principal(
        thingName="acme--press-07", principal=made["certificate"]["certificateArn"]
    )
    made["ca"] = cloud.ready["ca"]
    cloud.client("s3").create_bucket(
        Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    cloud.client("s3").put_object(Bucket="artifacts", Key="recipes/steel.json", Body=b"x" * 100_000)
    policies = cloud.client("verifiedpermissions")
    made["store"] = policies.create_policy_store(validationSettings={"mode": "OFF"})[
        "policyStoreId"
    ]
    made["keys"] = _signing_keys(cloud, made)
    return made


def _signing_keys(cloud: Any, made: dict[str, Any]) -> list[str]:
    address = f"{cloud.endpoint_url}/{made['pool']}/.well-known/jwks.json"
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the cloud's own
        return sorted(key["kid"] for key in json.load(answer)["keys"])


def _check(cloud: Any, made: dict[str, Any]) -> None:
    """All of it is there, and works."""
    assert "Item" in cloud.client("dynamodb").get_item(
        TableName="registry", Key={"key": {"S": "acme"}}
    )
    parameters = {"USERNAME": USER["Username"], "PASSWORD": USER["Password"]}
    answer = cloud.client("cognito-idp").initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH", ClientId=made["app"], AuthParameters=parameters
    )
    assert answer["AuthenticationResult"]["IdToken"]
    assert _signing_keys(cloud, made) == made["keys"]
    iot = cloud.client("iot")
    assert iot.describe_thing(thingName="acme--press-07")["thingName"] == "acme--press-07"
    assert _connects(cloud, made)
    body = cloud.client("s3").get_object(Bucket="artifacts", Key="recipes/steel.json")["Body"]
    assert body.read() == b"x" * 100_000
    body.close()
    store = cloud.client("verifiedpermissions").get_policy_store(policyStoreId=made["store"])
    assert store["policyStoreId"] == made["store"]


def _connects(cloud: Any, made: dict[str, Any]) -> bool:
    """Whether the device of the earlier run is admitted, and itself trusts the broker."""
    connected: Future[bool] = Future()
    client = mqtt5_client_builder.mtls_from_bytes(
        endpoint="localhost",
        port=cloud.ready["mqtt_port"],
        cert_bytes=made["certificate"]["certificatePem"].encode(),
        pri_key_bytes=made["certificate"]["keyPair"]["PrivateKey"].encode(),
        ca_bytes=made["ca"].encode(),
        client_id="acme--press-07",
        on_lifecycle_connection_success=lambda _: connected.set_result(True),
        on_lifecycle_connection_failure=lambda failure: connected.set_exception(failure.exception),
        on_lifecycle_stopped=lambda _: stopped.set(),
    )
    stopped = threading.Event()
    client.start()
    try:
        return connected.result(10)
    finally:
        client.stop()
        assert stopped.wait(10)


@pytest.mark.soak
def test_kill_loses_at_most_the_last_second(
    start_cloud: Callable[..., Any],
    tmp_path: Path,
    faults: Callable[[int, int], int],
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """After a kill at a random moment of steady writing, only the last second of it is missing."""
    moments = random.Random(new_seed())  # noqa: S311 - moments of a test
    lost: list[float] = []
    cloud = start_cloud(tmp_path / "state")
    first, made = cloud.ready, _make(cloud)
    for round_ in range(faults(2, 20)):
        table, written = cloud.client("dynamodb"), list[tuple[str, float]]()
        end = time.monotonic() + moments.uniform(0.4, 1.0)
        while time.monotonic() < end:
            key = f"{round_}-{len(written):06}"
            table.put_item(TableName="registry", Item={"key": {"S": key}})
            written.append((key, time.monotonic()))
        cloud.kill()
        killed = time.monotonic()
        cloud = start_cloud(tmp_path / "state")
        _check(cloud, made)
        assert cloud.ready == first | {"seconds": cloud.ready["seconds"]}, (
            "ports, root keys and CA stay"
        )
        pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName="registry")
        kept = {item["key"]["S"] for page in pages for item in page["Items"]}
        missing = [moment for key, moment in written if key not in kept]
        print(f"{len(written)} written, {len(missing)} lost")
        lost.append(killed - missing[0] if missing else 0.0)
        assert [key for key, _ in written][: len(written) - len(missing)] == sorted(
            key for key in kept if key.startswith(f"{round_}-")
        ), "what is missing is the end"
    print(f"seconds of writes lost to kill -9: {[round(seconds, 2) for seconds in lost]}")
    record_testsuite_property("seconds_lost_to_kill", max(lost))
    assert max(lost) < LOST_SECONDS_AT_MOST


def test_ctrl_c_loses_nothing_and_leaves_nothing(
    start_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    """After Ctrl-C no thread is left, nothing is on stderr, and everything is found again."""
    cloud = start_cloud(tmp_path / "state")
    made = _make(cloud)
    output, errors = cloud.interrupt()
    assert errors == ""
    assert cloud.process.returncode == 0
    # The emulator starts one daemon thread when it is imported, which deletes expired items and
    # never ends.
    assert json.loads(output)["threads"] == ["MainThread", "dynamodb-ttl-reaper"]
    _check(start_cloud(tmp_path / "state"), made)


def test_state_is_private(start_cloud: Callable[..., Any], tmp_path: Path) -> None:
    """Only this user may look into the state directory, also when it existed with a wider mode."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o755)
    cloud = start_cloud(directory)
    cloud.client("iot").create_thing(thingName="one")
    cloud.interrupt()
    assert directory.stat().st_mode & 0o777 == 0o700
    for name in ("snapshot.json", "root-keys.json"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600


def test_torn_snapshot_stops_the_start(
    start_cloud: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    """A torn snapshot is neither loaded nor overwritten: the start fails and says what to do."""
    directory, file = tmp_path / "state", tmp_path / "state" / "snapshot.json"
    start_cloud(directory).interrupt()
    torn = file.read_bytes()[:-100]
    file.write_bytes(torn)
    complaint = refused(directory)
    assert complaint.startswith("StateDamagedError")
    assert f"delete `{directory}`" in complaint
    assert file.read_bytes() == torn


def test_root_keys_of_another_directory_are_refused(
    start_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    """Every state directory has root keys of its own."""
    one, other = start_cloud(tmp_path / "one"), start_cloud(tmp_path / "other")
    one.ready["environment"]["AWS_ENDPOINT_URL"] = other.endpoint_url
    with pytest.raises(ClientError, match="security token included in the request is invalid"):
        one.client("iam").list_roles()
