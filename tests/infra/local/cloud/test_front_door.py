"""What can be reached on this machine without an AWS signature: almost nothing."""

from __future__ import annotations

import importlib
import socket
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.local.cloud.front_door import SERVICES
from tests.infra.local.cloud.conftest import TABLES

if TYPE_CHECKING:
    import httpx

    from infra.local.cloud import EmbeddedCloud


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("PUT", "/new-bucket"),
        ("GET", "/bucket/key"),
        ("GET", "/things"),
        ("POST", "/topics/a/b?qos=1"),
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/health"),
        ("GET", "/_ministack/ses/messages"),
        ("GET", "/_ministack/sqs/messages"),
        ("POST", "/_localstack/state/reset"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15"),
        ("GET", "/login/x"),
        ("GET", "/oauth2/x"),
        ("GET", "/unknown/.well-known/jwks.json"),
        ("GET", "/_cedarfleet/container-credentials/x"),
    ],
)
@pytest.mark.parametrize(
    "host", [None, "iot.eu-central-1.amazonaws.com", "data-ats.iot.eu-central-1.amazonaws.com"]
)
def test_unsigned_request_is_refused(
    method: str, path: str, host: str | None, http: httpx.Client
) -> None:
    """No path, and no host name that the emulator routes by, serves an unsigned request."""
    assert http.request(method, path, headers={"Host": host} if host else {}).status_code == 403


def test_a_form_that_nobody_signed_writes_nothing(
    http: httpx.Client, embedded_cloud: EmbeddedCloud
) -> None:
    """The door lets forms for a bucket by, whose signature stands in their body."""
    s3 = embedded_cloud.client("s3")
    place = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket="forms-of-nobody", CreateBucketConfiguration=place)
    for fields in ({"key": "x"}, {"key": "x", "policy": "e30=", "x-amz-signature": "ab" * 32}):
        answer = http.post("/forms-of-nobody", data=fields, files={"file": b"x"})
        assert answer.status_code in {400, 403}, answer.text
    assert s3.list_objects_v2(Bucket="forms-of-nobody")["KeyCount"] == 0


def test_two_targets_are_refused(http: httpx.Client) -> None:
    """A public operation of Cognito cannot carry another operation along."""
    public = ("X-Amz-Target", "AWSCognitoIdentityProviderService.InitiateAuth")
    assert http.post("/", headers=[public, *TABLES.items()], content=b"{}").status_code == 400


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_localstack/health"])
def test_administration_is_closed_to_root_too(
    path: str, embedded_cloud: EmbeddedCloud, http: httpx.Client
) -> None:
    """The emulator's own endpoints are not part of AWS and serve nobody."""
    environment = embedded_cloud.environment()
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    request = AWSRequest(method="POST", url=embedded_cloud.endpoint_url + path)
    SigV4QueryAuth(credentials, "s3", embedded_cloud.region).add_auth(request)
    assert http.post(str(request.url)).status_code == 403


def test_unknown_service_is_refused_with_a_list(embedded_cloud: EmbeddedCloud) -> None:
    """A service that the cloud does not have is refused by name, without loading all models."""
    environment = embedded_cloud.environment()
    tracing = boto3.Session(region_name=embedded_cloud.region).client(
        "xray",
        endpoint_url=embedded_cloud.endpoint_url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(
        ClientError, match="`xray` is not part of the embedded cloud, which has: acm, cognito-idp"
    ):
        tracing.get_sampling_rules()
    tracing.close()


def test_no_served_service_loads_every_model(
    embedded_cloud: EmbeddedCloud, http: httpx.Client
) -> None:
    """Each service let in is one that the emulator knows; guessing would cost 366 MB."""
    environment = embedded_cloud.environment()
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    for service in SERVICES:
        request = AWSRequest(method="GET", url=f"{embedded_cloud.endpoint_url}/x?Action=Nothing")
        SigV4QueryAuth(credentials, service, embedded_cloud.region).add_auth(request)
        http.get(str(request.url))
    assert importlib.import_module("ministack.core.router")._KNOWN_AWS_SERVICE_NAMES is None


def test_gateway_is_on_loopback_only(embedded_cloud: EmbeddedCloud) -> None:
    """Linux serves all of 127/8 on loopback: what listens on 127.0.0.1 is not at 127.0.0.2."""
    port = int(embedded_cloud.endpoint_url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
