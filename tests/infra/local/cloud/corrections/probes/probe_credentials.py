"""Each function is named after a correction and tells whether its hole is open."""

# ruff: noqa: S310 - the address is the cloud's own

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from rig import Rig

LIST_TABLES = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
}


def root_key_is_one_and_verified(rig: Rig) -> bool:
    """A well-known key, a number, or the root's key with a wrong secret is root."""
    names = [rig.cloud.environment()["AWS_ACCESS_KEY_ID"], "test", "123456789012"]
    return any(_lists_tables(rig, name) for name in names)


def _lists_tables(rig: Rig, key: str) -> bool:
    client = rig.plain_client("dynamodb", key, "wrong")
    try:
        client.list_tables()
    except ClientError:
        return False
    finally:
        client.close()
    return True


def only_signature_version_4_counts(rig: Rig) -> bool:
    """An Authorization header of another kind is root."""
    return any(
        _answers(rig, {"Authorization": value}) for value in ("Bearer x", "Basic eDp4", "anything")
    )


def signature_covers_the_body(rig: Rig) -> bool:
    """A signed request passes with another body than the one that was signed."""
    environment = rig.cloud.environment()
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    signed, sent = b'{"Limit": 1}', b'{"Limit": 2}'
    passed: list[bool] = []
    for stated, body in (
        (hashlib.sha256(signed).hexdigest(), sent),
        ("UNSIGNED-PAYLOAD", sent),
        (hashlib.sha256(signed).hexdigest(), signed),
    ):
        headers = {**LIST_TABLES, "X-Amz-Content-SHA256": stated}
        request = AWSRequest("POST", f"{rig.cloud.endpoint_url}/", data=signed, headers=headers)
        SigV4Auth(credentials, "dynamodb", rig.cloud.region).add_auth(request)
        passed.append(
            _served(
                urllib.request.Request(request.url or "", data=body, headers=dict(request.headers))
            )
        )
    assert passed[-1], "the request as it was signed must pass"
    return any(passed[:-1])


def front_door(rig: Rig) -> bool:
    """The emulator's administration is open to anyone."""
    request = urllib.request.Request(
        f"{rig.cloud.endpoint_url}/_ministack/config", data=b"{}", method="POST"
    )
    return _served(request)


def _answers(rig: Rig, headers: dict[str, str]) -> bool:
    body = json.dumps({}).encode()
    return _served(
        urllib.request.Request(rig.cloud.endpoint_url, data=body, headers=LIST_TABLES | headers)
    )


def _served(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False
