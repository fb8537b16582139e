"""What anyone on this machine can reach without an AWS signature: almost nothing."""

from __future__ import annotations

import importlib
import socket
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.local.cloud.front_door import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud

TABLES = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
SCOPE = "20261122/eu-central-1/dynamodb/aws4_request"
ROOTLIKE = "AKIA0000000000000000"
SIGNED = f"AWS4-HMAC-SHA256 Credential={ROOTLIKE}/{SCOPE}, SignedHeaders=host, Signature={'0' * 64}"
QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261122T110000Z&X-Amz-Expires=100000"
    f"&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}&X-Amz-Credential="
)


@pytest.fixture
def http(embedded_cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A plain client at the gateway."""
    with httpx.Client(base_url=embedded_cloud.endpoint_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer x",
        "Basic eDp4",
        "Foo",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 x",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=0",
        SIGNED.replace(ROOTLIKE, ""),
        SIGNED.replace(ROOTLIKE, "test"),
        SIGNED.replace(ROOTLIKE, "123456789012"),
        SIGNED.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        "AWS test:c2lnbmF0dXJl",
    ],
)
def test_header_that_is_no_signature_is_refused(authorization: str | None, http: httpx.Client) -> None:
    """Anything but one well-formed Signature Version 4 header is refused before the emulator sees it."""
    headers = TABLES if authorization is None else TABLES | {"Authorization": authorization}
    answer = http.post("/", headers=headers, content=b"{}")
    assert answer.status_code == 403
    assert answer.json()["__type"] == "MissingAuthenticationToken"


@pytest.mark.parametrize("second", ["Bearer x", SIGNED])
def test_two_authorization_headers_are_refused(second: str, http: httpx.Client) -> None:
    """A second Authorization header is refused, since two readers could choose differently."""
    headers = [*TABLES.items(), ("Authorization", SIGNED), ("Authorization", second)]
    assert http.post("/", headers=headers, content=b"{}").status_code == 400


def test_two_targets_are_refused(http: httpx.Client) -> None:
    """A public operation of Cognito cannot carry another operation along."""
    public = ("X-Amz-Target", "AWSCognitoIdentityProviderService.InitiateAuth")
    assert http.post("/", headers=[public, *TABLES.items()], content=b"{}").status_code == 400


@pytest.mark.parametrize("key", [ROOTLIKE, "root"])
def test_wrong_signature_is_refused(key: str, embedded_cloud: EmbeddedCloud, http: httpx.Client) -> None:
    """A well-formed signature that was not made with the key's secret is refused by the emulator."""
    key = embedded_cloud.environment()["AWS_ACCESS_KEY_ID"] if key == "root" else key
    headers = TABLES | {"Authorization": SIGNED.replace(ROOTLIKE, key), "X-Amz-Date": "20261122T110000Z"}
    answer = http.post("/", headers=headers, content=b"{}")
    assert answer.status_code in (400, 403)
    assert "TableNames" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=1",
        "X-Amz-Signature=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=",
        QUERY,
        QUERY + "zz",
        QUERY + "/20261122/eu-central-1/s3/aws4_request",
        QUERY + "test/20261122/eu-central-1/s3/aws4_request",
        QUERY + "123456789012/20261122/eu-central-1/s3/aws4_request",
        QUERY + f"{ROOTLIKE}/20261122/eu-central-1/s3/aws4_request&X-Amz-Signature=2",
        "AWSAccessKeyId=test&Signature=x&Expires=9999999999",
        "x=X-Amz-Signature=1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_query_that_is_no_signature_is_refused(method: str, query: str, http: httpx.Client) -> None:
    """An incomplete or made-up query signature reaches no bucket."""
    assert http.request(method, f"/{'' if method == 'GET' else 'new-bucket'}?{query}").status_code == 403


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
@pytest.mark.parametrize("host", [None, "iot.eu-central-1.amazonaws.com", "data-ats.iot.eu-central-1.amazonaws.com"])
def test_unsigned_request_is_refused(method: str, path: str, host: str | None, http: httpx.Client) -> None:
    """No path, and no host name that the emulator routes by, serves an unsigned request."""
    assert http.request(method, path, headers={"Host": host} if host else {}).status_code == 403


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_localstack/health"])
def test_administration_is_closed_to_root_too(path: str, embedded_cloud: EmbeddedCloud, http: httpx.Client) -> None:
    """The emulator's own endpoints are not part of AWS and serve nobody."""
    environment = embedded_cloud.environment()
    credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    request = AWSRequest(method="POST", url=embedded_cloud.endpoint_url + path)
    SigV4QueryAuth(credentials, "s3", embedded_cloud.region).add_auth(request)
    assert http.post(str(request.url)).status_code == 403


@pytest.mark.parametrize("path", ["/oauth2/token", "/login", "/logout", "/oauth2/userInfo", "/oauth2/authorize"])
def test_open_path_does_not_lead_to_a_service(path: str, http: httpx.Client) -> None:
    """A sign-in address with the target of a service is refused, whatever it is authorized with."""
    assert http.post(path, headers=TABLES, content=b"{}").status_code == 403
    assert http.post(path, headers=TABLES | {"Authorization": "Bearer x"}, content=b"{}").status_code == 403


def test_a_machine_names_itself_to_the_token_endpoint(http: httpx.Client) -> None:
    """HTTP Basic leads to the token endpoint, which says itself that it does not know the client."""
    answer = http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=("nobody", "secret"))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/oauth2/userInfo", {}),
        ("/oauth2/token/", {}),
        ("/oauth2/token?Action=GetCallerIdentity&Version=2011-06-15", {}),
        ("/oauth2/token", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}),
        ("/oauth2/token", {"Host": "iam.amazonaws.com"}),
        ("/oauth2/token", {"Host": "artifacts.s3.localhost:1"}),
        ("/oauth2/token", {"Authorization": "Bearer eDp4"}),
        ("/", {}),
    ],
)
def test_basic_authorization_leads_nowhere_else(path: str, headers: dict[str, str], http: httpx.Client) -> None:
    """The emulator would take the header for the account's root, so no target, host or query may come along."""
    assert http.post(path, headers={"Authorization": "Basic eDp4"} | headers, content=b"{}").status_code == 403


