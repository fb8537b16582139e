"""What claims become: values that Cedar has, in the type that the schema declares, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.verified_permissions.claims import principal, with_token
from infra.local.verified_permissions.errors import InvalidInputError
from infra.local.verified_permissions.records import IdentitySource
from infra.local.verified_permissions.schema_shapes import SchemaShapes
from infra.local.verified_permissions.tokens import VerifiedClaims

if TYPE_CHECKING:
    from infra.local.verified_permissions.claims import TokenPrincipal
    from infra.local.verified_permissions.tokens import Use

POOL = "eu-central-1_AbC"
ARN = f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{POOL}"
GROUPS = {"groupEntityType": "Shop::Group"}
VIEW = {"type": "Shop::Action", "id": "view"}


def source(**configuration: Any) -> IdentitySource:
    """A source of this configuration, whose principals are users."""
    return IdentitySource(
        id="s",
        store="p",
        configuration=configuration,
        principal_type="Shop::User",
        created="",
        updated="",
        order=1,
    )


def cognito(**more: Any) -> IdentitySource:
    """The user pool."""
    return source(cognitoUserPoolConfiguration={"userPoolArn": ARN, **more})


def oidc(selection: dict[str, Any], **more: Any) -> IdentitySource:
    """A provider."""
    configured = {"issuer": "https://issuer.test", "tokenSelection": selection, **more}
    return source(openIdConnectConfiguration=configured)


def of(
    source_: IdentitySource, shapes: SchemaShapes | None = None, /, **tokens: dict[str, Any]
) -> TokenPrincipal:
    """The principal of these tokens' claims, whose subject is alice unless they say another."""
    claims: Any = {use: VerifiedClaims({"sub": "alice", **each}) for use, each in tokens.items()}
    verified: dict[Use, VerifiedClaims] = claims
    return principal(source_, verified, shapes)


def schema(kinds: dict[str, dict[str, Any]]) -> SchemaShapes:
    """A schema whose user has these attributes, and whose view has them in `context.token`."""
    record = {"type": "Record", "attributes": kinds}
    context = {"type": "Record", "attributes": {"token": record}}
    return SchemaShapes(
        {
            "Shop": {
                "entityTypes": {"User": {"shape": record}},
                "actions": {"view": {"appliesTo": {"context": context}}, "edit": {}},
            }
        }
    )


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("text", "text"),
        (True, True),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (["a", 1, [False]], ["a", 1, [False]]),
        ({"a": {"b": 1}, "none": None, "__entity": 1}, {"a": {"b": 1}}),
    ],
)
def test_a_claim_that_cedar_has_is_an_attribute(claim: Any, value: Any) -> None:
    """As it is, without what Cedar does not have and without its escapes."""
    assert of(cognito(), identityToken={"x": claim}).entity["attrs"]["x"] == value


@pytest.mark.parametrize("claim", [None, 1.5, 2**63, -(2**63) - 1, ["a", None], [[1.5]]])
def test_a_claim_that_cedar_has_not_is_left_out(claim: Any) -> None:
    """Also where it stands inside of a list."""
    assert "x" not in of(cognito(), identityToken={"x": claim}).entity["attrs"]


@pytest.mark.parametrize("name", ["__entity", "__x", "custom:__expr", "cognito:groups"])
def test_a_name_that_would_speak_cedar_is_left_out(name: str) -> None:
    """So are groups, which are parents."""
    attributes = of(cognito(), identityToken={name: "x", "custom:y": "z"}).entity["attrs"]
    assert attributes == {"sub": "alice", "custom:y": "z", "custom": {"y": "z"}}


def test_claims_with_a_prefix_are_also_records() -> None:
    """Of Cognito's two prefixes; a claim with the prefix's own name beside them is refused."""
    claims = {"custom:a": 1, "custom:b": 2, "cognito:username": "al", "other:c": 3}
    attributes = of(cognito(), identityToken=claims).entity["attrs"]
    assert attributes["custom"] == {"a": 1, "b": 2}
    assert attributes["cognito"] == {"username": "al"}
    assert "other" not in attributes
    assert of(cognito(), identityToken={"custom": 1}).entity["attrs"]["custom"] == 1
    with pytest.raises(InvalidInputError):
        of(cognito(), identityToken={"custom": 1, "custom:a": 1})
    provider = oidc({"identityTokenOnly": {}})
    assert of(provider, identityToken=claims).entity["attrs"] == {"sub": "alice", **claims}


