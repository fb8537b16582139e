"""Who may call: the signature check when it runs alone, and any authenticator's contract."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from infra.local.verified_permissions import AccessDenied, Caller, VerifiedPermissions
from infra.local.verified_permissions.sigv4 import AccessKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .conftest import Endpoint

Json = Any  # what travels, before anybody has looked at it


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    """The error code."""
    return raised.value.response.get("Error", {}).get("Code", "")


def test_another_secret_or_key_is_refused(endpoint: Endpoint):
    """The right key id with a wrong secret has another code than an unknown key id."""
    wrong = AccessKey(access_key_id=endpoint.key.access_key_id, secret_access_key="wrong")
    with pytest.raises(ClientError) as raised:
        endpoint.client(key=wrong).list_policy_stores()
    assert code(raised) == "SignatureDoesNotMatch"
    with pytest.raises(ClientError) as raised:
        endpoint.client(key=AccessKey()).list_policy_stores()
    assert code(raised) == "UnrecognizedClientException"


def signed(
    endpoint: Endpoint,
    body: bytes,
    at: float | None = None,
    service: str = "verifiedpermissions",
    stated: str | None = None,
) -> dict[str, str]:
    """Headers of a signed ListPolicyStores of some time; ``stated`` is the body's hash."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - only these tests sign by hand
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    host = endpoint.url.removeprefix("http://")
    headers = {"host": host, "x-amz-target": "VerifiedPermissions.ListPolicyStores"}
    if stated is not None:
        headers["x-amz-content-sha256"] = stated
    request = AWSRequest("POST", f"{endpoint.url}/", data=body, headers=headers)
    signer = SigV4Auth(
        Credentials(endpoint.key.access_key_id, endpoint.key.secret_access_key),
        service,
        "eu-central-1",
    )
    request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )
    names = signer.signed_headers(signer.headers_to_sign(request))
    return headers | {
        "x-amz-date": request.context["timestamp"],
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, "
            f"Signature={signature}"
        ),
    }


