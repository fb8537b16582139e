"""Tokens, and requests beside tokens, that are refused before any decision."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.infra.local.verified_permissions.assertions import fields, refused
from tests.infra.local.verified_permissions.issuer import Issuer
from tests.infra.local.verified_permissions.shop import HAT, VIEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Endpoint

Json = Any  # what travels, before anybody has looked at it


def refusal(call: Callable[..., object], **request: Json) -> str:
    """The first message of the ValidationException that the call must raise."""
    return fields(refused(call, **{"action": VIEW, "resource": HAT, **request}))[0][1]


def _none(pool: Issuer) -> str:
    claims = {
        "iss": pool.url,
        "sub": "alice",
        "aud": "web",
        "token_use": "id",
        "exp": int(time.time()) + 60,
    }
    return jwt.encode(claims, "", "none", {"kid": pool.key_id}) + "c2ln"


def _hmac_with_public_key(pool: Issuer) -> str:
    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    claims = {
        "iss": pool.url,
        "sub": "alice",
        "aud": "web",
        "token_use": "id",
        "exp": int(time.time()) + 60,
    }
    signed = f"{part({'alg': 'HS256', 'kid': pool.key_id})}.{part(claims)}"
    secret = json.dumps(pool.jwks()["keys"][0]).encode()
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _tampered(pool: Issuer) -> str:
    head, body, signature = pool.identity_token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"sub": "root"}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


def _foreign_key(pool: Issuer) -> str:
    return Issuer(pool.url).identity_token()


BAD_TOKENS: dict[str, Callable[[Issuer], str]] = {
    "unsigned": _none,
    "signed with the public key": _hmac_with_public_key,
    "tampered": _tampered,
    "signed by another key": _foreign_key,
    "of an unknown key id": lambda pool: Issuer(pool.url, "other", pool.key).identity_token(),
    "expired": lambda pool: pool.identity_token(exp=int(time.time()) - 1),
    "not valid yet": lambda pool: pool.identity_token(nbf=int(time.time()) + 60),
    "without an end": lambda pool: jwt.encode(
        {"iss": pool.url, "sub": "alice", "aud": "web", "token_use": "id"},
        pool.key,
        "RS256",
        {"kid": pool.key_id},
    ),
    "of another pool": lambda pool: pool.identity_token(iss=pool.url[:-1] + "J"),
    "for another client": lambda pool: pool.identity_token(aud="other"),
    "of the wrong use": lambda pool: pool.access_token(aud="web"),
    "without a user": lambda pool: pool.identity_token(sub=""),
    "no token": lambda _: "aaaa.bbbb.cccc",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_refused_before_any_decision(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str, kind: str
):
    """Each bad token is a ValidationException without any part of it; the good one passes."""
    allow: Any = {
        "static": {"statement": 'permit(principal, action == Shop::Action::"view", resource);'}
    }
    client.create_policy(policyStoreId=trusting_store, definition=allow)
    token = BAD_TOKENS[kind](endpoint.pool)
    words = refusal(
        client.is_authorized_with_token, policyStoreId=trusting_store, identityToken=token
    )
    assert not any(part and part in words for part in token.split("."))
    good = endpoint.pool.identity_token()
    answer = client.is_authorized_with_token(
        policyStoreId=trusting_store, identityToken=good, action=VIEW, resource=HAT
    )
    assert answer["decision"] == "ALLOW"


def test_two_tokens_of_two_users_are_refused(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str
):
    """Groups of one and attributes of the other must not meet in one principal."""
    words = refusal(
        client.is_authorized_with_token,
        policyStoreId=trusting_store,
        identityToken=endpoint.pool.identity_token(),
        accessToken=endpoint.pool.access_token(sub="bob"),
    )
    assert "two users" in words


def test_a_token_is_needed_and_a_source_to_vouch_for_it(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str, open_store: str
):
    """Neither an absent token nor a store that trusts nobody decides anything."""
    assert "required" in refusal(client.is_authorized_with_token, policyStoreId=trusting_store)
    token = endpoint.pool.identity_token()
    assert "no identity source" in refusal(
        client.is_authorized_with_token, policyStoreId=open_store, identityToken=token
    )


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        ("Shop::User", "PrincipalEntityType Shop::User cannot be defined in Entities"),
        ("Shop::Group", "GroupEntityType Shop::Group cannot be defined in Entities"),
        ("Shop::Action", "Actions cannot be defined in Entities"),
    ],
)
@pytest.mark.parametrize("form", ["entityList", "cedarJson"])
def test_nobody_is_made_a_manager_by_the_request(  # noqa: PLR0917 - pytest passes by name
    client: VerifiedPermissionsClient,
    endpoint: Endpoint,
    trusting_store: str,
    entity: str,
    words: str,
    form: str,
):
    """Principals, groups and actions beside a token are refused in both forms of entities."""
    listed: Any = {"entityList": [{"identifier": {"entityType": entity, "entityId": "x"}}]}
    written: Any = {"cedarJson": json.dumps([{"uid": {"__entity": {"type": entity, "id": "x"}}}])}
    entities = listed if form == "entityList" else written
    token = endpoint.pool.identity_token()
    given = refusal(
        client.is_authorized_with_token,
        policyStoreId=trusting_store,
        identityToken=token,
        entities=entities,
    )
    assert given == words


def test_a_bearer_brings_no_context_token_of_his_own(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str
):
    """A `token` in the request's context beside an access token is refused."""
    forged: Any = {"contextMap": {"token": {"record": {"scope": {"set": [{"string": "admin"}]}}}}}
    words = refusal(
        client.is_authorized_with_token,
        policyStoreId=trusting_store,
        accessToken=endpoint.pool.access_token(),
        context=forged,
    )
    assert "cannot be given" in words


@pytest.mark.parametrize("claim", ["custom", "cognito"])
def test_a_claim_that_shadows_dotted_claims_is_refused(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str, claim: str
):
    """`custom` beside `custom:*` would make `principal.custom` mean two things."""
    token = endpoint.pool.identity_token(**{claim: "x", f"{claim}:dept": "y"})
    words = refusal(
        client.is_authorized_with_token, policyStoreId=trusting_store, identityToken=token
    )
    assert f"`{claim}`" in words
