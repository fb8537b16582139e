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
    from probed_cloud import ProbedCloud

LIST_TABLES = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
}


def root_key_is_one_and_verified(probed: ProbedCloud) -> bool:
    """A well-known key, a number, or the root's key with a wrong secret is root."""
    names = [probed.cloud.environment()["AWS_ACCESS_KEY_ID"], "test", "123456789012"]
    return any(_lists_tables(probed, name) for name in names)


def _lists_tables(probed: ProbedCloud, key: str) -> bool:
    client = probed.plain_client("dynamodb", key, "wrong")
    try:
        client.list_tables()
    except ClientError:
        return False
    finally:
        client.close()
    return True


def only_signature_version_4_counts(probed: ProbedCloud) -> bool:
    """An Authorization header of another kind is root."""
    return any(
        _answers(probed, {"Authorization": value})
        for value in ("Bearer x", "Basic eDp4", "anything")
    )


def signature_covers_the_body(probed: ProbedCloud) -> bool:
    """A signed request passes with another body than the one that was signed."""
    environment = probed.cloud.environment()
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
        request = AWSRequest("POST", f"{probed.cloud.endpoint_url}/", data=signed, headers=headers)
        SigV4Auth(credentials, "dynamodb", probed.cloud.region).add_auth(request)
        passed.append(
            _served(
                urllib.request.Request(request.url or "", data=body, headers=dict(request.headers))
            )
        )
    assert passed[-1], "the request as it was signed must pass"
    return any(passed[:-1])


def front_door(probed: ProbedCloud) -> bool:
    """The emulator's administration is open to anyone."""
    request = urllib.request.Request(
        f"{probed.cloud.endpoint_url}/_ministack/config", data=b"{}", method="POST"
    )
    return _served(request)


def _answers(probed: ProbedCloud, headers: dict[str, str]) -> bool:
    body = json.dumps({}).encode()
    return _served(
        urllib.request.Request(probed.cloud.endpoint_url, data=body, headers=LIST_TABLES | headers)
    )


def _served(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False