@pytest.mark.parametrize("operation", ["ListUserPools", "AdminCreateUser", "AdminSetUserPassword", "DescribeUserPool"])
def test_administration_of_users_needs_a_signature(operation: str, http: httpx.Client) -> None:
    """Only the operations of Cognito that AWS serves unsigned are open."""
    headers = {
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    assert http.post("/", headers=headers, content=b"{}").status_code == 403


def test_unknown_service_is_refused_with_a_list(embedded_cloud: EmbeddedCloud) -> None:
    """A service that the cloud does not have is refused by name, without loading every model of botocore."""
    environment = embedded_cloud.environment()
    tracing = boto3.Session(region_name=embedded_cloud.region).client(
        "xray",
        endpoint_url=embedded_cloud.endpoint_url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(ClientError, match="`xray` is not part of the embedded cloud, which has: acm, cognito-idp"):
        tracing.get_sampling_rules()
    tracing.close()


def test_no_served_service_loads_every_model(embedded_cloud: EmbeddedCloud, http: httpx.Client) -> None:
    """Each service that the door lets in is one that the emulator knows: guessing would cost seconds and 366 MB."""
    environment = embedded_cloud.environment()
    credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    for service in SERVICES:
        request = AWSRequest(method="GET", url=f"{embedded_cloud.endpoint_url}/x?Action=Nothing")
        SigV4QueryAuth(credentials, service, embedded_cloud.region).add_auth(request)
        http.get(str(request.url))
    assert importlib.import_module("ministack.core.router")._KNOWN_AWS_SERVICE_NAMES is None


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """A pool with its hosted pages."""

    pool: str
    app: str
    callback: str = "http://localhost:8000/callback"


@pytest.fixture
def sign_in(embedded_cloud: EmbeddedCloud) -> SignIn:
    """A pool and an app that signs people in by code."""
    people = embedded_cloud.client("cognito-idp")
    pool = people.create_user_pool(PoolName="people")["UserPool"]["Id"]
    people.create_user_pool_domain(UserPoolId=pool, Domain=f"door-{uuid.uuid4().hex[:8]}")
    app = people.create_user_pool_client(
        UserPoolId=pool,
        ClientName="console",
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid"],
        AllowedOAuthFlowsUserPoolClient=True,
        CallbackURLs=[SignIn.callback],
        LogoutURLs=[SignIn.callback],
        SupportedIdentityProviders=["COGNITO"],
    )["UserPoolClient"]["ClientId"]
    return SignIn(pool=pool, app=app)


def test_sign_in_page_cannot_be_framed_or_scripted(sign_in: SignIn, http: httpx.Client) -> None:
    """The page of a pool is served to anyone, with headers that forbid frames, scripts and referrers."""
    parameters = {"client_id": sign_in.app, "response_type": "code", "scope": "openid", "state": "s"}
    page = http.get("/oauth2/authorize", params=parameters | {"redirect_uri": sign_in.callback})
    assert page.status_code == 200
    assert "password" in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy  # it would stop the redirect back to the app


def test_signing_out_leads_back_to_the_app(sign_in: SignIn, http: httpx.Client) -> None:
    """``/logout`` redirects to an address of the app, and to no other."""
    answer = http.get("/logout", params={"client_id": sign_in.app, "logout_uri": sign_in.callback})
    assert (answer.status_code, answer.headers["location"]) == (302, sign_in.callback)
    elsewhere = http.get("/logout", params={"client_id": sign_in.app, "logout_uri": "http://localhost:9/elsewhere"})
    assert elsewhere.status_code == 400


def test_keys_of_a_pool_are_public(sign_in: SignIn, http: httpx.Client, embedded_cloud: EmbeddedCloud) -> None:
    """Anyone may fetch a pool's keys and discovery document; an unknown pool has none."""
    address = embedded_cloud.jwks_url_template.format(pool=sign_in.pool)
    assert len(http.get(address).json()["keys"]) == 2
    discovery = http.get(f"/{sign_in.pool}/.well-known/openid-configuration").json()
    assert discovery["issuer"] == f"https://cognito-idp.eu-central-1.amazonaws.com/{sign_in.pool}"
    assert http.get("/eu-central-1_Unknown00/.well-known/jwks.json").status_code == 404


def test_presigned_url_is_checked(embedded_cloud: EmbeddedCloud, http: httpx.Client) -> None:
    """A presigned URL works unchanged, also for a range; altered, or for another object, it does not."""
    store, bucket = embedded_cloud.client("s3"), f"door-{uuid.uuid4().hex[:8]}"
    store.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": embedded_cloud.region})
    for key in ("mine", "other"):
        store.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    url: str = store.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "mine"}, ExpiresIn=60)
    assert http.get(url).content == b"0123456789"
    ranged = http.get(url, headers={"Range": "bytes=2-4"})
    assert (ranged.status_code, ranged.content) == (206, b"234")
    assert http.get(url.replace("/mine?", "/other?")).status_code == 403
    assert http.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).status_code == 403


