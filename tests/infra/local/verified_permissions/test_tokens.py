"""Decisions with tokens: what the claims of an accepted one become, and what they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.local.verified_permissions.assertions import refusal
from tests.infra.local.verified_permissions.issuer import Issuer
from tests.infra.local.verified_permissions.shop import HAT, VIEW

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Endpoint

Json = Any  # what travels, before anybody has looked at it

POOL = "eu-central-1_AbCdEfGhI"


def allowed_if(
    client: VerifiedPermissionsClient, store: str, condition: str, **tokens: Json
) -> bool:
    """Whether a policy with this condition allows the bearer to view the hat."""
    policy = client.create_policy(
        policyStoreId=store,
        definition={
            "static": {
                "statement": (
                    'permit(principal, action == Shop::Action::"view", resource) when '
                    f"{{{condition}}};"
                )
            }
        },
    )["policyId"]
    answer = client.is_authorized_with_token(
        policyStoreId=store, action=VIEW, resource=HAT, **tokens
    )
    client.delete_policy(policyStoreId=store, policyId=policy)
    assert answer["errors"] == []
    return answer["decision"] == "ALLOW"


def test_identity_token_is_a_principal_with_its_groups(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str
):
    """The id is pool and sub, groups are parents with the prefix, declared claims attributes."""
    token = endpoint.pool.identity_token(
        **{
            "cognito:groups": ["managers"],
            "custom:dept": "hats",
            "email": "a@example.com",
            "email_verified": "true",
            "level": 4,
            "undeclared": {"deep": [1, None, 2.5]},
        }
    )
    for condition in (
        f'principal == Shop::User::"{POOL}|alice"',
        f'principal in Shop::Group::"{POOL}|managers"',
        'principal has "custom:dept" && principal["custom:dept"] == "hats"',
        'principal has custom && principal.custom has dept && principal.custom.dept == "hats"',
        'principal has email && principal.email == "a@example.com"',
        "principal has email_verified && principal.email_verified",
        "principal has level && principal.level == 4",
        "!(context has token)",
    ):
        assert allowed_if(client, trusting_store, condition, identityToken=token), condition
    assert not allowed_if(
        client, trusting_store, 'principal in Shop::Group::"managers"', identityToken=token
    )
    answer = client.is_authorized_with_token(
        policyStoreId=trusting_store, identityToken=token, action=VIEW, resource=HAT
    )
    assert answer.get("principal") == {"entityType": "Shop::User", "entityId": f"{POOL}|alice"}


def test_an_access_token_is_context_and_has_no_attributes(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str
):
    """Scopes become a set; groups still count; nothing of it is an attribute of the principal."""
    token = endpoint.pool.access_token(
        **{
            "scope": "shop/read shop/write",
            "email": "a@example.com",
            "cognito:groups": ["managers"],
        }
    )
    for condition in (
        (
            "context has token && context.token has scope && "
            'context.token.scope.contains("shop/write")'
        ),
        'context has token && context.token has client_id && context.token.client_id == "web"',
        f'principal in Shop::Group::"{POOL}|managers"',
        "!(principal has email)",
    ):
        assert allowed_if(client, trusting_store, condition, accessToken=token), condition
    both = {
        "accessToken": token,
        "identityToken": endpoint.pool.identity_token(email="b@example.com"),
    }
    condition = 'context has token && principal has email && principal.email == "b@example.com"'
    assert allowed_if(client, trusting_store, condition, **both)


def cognito(**changes: Json) -> Json:
    """A configuration with the pool, whose clients are all accepted."""
    arn = f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{POOL}"
    return {"cognitoUserPoolConfiguration": {"userPoolArn": arn, **changes}}


def test_claims_cannot_speak_cedar(
    client: VerifiedPermissionsClient, endpoint: Endpoint, open_store: str
):
    """A claim in the form of an entity reference stays a plain value, or is left out."""
    client.create_identity_source(policyStoreId=open_store, configuration=cognito())
    statement = (
        "permit(principal, action, resource) when { principal has a && principal.a == "
        'Shop::User::"root" };'
    )
    client.create_policy(policyStoreId=open_store, definition={"static": {"statement": statement}})
    reference = {"__entity": {"type": "Shop::User", "id": "root"}}
    token = endpoint.pool.identity_token(
        **{"a": reference, "__entity": reference, "custom:__entity": "x"}
    )
    answer = client.is_authorized_with_token(
        policyStoreId=open_store, identityToken=token, action=VIEW, resource=HAT
    )
    assert (answer["decision"], answer["errors"]) == ("DENY", [])
    statement = 'permit(principal, action, resource) when { context.token == Shop::User::"root" };'
    client.create_policy(policyStoreId=open_store, definition={"static": {"statement": statement}})
    token = endpoint.pool.access_token(**reference)
    answer = client.is_authorized_with_token(
        policyStoreId=open_store, accessToken=token, action=VIEW, resource=HAT
    )
    assert (answer["decision"], answer["errors"]) == ("DENY", [])


def test_a_batch_checks_the_token_once_for_all(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str
):
    """The principal stands once; results echo their requests; a bad token refuses all."""
    statement = (
        f'permit(principal in Shop::Group::"{POOL}|managers", action == Shop::Action::"view", '
        "resource);"
    )
    client.create_policy(
        policyStoreId=trusting_store, definition={"static": {"statement": statement}}
    )
    requests: Any = [
        {"action": VIEW, "resource": {"entityType": "Shop::Item", "entityId": f"hat-{number}"}}
        for number in range(30)
    ]
    requests[7] = {"action": {"actionType": "Shop::Action", "actionId": "edit"}, "resource": HAT}
    token = endpoint.pool.identity_token(**{"cognito:groups": ["managers"]})
    answer = client.batch_is_authorized_with_token(
        policyStoreId=trusting_store, identityToken=token, requests=requests
    )
    assert answer.get("principal") == {"entityType": "Shop::User", "entityId": f"{POOL}|alice"}
    assert [item["request"] for item in answer["results"]] == requests
    assert [item["decision"] for item in answer["results"]] == ["ALLOW"] * 7 + ["DENY"] + [
        "ALLOW"
    ] * 22
    with pytest.raises(ClientError, match="ValidationException"):
        client.batch_is_authorized_with_token(
            policyStoreId=trusting_store,
            identityToken=Issuer(endpoint.pool.url).identity_token(),
            requests=requests,
        )


@pytest.mark.parametrize("groups", [99, 100])
def test_a_batch_takes_tokens_of_up_to_99_groups(
    client: VerifiedPermissionsClient, endpoint: Endpoint, trusting_store: str, groups: int
):
    """One more is refused as a whole, whatever is asked."""
    token = endpoint.pool.identity_token(**{"cognito:groups": [f"g{n}" for n in range(groups)]})
    request: Any = {
        "policyStoreId": trusting_store,
        "identityToken": token,
        "requests": [{"action": VIEW, "resource": HAT}],
    }
    if groups == 99:
        assert len(client.batch_is_authorized_with_token(**request)["results"]) == 1
    else:
        assert "99 groups" in refusal(client.batch_is_authorized_with_token, **request)[1]
