"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from probed_cloud import ProbedCloud

_CALLBACK = "http://localhost:8000/callback"
PASSWORD, OTHER = "Perm-Passw0rd!2", "Perm-Passw0rd!3"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool with one user, and a client that signs nothing, as anyone on the network has."""

    client_id: str
    pool_id: str
    username: str
    anyone: Any

    def sign_in(self, password: str) -> dict[str, Any]:
        """USER_PASSWORD_AUTH."""
        parameters = {"USERNAME": self.username, "PASSWORD": password}
        return self.anyone.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH", ClientId=self.client_id, AuthParameters=parameters
        )


def groups_can_be_updated(probed: ProbedCloud) -> bool:
    """A group's description cannot be changed."""
    made, cognito = pool(probed), probed.cloud.client("cognito-idp")
    named = {"UserPoolId": made.pool_id, "GroupName": "managers"}
    cognito.create_group(**named, Description="before")
    try:
        cognito.update_group(**named, Description="after")
    except ClientError:
        return True
    return cognito.get_group(**named)["Group"]["Description"] != "after"


def left_out_protection_is_off(probed: ProbedCloud) -> bool:
    """A pool whose update says nothing of threat protection keeps it, whatever its plan."""
    cognito = probed.cloud.client("cognito-idp")
    pool_id = cognito.create_user_pool(
        PoolName="guarded", UserPoolTier="PLUS", UserPoolAddOns={"AdvancedSecurityMode": "ENFORCED"}
    )["UserPool"]["Id"]
    told = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    assert told["UserPoolAddOns"] == {"AdvancedSecurityMode": "ENFORCED"}
    cognito.update_user_pool(UserPoolId=pool_id, UserPoolTier="LITE")
    now = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    return now.get("UserPoolAddOns", {}).get("AdvancedSecurityMode", "OFF") != "OFF"


def pool(probed: ProbedCloud, *, temporary: bool = False) -> Pool:
    """A pool whose administrator adds the users, with the immutable ``custom:tenant``."""
    admin = probed.cloud.client("cognito-idp")
    pool_id = admin.create_user_pool(
        PoolName="people",
        Schema=[
            {"Name": "tenant", "AttributeDataType": "String", "Mutable": False},
            {"Name": "line", "AttributeDataType": "String", "Mutable": True},
            {"Name": "locked", "AttributeDataType": "String", "Mutable": True},
        ],
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
    )["UserPool"]["Id"]
    client_id = admin.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="app",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        WriteAttributes=[
            "email",
            "custom:tenant",
            "custom:line",
            "custom:undeclared",
            "sub",
            "identities",
        ],
    )["UserPoolClient"]["ClientId"]
    username = f"user-{uuid.uuid4().hex[:8]}"
    attributes = [
        {"Name": "email", "Value": "a@example.com"},
        {"Name": "custom:tenant", "Value": "acme"},
    ]
    admin.admin_create_user(
        UserPoolId=pool_id, Username=username, UserAttributes=attributes, MessageAction="SUPPRESS"
    )
    admin.admin_set_user_password(
        UserPoolId=pool_id, Username=username, Password=PASSWORD, Permanent=not temporary
    )
    anyone = probed.unsigned_client("cognito-idp")
    return Pool(client_id=client_id, pool_id=pool_id, username=username, anyone=anyone)


def codes_are_random(probed: ProbedCloud) -> bool:
    """Anyone who names a user resets that password with the code that the emulator always uses."""
    people = pool(probed)
    people.anyone.forgot_password(ClientId=people.client_id, Username=people.username)
    return any(
        _accepted(
            lambda code=code: people.anyone.confirm_forgot_password(
                ClientId=people.client_id,
                Username=people.username,
                ConfirmationCode=code,
                Password=OTHER,
            )
        )
        for code in ("123456", "654321")
    )


def attribute_rules_hold(probed: ProbedCloud) -> bool:
    """A user moves to another tenant, becomes another user, or writes what the app may not."""
    people = pool(probed)
    token = people.sign_in(PASSWORD)["AuthenticationResult"]["AccessToken"]

    def write(name: str) -> bool:
        attributes = [{"Name": name, "Value": "globex"}]
        return _accepted(
            lambda: people.anyone.update_user_attributes(
                AccessToken=token, UserAttributes=attributes
            )
        )

    assert write("custom:line")
    forbidden = (
        "custom:tenant",
        "custom:locked",
        "custom:undeclared",
        "email_verified",
        "identities",
        "sub",
    )
    return any(write(name) for name in forbidden)


def sign_up_can_be_closed(probed: ProbedCloud) -> bool:
    """Anyone signs up to a pool whose users only its administrator may add."""
    people = pool(probed)
    return _accepted(
        lambda: people.anyone.sign_up(ClientId=people.client_id, Username="mallory", Password=OTHER)
    )


def challenge_needs_its_session(probed: ProbedCloud) -> bool:
    """Anyone sets a user's password by answering a challenge that was never put."""
    people = pool(probed, temporary=True)

    def answer(**session: str) -> bool:
        responses = {"USERNAME": people.username, "NEW_PASSWORD": OTHER}
        return _accepted(
            lambda: people.anyone.respond_to_auth_challenge(
                ClientId=people.client_id,
                ChallengeName="NEW_PASSWORD_REQUIRED",
                ChallengeResponses=responses,
                **session,
            )
        )

    if answer() or answer(Session="x" * 40):
        return True
    session = people.sign_in(PASSWORD)["Session"]
    other = pool(probed, temporary=True)
    borrowed = {"USERNAME": other.username, "NEW_PASSWORD": OTHER}
    if _accepted(
        lambda: other.anyone.respond_to_auth_challenge(
            ClientId=other.client_id,
            ChallengeName="NEW_PASSWORD_REQUIRED",
            ChallengeResponses=borrowed,
            Session=session,
        )
    ):
        return True
    assert answer(Session=session)
    assert "AuthenticationResult" in people.sign_in(OTHER)
    return answer(Session=session)


