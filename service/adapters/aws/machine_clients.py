"""App clients of a tenant's Cognito user pool, made and deleted in the tenant's own session.

Source: Cognito API reference, CreateUserPoolClient, AddUserPoolClientSecret ("up to 2 active
secrets per app client"), ListUserPoolClientSecrets, DeleteUserPoolClientSecret ("You cannot delete
the last remaining secret"). Which code a third and a last secret are refused by, it does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.machines import NewSecret
from service.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.machines import Machine
    from service.domain.tenants import Tenant

_POOL: Final = "the user pool"
_GONE: Final = "ResourceNotFoundException"
_FULL: Final = "LimitExceededException"
_WRONG: Final = "InvalidParameterException"
_PAGE: Final = 60  # at most, of ListUserPoolClients (Cognito API reference)
_TOKEN_MINUTES: Final = 60
"""Of a token; it counts no more within 5 s when the machine is revoked."""


@dataclass(frozen=True, kw_only=True)
class CognitoMachineClients:
    """Answers ``ports.MachineClients``."""

    aws: AwsDoor

    @asks(_POOL)
    async def make(self, tenant: Tenant, machine: Machine) -> tuple[str, NewSecret]:
        try:
            answer = await self._pool(tenant).call(
                "CreateUserPoolClient",
                UserPoolId=tenant.pool_id,
                ClientName=machine.client_name,
                GenerateSecret=True,
                AllowedOAuthFlowsUserPoolClient=True,
                AllowedOAuthFlows=["client_credentials"],
                AllowedOAuthScopes=list(machine.token_scopes),
                # Left out, it would be Cognito's default, by which people sign in.
                ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH"],
                PreventUserExistenceErrors="ENABLED",
                EnableTokenRevocation=True,
                AccessTokenValidity=_TOKEN_MINUTES,
                IdTokenValidity=_TOKEN_MINUTES,
                RefreshTokenValidity=_TOKEN_MINUTES,
                TokenValidityUnits=dict.fromkeys(
                    ("AccessToken", "IdToken", "RefreshToken"), "minutes"
                ),
            )
        except AwsRefusalError as error:
            if error.code == _FULL:
                raise ConflictError("the user pool takes no more machines") from None
            raise
        made = answer["UserPoolClient"]
        client_id: str = made["ClientId"]
        # The answer does not name the secret's id, by which it is deleted.
        [secret_id] = await self.secrets(tenant, client_id)
        return client_id, NewSecret(id=secret_id, value=made["ClientSecret"])

    @asks(_POOL)
    async def named(self, tenant: Tenant, name: str) -> tuple[str, ...]:
        found: list[str] = []
        asked: dict[str, Any] = {"UserPoolId": tenant.pool_id, "MaxResults": _PAGE}
        while True:
            page = await self._pool(tenant).call("ListUserPoolClients", **asked)
            found += [
                one["ClientId"] for one in page["UserPoolClients"] if one["ClientName"] == name
            ]
            if not page.get("NextToken"):
                return tuple(found)
            asked["NextToken"] = page["NextToken"]

    @asks(_POOL)
    async def delete(self, tenant: Tenant, client_id: str) -> None:
        try:
            await self._call(tenant, "DeleteUserPoolClient", client_id)
        except AwsRefusalError as error:
            if error.code != _GONE:
                raise

    @asks(_POOL)
    async def add_secret(self, tenant: Tenant, client_id: str) -> NewSecret:
        try:
            answer = await self._call(tenant, "AddUserPoolClientSecret", client_id)
        except AwsRefusalError as error:
            if error.code == _FULL:
                raise ConflictError("there are two already: delete one first") from None
            if error.code == _GONE:
                raise NotFoundError("app client", client_id) from None
            raise
        made = answer["ClientSecretDescriptor"]
        return NewSecret(id=made["ClientSecretId"], value=made["ClientSecretValue"])

    @asks(_POOL)
    async def secrets(self, tenant: Tenant, client_id: str) -> frozenset[str]:
        try:
            answer = await self._call(tenant, "ListUserPoolClientSecrets", client_id)
        except AwsRefusalError as error:
            if error.code != _GONE:
                raise
            return frozenset()
        # "The response does not include pagination tokens": both come at once.
        return frozenset(one["ClientSecretId"] for one in answer["ClientSecrets"])

    @asks(_POOL)
    async def delete_secret(self, tenant: Tenant, client_id: str, secret_id: str) -> None:
        try:
            await self._call(
                tenant, "DeleteUserPoolClientSecret", client_id, ClientSecretId=secret_id
            )
        except AwsRefusalError as error:
            if error.code == _WRONG:
                raise ConflictError("the last one is not deleted: revoke the machine") from None
            if error.code != _GONE:
                raise

    async def _call(
        self, tenant: Tenant, operation: str, client_id: str, **more: str
    ) -> dict[str, Any]:
        return await self._pool(tenant).call(
            operation, UserPoolId=tenant.pool_id, ClientId=client_id, **more
        )

    def _pool(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "cognito-idp")
