"""A person comes by the provider of their own organization: nobody at first, then of our groups."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.oidc_provider import OidcProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

NAME = "AcmeEntra"
DEVICE = "/v1/devices/press-01"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """A provider that acme's app client names."""

    deployed: DeployedService
    provider: OidcProvider
    client_id: str
    callback: str

    def code(self, *, verifier: str, name: str = NAME) -> tuple[httpx.Response, str | None]:
        """What a browser is answered last on the way by the provider, and the code if there is one.

        The provider sends it back to the pool's own domain, which has no DNS here.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid email profile",
            "identity_provider": name,
            "state": "s",
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        endpoint = self.deployed.setup.cloud.endpoint_url
        with httpx.Client(trust_env=False, timeout=30) as browser:
            answer = browser.get(f"{endpoint}/oauth2/authorize", params=asked)
            if not answer.is_redirect:
                return answer, None
            back = urlsplit(browser.get(answer.headers["location"]).headers["location"])
            assert (back.hostname or "").endswith(".amazoncognito.com")
            answer = browser.get(f"{endpoint}{back.path}?{back.query}")
        found = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        return answer, found.get("code", [None])[0]

    def token(self, code: str, verifier: str | None) -> httpx.Response:
        """Exchange a code at the pool."""
        form = {"grant_type": "authorization_code", "code": code, "client_id": self.client_id}
        form |= {"redirect_uri": self.callback}
        form |= {"code_verifier": verifier} if verifier else {}
        url = f"{self.deployed.setup.cloud.endpoint_url}/oauth2/token"
        return httpx.post(url, data=form, trust_env=False, timeout=30)

    def signed_in(self, **claims: Any) -> str:
        """The pool's ID token for whom the provider says is there."""
        self.provider.claims, verifier = claims, secrets.token_urlsafe(48)
        answer, code = self.code(verifier=verifier)
        assert code is not None, answer.text
        return str(self.token(code, verifier).json()["id_token"])

    def asks(self, token: str, path: str = DEVICE) -> httpx.Response:
        """The API as the bearer of a token sees it."""
        return self.deployed.http.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def federation(deployed: DeployedService) -> Iterator[Federation]:
    """As a stack makes it (tests/infra/stacks/tenant_stack/test_user_pool.py), of loopback."""
    cognito, outputs = deployed.setup.cloud.client("cognito-idp"), deployed.setup.stacks["acme"]
    pool = {"UserPoolId": outputs["user_pool_id"]}
    named = pool | {"ClientId": outputs["client_id"]}
    before = cognito.describe_user_pool_client(**named)["UserPoolClient"]
    kept = {
        key: value
        for key, value in before.items()
        if key not in {"CreationDate", "LastModifiedDate", "ClientSecret"} and value != ""
    }
    with OidcProvider() as provider:
        cognito.create_identity_provider(
            **pool,
            ProviderName=NAME,
            ProviderType="OIDC",
            ProviderDetails={
                "oidc_issuer": provider.issuer,
                "client_id": provider.client_id,
                "client_secret": provider.client_secret,
                "authorize_scopes": "openid email",
                "attributes_request_method": "GET",
            },
            AttributeMapping={"email": "email"},
        )
        cognito.update_user_pool_client(
            **kept
            | {
                "SupportedIdentityProviders": ["COGNITO", NAME],
                "WriteAttributes": sorted({*before["WriteAttributes"], "email"}),
            }
        )
        yield Federation(
            deployed=deployed,
            provider=provider,
            client_id=outputs["client_id"],
            callback=before["CallbackURLs"][0],
        )
    cognito.update_user_pool_client(**kept)
    cognito.delete_identity_provider(**pool, ProviderName=NAME)
    for user in cognito.list_users(**pool)["Users"]:
        if user["UserStatus"] == "EXTERNAL_PROVIDER":
            cognito.admin_delete_user(**pool, Username=user["Username"])