def _upgrade(address: Any, path: str, headers: str) -> bytes:  # noqa: ANN401 - a socket address
    """The first line of the answer to an MQTT-over-WebSocket upgrade."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x-ats.iot.eu-central-1.localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: mqtt\r\n{headers}\r\n".encode()
        )
        return client.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", ""),
        ("", "Authorization: Bearer x\r\n"),
        ("", f"Authorization: {SIGNED.replace('dynamodb', 'iotdevicegateway')}\r\n"),
        (QUERY + "test/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + "123456789012/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + f"{ROOTLIKE}/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + "root/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
    ],
)
def test_unsigned_mqtt_over_websocket_is_refused(query: str, headers: str, embedded_cloud: EmbeddedCloud) -> None:
    """The broker cannot be entered through the gateway without a valid signature."""
    key = embedded_cloud.environment()["AWS_ACCESS_KEY_ID"]
    address = ("127.0.0.1", int(embedded_cloud.endpoint_url.rsplit(":", 1)[1]))
    path = "/mqtt?" + query.replace("root/", f"{key}/")
    assert b" 403" in _upgrade(address, path, headers)


def test_signed_mqtt_over_websocket_is_served(embedded_cloud: EmbeddedCloud) -> None:
    """An upgrade signed by the root is accepted: the door is closed to forgers only."""
    environment = embedded_cloud.environment()
    credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    request = AWSRequest(method="GET", url="http://x-ats.iot.eu-central-1.localhost/mqtt")
    SigV4QueryAuth(credentials, "iotdevicegateway", embedded_cloud.region).add_auth(request)
    path = str(request.url).removeprefix("http://x-ats.iot.eu-central-1.localhost")
    address = ("127.0.0.1", int(embedded_cloud.endpoint_url.rsplit(":", 1)[1]))
    assert b" 101" in _upgrade(address, path, "")


def test_gateway_is_on_loopback_only(embedded_cloud: EmbeddedCloud) -> None:
    """Linux serves all of 127/8 on loopback: what is bound to 127.0.0.1 only is not at 127.0.0.2."""
    port = int(embedded_cloud.endpoint_url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