@pytest.mark.parametrize(
    ("kind", "claim", "value"),
    [
        ({"type": "String"}, "x", "x"),
        ({"type": "String"}, 7, "7"),
        ({"type": "String"}, True, "true"),
        ({"type": "Boolean"}, "true", True),
        ({"type": "Boolean"}, "false", False),
        ({"type": "Boolean"}, True, True),
        ({"type": "Boolean"}, "yes", "yes"),
        ({"type": "Long"}, 7, 7),
        ({"type": "Set", "element": {"type": "String"}}, "a b", ["a", "b"]),
        ({"type": "Set", "element": {"type": "String"}}, ["a b"], ["a b"]),
        (
            {"type": "Record", "attributes": {"n": {"type": "String"}}},
            {"n": 7, "undeclared": 1},
            {"n": "7"},
        ),
        ({"type": "Record", "attributes": {}}, "text", "text"),
    ],
)
def test_a_claim_takes_the_declared_type(kind: dict[str, Any], claim: Any, value: Any) -> None:
    """Where the issuer's is mere habit; the same of an attribute and of `context.token`."""
    shapes = schema({"x": kind})
    claims = {"x": claim, "undeclared": 1}
    who = of(cognito(), shapes, identityToken=claims, accessToken=claims)
    assert who.entity["attrs"] == {"x": value}
    context = with_token({"now": 1}, who, VIEW, shapes, "/context")
    assert context == {"now": 1, "token": {"x": value}}
    edit = VIEW | {"id": "edit"}
    assert with_token({"now": 1}, who, edit, shapes, "/context") == {"now": 1}


def test_without_a_schema_a_scope_is_a_set_and_the_rest_as_it_is() -> None:
    """Words in one string become what policies ask of; a scope that is a list stays one."""
    who = of(cognito(), accessToken={"scope": "a b", "client_id": "web"})
    token = {"sub": "alice", "scope": ["a", "b"], "client_id": "web"}
    assert with_token({}, who, VIEW, None, "/context") == {"token": token}
    listed = of(cognito(), accessToken={"scope": ["a b"]})
    assert with_token({}, listed, VIEW, None, "/context")["token"]["scope"] == ["a b"]


def test_a_request_brings_no_token_beside_an_access_token() -> None:
    """Beside an ID token alone the context is the request's own."""
    identity = of(cognito(), identityToken={})
    assert with_token({"token": 1}, identity, VIEW, None, "/context") == {"token": 1}
    access = of(cognito(), accessToken={})
    with pytest.raises(InvalidInputError):
        with_token({"token": 1}, access, VIEW, None, "/context")


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["a", 7, "b"], ["a", "b"]),
        ("a b", ["a", "b"]),
        (None, []),
        ({"a": 1}, []),
    ],
)
def test_groups_are_parents_with_the_pools_prefix(groups: Any, names: list[str]) -> None:
    """Of both tokens together, each once, and only where the source says what a group is."""
    claims = {"cognito:groups": groups}
    who = of(cognito(groupConfiguration=GROUPS), identityToken=claims, accessToken=claims)
    assert who.entity["parents"] == [
        {"type": "Shop::Group", "id": f"{POOL}|{name}"} for name in names
    ]
    assert who.uid == {"type": "Shop::User", "id": f"{POOL}|alice"}
    assert who.reserved == {"Shop::User": "PrincipalEntityType", "Shop::Group": "GroupEntityType"}
    plain = of(cognito(), identityToken=claims)
    assert plain.entity["parents"] == []
    assert plain.reserved == {"Shop::User": "PrincipalEntityType"}


@pytest.mark.parametrize("use", ["identityToken", "accessToken"])
def test_a_providers_principal_is_of_the_claim_that_it_names(use: str) -> None:
    """Without a prefix where none is given; its group claim is no attribute."""
    selection = {f"{use}Only": {"principalIdClaim": "email"}}
    groups = GROUPS | {"groupClaim": "roles"}
    source_ = oidc(selection, groupConfiguration=groups)
    who = of(source_, **{use: {"email": "a@x", "roles": ["staff"], "cognito:groups": ["no"]}})
    assert who.uid == {"type": "Shop::User", "id": "a@x"}
    assert who.entity["parents"] == [{"type": "Shop::Group", "id": "staff"}]
    assert "roles" not in who.entity["attrs"]
    prefixed = of(oidc({}, entityIdPrefix="corp"), **{use: {}})
    assert prefixed.uid["id"] == "corp|alice"
    for missing in (None, "", 7, ["a@x"]):
        with pytest.raises(InvalidInputError):
            of(source_, **{use: {"email": missing}})


def test_two_tokens_are_of_one_user() -> None:
    """Of two they are refused."""
    assert of(cognito(), identityToken={}, accessToken={}).access is not None
    with pytest.raises(InvalidInputError):
        of(cognito(), identityToken={}, accessToken={"sub": "bob"})