def test_a_person_comes_in_and_is_given_a_group(
    deployed: DeployedService, federation: Federation
) -> None:
    """At first nothing is allowed; a manager finds them, and the next token has the group."""
    who = {"sub": "a1|b2", "email": "lee@acme.example", "custom:region": "eu-south"}
    token = federation.signed_in(**who)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["email"] == "lee@acme.example"
    assert "custom:region" not in claims, "what is not mapped is not taken"
    assert federation.asks(token, "/v1/me").status_code == 200
    assert federation.asks(token).status_code == 403

    [person] = deployed.call("GET", "/v1/people?email=lee@").json()["people"]
    assert person["id"] == f"{NAME}_a1|b2"
    assert person["state"] == "federated"
    url = f"/v1/people/{quote(person['id'], safe='')}"
    assert deployed.call("GET", url).json()["groups"] == [], "Cognito's own group is none of ours"
    changed = deployed.call("PUT", f"{url}/groups", json={"groups": ["operators"]})
    assert changed.status_code == 200, changed.text
    later = federation.signed_in(**who)
    assert jwt.decode(later, options={"verify_signature": False})["sub"] == claims["sub"]
    assert federation.asks(later).status_code == 200

    # Cognito keeps a group of its own for whoever came by this provider; it is not touched.
    pool = deployed.setup.stacks["acme"]["user_pool_id"]
    held = deployed.setup.cloud.client("cognito-idp").admin_list_groups_for_user(
        UserPoolId=pool, Username=person["id"]
    )["Groups"]
    assert {one["GroupName"] for one in held} == {"operators", f"{pool}_{NAME}"}

    assert deployed.call("POST", f"{url}/disable").status_code == 200
    until = time.monotonic() + 10
    while federation.asks(later).status_code != 401:
        assert time.monotonic() < until


def test_an_address_makes_nobody_a_manager(
    deployed: DeployedService, federation: Federation
) -> None:
    """Whoever the provider calls by a manager's address is somebody else, without groups."""
    person = deployed.people["acme"]["managers"]
    token = federation.signed_in(sub="c3", email=person.email)
    ours = jwt.decode(deployed.token("acme", "managers"), options={"verify_signature": False})
    theirs = jwt.decode(token, options={"verify_signature": False})
    assert theirs["sub"] != ours["sub"]
    assert "managers" not in theirs.get("cognito:groups", [])
    assert federation.asks(token).status_code == 403


@pytest.mark.parametrize(
    ("claims", "is_signed"),
    [
        ({}, False),
        ({"aud": "another client"}, True),
        ({"iss": "https://elsewhere.example"}, True),
        ({"exp": 1}, True),
        ({"iat": None}, True),
    ],
    ids=["another-key", "another-client", "another-issuer", "over", "no-time"],
)
def test_what_the_provider_did_not_say_is_refused(
    federation: Federation, claims: dict[str, Any], *, is_signed: bool
) -> None:
    """An ID token of another key, client or issuer, or of no time: nobody comes in by it."""
    provider = federation.provider
    provider.claims = {"sub": "d4", "email": "kim@acme.example"} | claims
    provider.key = None if is_signed else ec.generate_private_key(ec.SECP256R1())
    try:
        answer, code = federation.code(verifier=secrets.token_urlsafe(48))
    finally:
        provider.key = None
    assert (answer.status_code, code) == (400, None)
    assert "does not verify" in answer.text


def test_a_code_is_good_for_who_began_alone(federation: Federation) -> None:
    """Whoever has a code but not the verifier gets no token; nor by a provider of no client."""
    federation.provider.claims = {"sub": "e5", "email": "kim@acme.example"}
    _, code = federation.code(verifier=secrets.token_urlsafe(48))
    assert code is not None
    for verifier in (None, secrets.token_urlsafe(48)):
        assert federation.token(code, verifier).status_code == 400
    answer, code = federation.code(verifier="v" * 43, name="Elsewhere")
    assert (answer.status_code, code) == (400, None)
