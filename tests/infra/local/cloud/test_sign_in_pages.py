"""What anyone may ask of Cognito without a signature, and that it leads to nothing else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.infra.local.cloud.conftest import TABLES

if TYPE_CHECKING:
    import httpx

    from infra.local.cloud import EmbeddedCloud


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
    """A pool's page is served to anyone, with headers against frames, scripts and referrers."""
    parameters = {
        "client_id": sign_in.app,
        "response_type": "code",
        "scope": "openid",
        "state": "s",
    }
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
    elsewhere = http.get(
        "/logout", params={"client_id": sign_in.app, "logout_uri": "http://localhost:9/elsewhere"}
    )
    assert elsewhere.status_code == 400


def test_keys_of_a_pool_are_public(
    sign_in: SignIn, http: httpx.Client, embedded_cloud: EmbeddedCloud
) -> None:
    """Anyone may fetch a pool's keys and discovery document; an unknown pool has none."""
    address = embedded_cloud.jwks_url_template.format(pool=sign_in.pool)
    assert len(http.get(address).json()["keys"]) == 2
    discovery = http.get(f"/{sign_in.pool}/.well-known/openid-configuration").json()
    assert discovery["issuer"] == f"https://cognito-idp.eu-central-1.amazonaws.com/{sign_in.pool}"
    assert http.get("/eu-central-1_Unknown00/.well-known/jwks.json").status_code == 404


def test_a_machine_names_itself_to_the_token_endpoint(http: httpx.Client) -> None:
    """HTTP Basic leads to the token endpoint, which itself does not know the client."""
    answer = http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("nobody", "secret")
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/oauth2/userInfo", {}),
        ("/oauth2/revoke", {}),
        ("/oauth2/token/", {}),
        ("/oauth2/token?Action=GetCallerIdentity&Version=2011-06-15", {}),
        ("/oauth2/token", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}),
        ("/oauth2/token", {"Host": "iam.amazonaws.com"}),
        ("/oauth2/token", {"Host": "artifacts.s3.localhost:1"}),
        ("/oauth2/token", {"Authorization": "Bearer eDp4"}),
        ("/", {}),
    ],
)
def test_basic_authorization_leads_nowhere_else(
    path: str, headers: dict[str, str], http: httpx.Client
) -> None:
    """The emulator takes the header for root, so no target, host or query may come with it."""
    assert (
        http.post(
            path, headers={"Authorization": "Basic eDp4"} | headers, content=b"{}"
        ).status_code
        == 403
    )


@pytest.mark.parametrize(
    "path",
    [
        "/oauth2/token",
        "/oauth2/revoke",
        "/login",
        "/logout",
        "/oauth2/userInfo",
        "/oauth2/authorize",
    ],
)
def test_open_path_does_not_lead_to_a_service(path: str, http: httpx.Client) -> None:
    """A sign-in address with the target of a service is refused, whatever it is authorized with."""
    assert http.post(path, headers=TABLES, content=b"{}").status_code == 403
    assert (
        http.post(path, headers=TABLES | {"Authorization": "Bearer x"}, content=b"{}").status_code
        == 403
    )


@pytest.mark.parametrize(
    "operation", ["ListUserPools", "AdminCreateUser", "AdminSetUserPassword", "DescribeUserPool"]
)
def test_administration_of_users_needs_a_signature(operation: str, http: httpx.Client) -> None:
    """Only the operations of Cognito that AWS serves unsigned are open."""
    headers = {
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    assert http.post("/", headers=headers, content=b"{}").status_code == 403
