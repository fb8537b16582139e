"""Cognito: app clients and the domains of sign-in pages."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.handlers.absence import absent_is_fine, unless_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


_CLIENT: Final = {
    "name": "ClientName",
    "allowedOauthFlowsUserPoolClient": "AllowedOAuthFlowsUserPoolClient",
    "allowedOauthFlows": "AllowedOAuthFlows",
    "allowedOauthScopes": "AllowedOAuthScopes",
    "supportedIdentityProviders": "SupportedIdentityProviders",
    "callbackUrls": "CallbackURLs",
    "logoutUrls": "LogoutURLs",
    "explicitAuthFlows": "ExplicitAuthFlows",
    "preventUserExistenceErrors": "PreventUserExistenceErrors",
    "enableTokenRevocation": "EnableTokenRevocation",
    "idTokenValidity": "IdTokenValidity",
    "accessTokenValidity": "AccessTokenValidity",
    "refreshTokenValidity": "RefreshTokenValidity",
    "readAttributes": "ReadAttributes",
    "writeAttributes": "WriteAttributes",
}


class UserPoolClient(Handler):
    """`aws.cognito.UserPoolClient`."""

    replace_on = frozenset({"userPoolId", "generateSecret"})
    autoname = "name"

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateUserPoolClient."""
        made = cloud.client("cognito-idp").create_user_pool_client(
            UserPoolId=inputs["userPoolId"], GenerateSecret=inputs.get("generateSecret", False), **_client(inputs)
        )["UserPoolClient"]
        secret = {"clientSecret": made["ClientSecret"]} if "ClientSecret" in made else {}
        return Made(made["ClientId"], {**inputs, **secret})

    def update(self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """UpdateUserPoolClient: everything that is not named falls back to its default, so all of it is named."""
        cloud.client("cognito-idp").update_user_pool_client(
            UserPoolId=inputs["userPoolId"], ClientId=id, **_client(inputs)
        )
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeUserPoolClient; flows, addresses and writable attributes show when somebody changed them."""
        answer = unless_absent(
            cloud.client("cognito-idp").describe_user_pool_client, UserPoolId=outputs["userPoolId"], ClientId=id
        )
        if answer is None:
            return None
        now = answer["UserPoolClient"]
        watched = ("explicitAuthFlows", "callbackUrls", "logoutUrls", "writeAttributes")
        return {**outputs, **{key: _same_order(outputs.get(key), now.get(_CLIENT[key], [])) for key in watched}}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteUserPoolClient."""
        with absent_is_fine():
            cloud.client("cognito-idp").delete_user_pool_client(UserPoolId=outputs["userPoolId"], ClientId=id)


class UserPoolDomain(Handler):
    """`aws.cognito.UserPoolDomain`, of the prefix kind."""

    replace_on = frozenset({"domain", "userPoolId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateUserPoolDomain."""
        cloud.client("cognito-idp").create_user_pool_domain(Domain=inputs["domain"], UserPoolId=inputs["userPoolId"])
        return Made(inputs["domain"], {**inputs, "awsAccountId": cloud.account_id})

    def update(self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Nothing of a prefix domain can be changed in place."""
        del cloud, id
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeUserPoolDomain, which answers an empty description for an unknown one."""
        answer = unless_absent(cloud.client("cognito-idp").describe_user_pool_domain, Domain=id)
        return outputs if answer and answer["DomainDescription"].get("UserPoolId") else None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteUserPoolDomain."""
        with absent_is_fine():
            cloud.client("cognito-idp").delete_user_pool_domain(Domain=id, UserPoolId=outputs["userPoolId"])


def _client(inputs: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {name: inputs[key] for key, name in _CLIENT.items() if key in inputs}
    if units := inputs.get("tokenValidityUnits"):
        arguments["TokenValidityUnits"] = {
            "IdToken": units["idToken"],
            "AccessToken": units["accessToken"],
            "RefreshToken": units["refreshToken"],
        }
    return arguments


def _same_order(known: list[str] | None, now: list[str]) -> list[str]:
    """The service does not keep the order of these sets."""
    return known if known is not None and sorted(known) == sorted(now) else now


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cognito/userPoolClient:UserPoolClient": UserPoolClient(),
    "aws:cognito/userPoolDomain:UserPoolDomain": UserPoolDomain(),
}
