"""Cognito: app clients, the scopes they may ask for, and the domains of sign-in pages."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent

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
            UserPoolId=inputs["userPoolId"],
            GenerateSecret=inputs.get("generateSecret", False),
            **_client(inputs),
        )["UserPoolClient"]
        secret = {"clientSecret": made["ClientSecret"]} if "ClientSecret" in made else {}
        return Made(made["ClientId"], {**inputs, **secret})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateUserPoolClient with every setting: what is not named falls back to its default."""
        cloud.client("cognito-idp").update_user_pool_client(
            UserPoolId=inputs["userPoolId"], ClientId=id, **_client(inputs)
        )
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeUserPoolClient; every setting that somebody else has changed shows."""
        answer = unless_absent(
            cloud.client("cognito-idp").describe_user_pool_client,
            UserPoolId=outputs["userPoolId"],
            ClientId=id,
        )
        if answer is None:
            return None
        now, found = answer["UserPoolClient"], dict(outputs)
        for key, name in _CLIENT.items():
            if isinstance(outputs.get(key), list) or isinstance(now.get(name), list):
                found[key] = _same_order(outputs.get(key), now.get(name, []))
            elif key in outputs:
                found[key] = now.get(name, outputs[key])
        return {key: value for key, value in found.items() if value is not None}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteUserPoolClient."""
        with absent_is_fine():
            cloud.client("cognito-idp").delete_user_pool_client(
                UserPoolId=outputs["userPoolId"], ClientId=id
            )


class ResourceServer(Handler):
    """`aws.cognito.ResourceServer`: the scopes of one API."""

    replace_on = frozenset({"identifier", "userPoolId"})
    autoname = "name"

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateResourceServer."""
        cloud.client("cognito-idp").create_resource_server(**_scopes(inputs))
        return Made(f"{inputs['userPoolId']}|{inputs['identifier']}", self._outputs(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateResourceServer."""
        del id, old
        cloud.client("cognito-idp").update_resource_server(**_scopes(inputs))
        return self._outputs(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeResourceServer; scopes that somebody else has changed show."""
        pool_id, _, identifier = id.partition("|")
        answer = unless_absent(
            cloud.client("cognito-idp").describe_resource_server,
            UserPoolId=pool_id,
            Identifier=identifier,
        )
        if answer is None:
            return None
        scopes = [
            {"scopeName": scope["ScopeName"], "scopeDescription": scope["ScopeDescription"]}
            for scope in answer["ResourceServer"].get("Scopes", [])
        ]
        return self._outputs(
            {**outputs, "userPoolId": pool_id, "identifier": identifier, "scopes": scopes}
        )

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteResourceServer."""
        del outputs
        pool_id, _, identifier = id.partition("|")
        with absent_is_fine():
            cloud.client("cognito-idp").delete_resource_server(
                UserPoolId=pool_id, Identifier=identifier
            )

    @staticmethod
    def _outputs(properties: dict[str, Any]) -> dict[str, Any]:
        scopes = [
            f"{properties['identifier']}/{scope['scopeName']}"
            for scope in properties.get("scopes", [])
        ]
        return {**properties, "scopeIdentifiers": scopes}


class UserPoolDomain(Handler):
    """`aws.cognito.UserPoolDomain`, of the prefix kind."""

    replace_on = frozenset({"domain", "userPoolId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateUserPoolDomain."""
        cloud.client("cognito-idp").create_user_pool_domain(
            Domain=inputs["domain"], UserPoolId=inputs["userPoolId"]
        )
        return Made(inputs["domain"], {**inputs, "awsAccountId": cloud.account_id})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
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
            cloud.client("cognito-idp").delete_user_pool_domain(
                Domain=id, UserPoolId=outputs["userPoolId"]
            )


def _client(inputs: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        name: inputs[key] for key, name in _CLIENT.items() if key in inputs
    }
    if units := inputs.get("tokenValidityUnits"):
        arguments["TokenValidityUnits"] = {
            "IdToken": units["idToken"],
            "AccessToken": units["accessToken"],
            "RefreshToken": units["refreshToken"],
        }
    return arguments


def _same_order(known: list[str] | None, now: list[str]) -> list[str] | None:
    """The service keeps no order of these sets, and an empty one is one that was left out."""
    return known if sorted(known or []) == sorted(now) else now


def _scopes(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "UserPoolId": inputs["userPoolId"],
        "Identifier": inputs["identifier"],
        "Name": inputs["name"],
        "Scopes": [
            {"ScopeName": scope["scopeName"], "ScopeDescription": scope["scopeDescription"]}
            for scope in inputs.get("scopes", [])
        ],
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cognito/resourceServer:ResourceServer": ResourceServer(),
    "aws:cognito/userPoolClient:UserPoolClient": UserPoolClient(),
    "aws:cognito/userPoolDomain:UserPoolDomain": UserPoolDomain(),
}