def _accepted(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ClientError:
        return False
    return True


def refreshed_token_keeps_its_groups(probed: ProbedCloud) -> bool:
    """A token that the token endpoint refreshes says nothing of the person's groups."""
    admin, made = probed.cloud.client("cognito-idp"), pool(probed)
    admin.create_group(UserPoolId=made.pool_id, GroupName="managers")
    admin.admin_add_user_to_group(
        UserPoolId=made.pool_id, Username=made.username, GroupName="managers"
    )
    with browser_of(probed) as browser:
        app, first = signed_in_by_code(probed, made, browser)
        second = refreshed(browser, app, first["refresh_token"]).json()
    told = [
        jwt.decode(tokens["id_token"], options={"verify_signature": False})
        for tokens in (first, second)
    ]
    assert told[0]["cognito:groups"] == ["managers"]
    return told[1].get("cognito:groups") != ["managers"]


def refresh_token_can_be_revoked(probed: ProbedCloud) -> bool:
    """A refresh token that was given back goes on to give tokens."""
    made = pool(probed)
    with browser_of(probed) as browser:
        app, first = signed_in_by_code(probed, made, browser)
        beside, other = signed_in_by_code(probed, made, browser)
        kept = first["refresh_token"]

        def revoke(**form: str) -> httpx.Response:
            return browser.post("/oauth2/revoke", data=form)

        answers = [
            revoke(client_id=app, token=kept).status_code,
            revoke(client_id=app).status_code,
            revoke(client_id=app, token=first["access_token"]).status_code,
            revoke(client_id=app, token=other["refresh_token"]).status_code,
            revoke(client_id="nobody", token=kept).status_code,
        ]
        revoked = refreshed(browser, app, kept)
        # What another client was given goes on.
        assert refreshed(browser, beside, other["refresh_token"]).status_code == 200
    return answers != [200, 400, 400, 400, 401] or revoked.status_code != 400


def browser_of(probed: ProbedCloud) -> httpx.Client:
    """What asks the pages of the pools."""
    return httpx.Client(base_url=probed.cloud.endpoint_url, trust_env=False, timeout=30)


def signed_in_by_code(
    probed: ProbedCloud, people: Pool, browser: httpx.Client
) -> tuple[str, dict[str, str]]:
    """A new public client of the pool, and what its user is given by authorization code."""
    app = probed.cloud.client("cognito-idp").create_user_pool_client(
        UserPoolId=people.pool_id,
        ClientName="console",
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid"],
        AllowedOAuthFlowsUserPoolClient=True,
        CallbackURLs=[_CALLBACK],
        SupportedIdentityProviders=["COGNITO"],
    )["UserPoolClient"]["ClientId"]
    asked = {"client_id": app, "redirect_uri": _CALLBACK}
    person = {"username": people.username, "password": PASSWORD}
    back = browser.post(
        "/login", data={**asked, **person, "scope": "openid", "response_type": "code"}
    ).headers["location"]
    code = {"grant_type": "authorization_code", "code": back.partition("code=")[2]}
    return app, browser.post("/oauth2/token", data={**asked, **code}).json()


def refreshed(browser: httpx.Client, app: str, token: str) -> httpx.Response:
    """What the token endpoint says to a refresh token."""
    form = {"client_id": app, "grant_type": "refresh_token", "refresh_token": token}
    return browser.post("/oauth2/token", data=form)


def drawn_password_fits_its_pool(probed: ProbedCloud) -> bool:
    """A person without a password of their own is refused in a pool that wants a long one."""
    admin = probed.cloud.client("cognito-idp")
    strict = admin.create_user_pool(
        PoolName="strict", Policies={"PasswordPolicy": {"MinimumLength": 14}}
    )["UserPool"]["Id"]
    return not _accepted(
        lambda: admin.admin_create_user(
            UserPoolId=strict, Username="somebody", MessageAction="SUPPRESS"
        )
    )


def provider_is_checked(probed: ProbedCloud) -> bool:
    """People come in by a provider that the app client does not name."""
    people, admin = pool(probed), probed.cloud.client("cognito-idp")
    admin.create_identity_provider(
        UserPoolId=people.pool_id,
        ProviderName="Elsewhere",
        ProviderType="OIDC",
        ProviderDetails={
            "authorize_url": "https://elsewhere.example/authorize",
            "token_url": "https://elsewhere.example/token",
            "oidc_issuer": "https://elsewhere.example",
            "client_id": "the-pool",
            "client_secret": "x",
        },
    )
    with browser_of(probed) as browser:
        app, _ = signed_in_by_code(probed, people, browser)
        asked = {"client_id": app, "redirect_uri": _CALLBACK, "response_type": "code"}
        asked |= {"scope": "openid", "identity_provider": "Elsewhere"}
        answer = browser.get("/oauth2/authorize", params=asked)
    return answer.is_redirect
