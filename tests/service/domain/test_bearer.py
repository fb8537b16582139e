"""The principal that a copy decides on is the one that the policy store makes of the same token."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.local.verified_permissions.claims import principal as made_by_store
from infra.local.verified_permissions.claims import with_token
from infra.local.verified_permissions.records import IdentitySource
from infra.local.verified_permissions.schema_shapes import SchemaShapes
from infra.local.verified_permissions.tokens import VerifiedClaims as StoresClaims
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.compiled import CompiledPolicies
from service.cedar.request import AuthorizationRequest, TokenBearer
from service.cedar.values import EntityUid, json_value
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from tests.service.stamped_policies import only

ACME = MemoryUserPool("acme").tenant
SCHEMA = only(ACME).schema
SHAPES = SchemaShapes(json.loads(SCHEMA))
COPY = CompiledPolicies(only(ACME), actions=())
VIEW = {"type": "Fleet::Action", "id": "ViewDevice"}
SOURCE = IdentitySource(
    id="IS1",
    store="PS1",
    principal_type="Fleet::User",
    configuration={
        "cognitoUserPoolConfiguration": {
            "userPoolArn": f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{ACME.pool_id}",
            "groupConfiguration": {"groupEntityType": "Fleet::Group"},
        }
    },
    created="2026-10-01T00:00:00Z",
    updated="2026-10-01T00:00:00Z",
    order=1,
)


def caller(claims: dict[str, Any], use: TokenUse) -> Principal:
    """Who sent a token of these claims."""
    return Principal(
        tenant=ACME,
        subject=claims["sub"],
        token_use=use,
        groups=tuple(claims.get("cognito:groups", ())),
        email=None,
        client_id=claims.get("client_id", "app"),
        expires_at=2**40,
        claims=VerifiedClaims(claims),
        token="",
    )


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": "kim@acme.example", "email_verified": True, "auth_time": 7},
        {"custom:region": "eu-north", "custom:unknown": "x", "identities": [{"userId": "1"}]},
        {"email": '"\\', "custom:region": ""},
        {"cognito:groups": ["managers", "night|shift"], "cognito:username": "kim"},
        {"cognito:groups": [], "cognito:roles": ["arn:aws:iam::123456789012:role/x"]},
    ],
    ids=str,
)
def test_a_person_is_as_the_store_sees_one(claims: dict[str, Any]) -> None:
    """Id, groups and attributes: what the schema has of an ID token's claims, and nothing else."""
    known = {"sub": "kim", "token_use": "id", "aud": "app", **claims}
    theirs = made_by_store(SOURCE, {"identityToken": StoresClaims(known)}, SHAPES)
    bearer = caller(known, TokenUse.ID).bearer(COPY.user_attributes)
    ours, *groups = (entity.json() for entity in bearer.entities(ACME.pool_id))
    assert ours == theirs.entity
    assert [group["uid"] for group in groups] == theirs.entity["parents"]
    assert bearer.context() == {}


@pytest.mark.parametrize("scope", ["", "fleet/view", "fleet/view fleet/operate"])
def test_a_machine_is_as_the_store_sees_one(scope: str) -> None:
    """Scopes, client and subject in the context, and no attributes."""
    known = {"sub": "mes", "token_use": "access", "client_id": "mes", "scope": scope, "version": 2}
    theirs = made_by_store(SOURCE, {"accessToken": StoresClaims(known)}, SHAPES)
    bearer = caller(known, TokenUse.ACCESS).bearer(COPY.user_attributes)
    [ours] = (entity.json() for entity in bearer.entities(ACME.pool_id))
    assert ours == theirs.entity
    context = {name: json_value(value) for name, value in bearer.context().items()}
    assert context == with_token({}, theirs, VIEW, SHAPES, "/context")


def test_a_request_tells_what_its_bearers_token_adds() -> None:
    """Of a person who uses a client, the client; of a machine itself; of an ID token nothing."""
    resource = EntityUid("Fleet::Device", "press-07")
    request = AuthorizationRequest(
        principal=resource, action="ViewDevice", resource=resource, context={"a": 1}, entities=()
    )
    scopes = ("fleet/view",)
    for bearer, client in (
        (TokenBearer(subject="kim", scopes=scopes, client_id="app"), "app"),
        (TokenBearer(subject="mes", scopes=scopes), "mes"),
    ):
        asked = request.with_bearer(bearer, pool_id=ACME.pool_id)
        token = {"sub": bearer.subject, "client_id": client, "scope": scopes}
        assert asked.context == {"a": 1, "token": token}
        assert asked.principal == bearer.uid(ACME.pool_id)
    asked = request.with_bearer(TokenBearer(subject="kim"), pool_id=ACME.pool_id)
    assert asked.context == {"a": 1}


def test_a_machine_without_scopes_is_the_stores() -> None:
    """`context.token has scope` is not the same as no scope in it."""
    known = {"sub": "mes", "token_use": "access", "client_id": "mes"}
    with pytest.raises(ValueError, match="scope"):
        caller(known, TokenUse.ACCESS).bearer(COPY.user_attributes)


@pytest.mark.parametrize("claim", ["custom", "cognito"])
def test_a_claim_that_dotted_names_could_mean_is_the_stores(claim: str) -> None:
    """Policies may write `custom.region` for `custom:region`: which is meant, nobody here knows."""
    known = {"sub": "kim", "token_use": "id", "aud": "app", claim: {"region": "eu-north"}}
    with pytest.raises(ValueError, match="claim `custom` or `cognito`"):
        caller(known, TokenUse.ID).bearer(COPY.user_attributes)


@pytest.mark.parametrize("groups", ["managers", ["managers", 7], None])
def test_groups_of_another_form_are_the_stores(groups: object) -> None:
    """What the token says of groups is decided on as it stands, or not here."""
    person = replace(caller({"sub": "kim"}, TokenUse.ID), groups=("managers",))
    odd = replace(person, claims=VerifiedClaims({"cognito:groups": groups}))
    with pytest.raises(ValueError, match="groups of the token"):
        odd.bearer(COPY.user_attributes)
