"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from probed_cloud import ProbedCloud


def secrets_can_be_rotated(probed: ProbedCloud) -> bool:
    """An app client has its first secret for good, or more than two, or none."""
    admin: Any = probed.cloud.client("cognito-idp")
    pool_id = admin.create_user_pool(PoolName="machines")["UserPool"]["Id"]
    admin.create_resource_server(
        UserPoolId=pool_id,
        Identifier="fleet",
        Name="fleet",
        Scopes=[{"ScopeName": "view", "ScopeDescription": "look"}],
    )
    made = admin.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="machine",
        GenerateSecret=True,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=["fleet/view"],
    )["UserPoolClient"]
    named = {"UserPoolId": pool_id, "ClientId": made["ClientId"]}

    def brings_a_token(secret: str) -> bool:
        answer = httpx.post(
            f"{probed.cloud.endpoint_url}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(made["ClientId"], secret),
            timeout=30,
            trust_env=False,
        )
        return answer.is_success

    def refused(attempt: Callable[..., object], **more: str) -> str:
        try:
            attempt(**named, **more)
        except ClientError as error:
            return str(error)
        return ""

    try:
        [first] = admin.list_user_pool_client_secrets(**named)["ClientSecrets"]
        second = admin.add_user_pool_client_secret(**named)["ClientSecretDescriptor"]
    except ClientError:
        return True
    listed = admin.list_user_pool_client_secrets(**named)["ClientSecrets"]
    if any("ClientSecretValue" in one for one in listed) or len(listed) != 2:
        return True
    both = (made["ClientSecret"], second["ClientSecretValue"])
    third = refused(admin.add_user_pool_client_secret)
    if [*map(brings_a_token, (*both, "another"))] != [True, True, False] or not third:
        return True
    admin.delete_user_pool_client_secret(**named, ClientSecretId=first["ClientSecretId"])
    last = {"ClientSecretId": second["ClientSecretId"]}
    return not (
        [*map(brings_a_token, both)] == [False, True]
        and refused(admin.delete_user_pool_client_secret, **last)
    )