def answer(endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Status and error code."""
    status, document = endpoint.app.answer(headers, body)
    return status, document.get("__type", "")


def test_a_signature_covers_body_time_service_and_target(endpoint: Endpoint):
    """The request as it was signed passes; any change, an old date or another service does not."""
    body = b'{"maxResults": 1}'
    good = signed(endpoint, body)
    assert answer(endpoint, good, body) == (200, "")
    for headers, content in (
        (good, b'{"maxResults": 2}'),
        (good | {"x-amz-target": "VerifiedPermissions.ListPolicyStoreAliases"}, body),
        (good | {"host": "elsewhere"}, body),
        (signed(endpoint, body, time.time() - 1000), body),
        (signed(endpoint, body, time.time() + 1000), body),
        (signed(endpoint, body, service="s3"), body),
    ):
        assert answer(endpoint, headers, content) == (403, "SignatureDoesNotMatch")
    assert answer(endpoint, good | {"x-amz-security-token": "x"}, body) == (
        403,
        "UnrecognizedClientException",
    )
    partly = good["authorization"].replace("host;x-amz-date;x-amz-target", "host;x-amz-date")
    assert answer(endpoint, good | {"authorization": partly}, body) == (
        403,
        "IncompleteSignatureException",
    )


def test_a_stated_hash_does_not_stand_for_the_body(endpoint: Endpoint):
    """`x-amz-content-sha256` must be the body's own hash, signed or only sent along."""
    body, other = b'{"maxResults": 1}', b'{"maxResults": 2}'
    digest = hashlib.sha256(body).hexdigest()
    good = signed(endpoint, body, stated=digest)
    assert "x-amz-content-sha256" in good["authorization"]
    assert answer(endpoint, good, body) == (200, "")
    for headers, content in (
        (good, other),
        (signed(endpoint, body, stated="UNSIGNED-PAYLOAD"), body),
        (signed(endpoint, body, stated="UNSIGNED-PAYLOAD"), other),
        (signed(endpoint, body, stated="STREAMING-UNSIGNED-PAYLOAD-TRAILER"), body),
        (signed(endpoint, body, stated=""), body),
        (signed(endpoint, body) | {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, body),
    ):
        assert answer(endpoint, headers, content) == (403, "SignatureDoesNotMatch"), headers


def test_an_unsigned_request_is_refused_over_http(endpoint: Endpoint):
    """AWS's headers are on the answer; unknown targets and bodies have their own codes."""

    def post(target: str, body: bytes) -> tuple[int, Any]:
        # The address is the test's own.
        request = urllib.request.Request(endpoint.url, body, {"X-Amz-Target": target})  # noqa: S310
        with pytest.raises(HTTPError) as raised:
            urllib.request.urlopen(request)  # noqa: S310 - as above
        with raised.value as error:
            assert error.headers["content-type"] == "application/x-amz-json-1.0"
            assert error.headers["x-amzn-requestid"]
            return error.code, json.loads(error.read())["__type"].rpartition("#")[2]

    assert post("VerifiedPermissions.ListPolicyStores", b"{}") == (
        403,
        "MissingAuthenticationTokenException",
    )
    assert post("VerifiedPermissions.MakeCoffee", b"{}") == (400, "UnknownOperationException")
    for body in (b"[]", b"{", b'"x"', b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000):
        assert post("VerifiedPermissions.ListPolicyStores", body) == (400, "SerializationException")


class Gate:
    """An authenticator that lets some resources pass, and keeps what it was asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[tuple[str, str | None]] = []

    def __call__(
        self, _headers: Mapping[str, str], _body: bytes, action: str, resource: str | None
    ) -> Caller:
        """Let pass or refuse."""
        self.asked.append((action, resource))
        if resource is not None and self.allowed and resource not in self.allowed:
            raise AccessDenied("AccessDeniedException", f"not allowed: {action}", 400)
        return Caller(account_id="123456789012", region="eu-central-1")


def ask_at(gate: Gate) -> Json:
    """An endpoint behind the gate, to be asked in process."""
    app = VerifiedPermissions(
        state_dir=None, authenticate=gate, signing_keys={}.__getitem__, account_id="123456789012"
    )

    def ask(operation: str, **request: Json) -> dict[str, Any]:
        headers = {
            "x-amz-target": f"VerifiedPermissions.{operation}",
            "authorization": "Credential=AKIA/20261122/eu-central-1/verifiedpermissions/"
            "aws4_request",
        }
        return app.answer(headers, json.dumps(request).encode())[1]

    return ask


def test_authenticator_is_asked_for_the_store_behind_each_name():
    """Alias, batch and tags cannot reach a store that its ARN may not."""
    gate = Gate()
    ask = ask_at(gate)
    mine, theirs = (ask("CreatePolicyStore", validationSettings={"mode": "OFF"}) for _ in range(2))
    ask(
        "CreatePolicyStoreAlias",
        aliasName="policy-store-alias/theirs",
        policyStoreId=theirs["policyStoreId"],
    )
    ask(
        "CreatePolicyStoreAlias",
        aliasName="policy-store-alias/mine",
        policyStoreId=mine["policyStoreId"],
    )
    gate.allowed = (mine["arn"],)
    own, other = (
        {"policyStoreId": mine["policyStoreId"]},
        {"policyStoreId": theirs["policyStoreId"]},
    )
    assert "policyStoreId" in ask("GetPolicyStore", **own)
    assert "policyStoreId" in ask("GetPolicyStore", policyStoreId="policy-store-alias/mine")
    for operation, request in (
        ("GetPolicyStore", other),
        ("GetPolicyStore", {"policyStoreId": "policy-store-alias/theirs"}),
        ("BatchGetPolicy", {"requests": [{**own, "policyId": "x"}, {**other, "policyId": "x"}]}),
        ("TagResource", {"resourceArn": theirs["arn"], "tags": {"a": "b"}}),
        ("DeletePolicyStoreAlias", {"aliasName": "policy-store-alias/theirs"}),
        ("CreatePolicyStoreAlias", {"aliasName": "policy-store-alias/theirs", **own}),
        ("IsAuthorized", other),
    ):
        assert ask(operation, **request)["__type"] == "AccessDeniedException", operation
    for operation, action in (
        ("BatchIsAuthorized", "IsAuthorized"),
        ("BatchIsAuthorizedWithToken", "IsAuthorizedWithToken"),
        ("BatchGetPolicy", "GetPolicy"),
    ):
        gate.asked.clear()
        ask(operation, **own, requests=[{**own, "policyId": "x"}])
        assert gate.asked == [(action, mine["arn"])]


def test_an_account_other_than_the_endpoints_is_refused():
    """Also when the authenticator knows it."""

    class Stranger(Gate):
        """Knows everybody as the same other account."""

        def __call__(self, *_: object) -> Caller:
            return Caller(account_id="210987654321", region="eu-central-1")

    assert ask_at(Stranger())("ListPolicyStores")["__type"] == "AccessDeniedException"
