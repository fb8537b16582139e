"""Each check of a token by itself, at the second where it begins to hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.verified_permissions.deciding import Decider
from infra.local.verified_permissions.errors import InvalidInputError
from infra.local.verified_permissions.records import IdentitySource
from infra.local.verified_permissions.tokens import verify
from tests.infra.local.verified_permissions.issuer import Issuer

if TYPE_CHECKING:
    from infra.local.verified_permissions.tokens import Use

AT = 1_790_000_000
POOL_ARN = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_AbCdEfGhI"


def source(**configuration: Any) -> IdentitySource:
    """A source of this configuration."""
    return IdentitySource(
        id="s",
        store="p",
        configuration=configuration,
        principal_type="Shop::User",
        created="",
        updated="",
        order=1,
    )


COGNITO = source(cognitoUserPoolConfiguration={"userPoolArn": POOL_ARN, "clientIds": ["web"]})
OPEN = source(cognitoUserPoolConfiguration={"userPoolArn": POOL_ARN})


def oidc(**selection: Any) -> IdentitySource:
    """The provider, with what it takes."""
    configured = {"issuer": "https://login.example.com", "tokenSelection": selection}
    return source(openIdConnectConfiguration=configured)


def verified(issuer: Issuer, of: IdentitySource, use: Use, **claims: Any) -> str:
    """Why a token of these claims is refused at ``AT``, or nothing."""
    keys = {issuer.url: issuer.jwks()}
    call: Any = SimpleNamespace(decider=Decider(), signing_keys=keys.__getitem__, at=AT)
    try:
        verify(call, of, issuer.sign(**{"exp": AT + 60, **claims}), use)
    except InvalidInputError as error:
        return " ".join(field.message for field in error.fields)
    return ""


PERSON = {"sub": "alice", "aud": "web", "token_use": "id"}
MACHINE = {"sub": "m", "client_id": "web", "token_use": "access"}


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, ""),
        ({"exp": AT + 1}, ""),
        ({"exp": AT}, "is expired"),
        ({"exp": "soon"}, "is expired"),
        ({"nbf": AT}, ""),
        ({"nbf": AT + 1}, "is not valid yet"),
        ({"nbf": "later"}, ""),
        ({"iss": "https://another.test"}, "was not issued by the identity source"),
        ({"token_use": "access"}, "must have the token_use `id`"),
        ({"aud": "app"}, "was not issued to a client"),
        ({"aud": None, "client_id": "web"}, "was not issued to a client"),
    ],
)
def test_a_persons_token_is_checked_to_the_second(
    pool: Issuer, claims: dict[str, Any], words: str
) -> None:
    """Expiry, beginning, issuer, use and client; another word for a time is none."""
    told = verified(pool, COGNITO, "identityToken", **(PERSON | claims))
    if claims.get("nbf") == "later":
        assert told, "a beginning that is no number is refused"
    else:
        assert words in told
        assert bool(words) == bool(told)


def test_cognito_signs_by_one_algorithm() -> None:
    """A pool's key of another algorithm is no key of a pool; another provider may have such."""
    pool = Issuer("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI")
    provider = Issuer("https://login.example.com")
    pool.algorithm = provider.algorithm = "RS384"
    assert "no valid signature" in verified(pool, COGNITO, "identityToken", **PERSON)
    assert verified(provider, oidc(identityTokenOnly={}), "identityToken", **PERSON) == ""


def test_a_machines_token_names_its_client(pool: Issuer) -> None:
    """In `client_id`, not in `aud`; a source without clients takes every one."""
    assert verified(pool, COGNITO, "accessToken", **MACHINE) == ""
    other = MACHINE | {"client_id": "app", "aud": "web"}
    assert "client" in verified(pool, COGNITO, "accessToken", **other)
    assert verified(pool, OPEN, "accessToken", **other) == ""
    assert "token_use" in verified(pool, OPEN, "accessToken", **PERSON)


@pytest.mark.parametrize(
    ("selection", "use", "claims", "words"),
    [
        ({"identityTokenOnly": {}}, "identityToken", {}, ""),
        ({"identityTokenOnly": {}}, "accessToken", {}, "takes identity tokens only"),
        ({"accessTokenOnly": {}}, "identityToken", {}, "takes access tokens only"),
        ({"accessTokenOnly": {}}, "accessToken", {}, ""),
        ({"identityTokenOnly": {"clientIds": ["a"]}}, "identityToken", {"aud": ["b", "a"]}, ""),
        ({"identityTokenOnly": {"clientIds": ["a"]}}, "identityToken", {"aud": "b"}, "client"),
        ({"identityTokenOnly": {"clientIds": ["a"]}}, "identityToken", {"cid": "a"}, "client"),
        ({"accessTokenOnly": {"audiences": ["a"]}}, "accessToken", {"aud": "a"}, ""),
        ({"accessTokenOnly": {"audiences": ["a"]}}, "accessToken", {"cid": "a"}, ""),
        ({"accessTokenOnly": {"audiences": ["a"]}}, "accessToken", {"client_id": "b"}, "client"),
        (
            {"accessTokenOnly": {"audiences": ["a"]}},
            "accessToken",
            {"aud": "b", "client_id": "a"},
            "client",
        ),
    ],
)
def test_a_providers_token_is_of_the_selected_kind_and_audience(
    oidc_issuer: Issuer, selection: dict[str, Any], use: Use, claims: dict[str, Any], words: str
) -> None:
    """Without a list every audience is taken; with one, one of it must be named."""
    told = verified(oidc_issuer, oidc(**selection), use, sub="m", **claims)
    assert words in told
    assert bool(words) == bool(told)


@pytest.fixture
def oidc_issuer(request: pytest.FixtureRequest) -> Issuer:
    """The provider of the session, under a name that is no function's here."""
    return request.getfixturevalue("oidc")
