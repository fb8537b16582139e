"""Identity sources: Cognito pools and OIDC issuers, and what their tokens become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.local.verified_permissions.assertions import fields, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Endpoint
    from .issuer import Issuer

Json = Any  # what travels, before anybody has looked at it
POOL = "eu-central-1_AbCdEfGhI"
VIEW: Any = {"actionType": "Shop::Action", "actionId": "view"}
HAT: Any = {"entityType": "Shop::Item", "entityId": "hat"}


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


def refusal(call: Callable[..., object], **request: Json) -> str:
    """The first message of the ValidationException that the call must raise."""
    return fields(refused(call, **{"action": VIEW, "resource": HAT, **request}))[0][1]


def cognito(**changes: Json) -> Json:
    """A configuration with the pool, whose clients are all accepted."""
    arn = f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{POOL}"
    return {"cognitoUserPoolConfiguration": {"userPoolArn": arn, **changes}}


def oidc_source(issuer: Issuer, selection: dict[str, Any], **more: Json) -> Json:
    """An OIDC configuration."""
    return {
        "openIdConnectConfiguration": {"issuer": issuer.url, "tokenSelection": selection, **more}
    }


def test_a_cognito_source_comes_back_with_its_issuer(
    client: VerifiedPermissionsClient, open_store: str
):
    """Also in the deprecated form; the principal type of a source that names none is AWS's own."""
    made = client.create_identity_source(
        policyStoreId=open_store, configuration=cognito(clientIds=["a"])
    )
    got = client.get_identity_source(
        policyStoreId=open_store, identitySourceId=made["identitySourceId"]
    )
    issuer = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
    assert got["principalEntityType"] == "AWS::Cognito"
    assert (
        got.get("configuration", {}).get("cognitoUserPoolConfiguration", {}).get("issuer") == issuer
    )
    details: Any = got.get("details")
    assert (details["clientIds"], details["discoveryUrl"], details["openIdIssuer"]) == (
        ["a"],
        issuer,
        "COGNITO",
    )
    for wanted, count in (("AWS::Cognito", 1), ("Other", 0)):
        found = client.list_identity_sources(
            policyStoreId=open_store, filters=[{"principalEntityType": wanted}]
        )
        assert len(found["identitySources"]) == count


def test_a_store_has_one_source_of_its_own_account(
    client: VerifiedPermissionsClient, open_store: str
):
    """A second source is over quota; foreign, unknown or contradictory pools are refused."""

    def attempt(configuration: Json) -> Json:
        with pytest.raises(ClientError) as raised:
            client.create_identity_source(policyStoreId=open_store, configuration=configuration)
        return raised.value.response

    own = cognito()["cognitoUserPoolConfiguration"]["userPoolArn"]
    for arn in (
        own.replace("123456789012", "210987654321"),
        own + "x",
        own.replace("idp:eu-central-1", "idp:eu-west-1"),
    ):
        response = attempt(cognito(userPoolArn=arn))
        assert (
            response["fieldList"][0]["path"]
            == "/configuration/cognitoUserPoolConfiguration/userPoolArn"
        )
    client.create_identity_source(policyStoreId=open_store, configuration=cognito())
    response = attempt(cognito())
    assert response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert response["Error"]["Message"] == "Identity Source Limit Exceeded."


def test_oidc_source_needs_a_principal_type_and_known_issuer(
    client: VerifiedPermissionsClient, endpoint: Endpoint, open_store: str
):
    """The refusals are the ones that AWS was seen to give."""
    selection = {"identityTokenOnly": {}}
    with pytest.raises(ClientError) as raised:
        client.create_identity_source(
            policyStoreId=open_store, configuration=oidc_source(endpoint.oidc, selection)
        )
    response: Any = raised.value.response
    assert response["fieldList"][0]["message"] == "Invalid PrincipalEntityType, must not be empty"
    stranger = type(endpoint.oidc)("https://stranger.example.com", "k", endpoint.oidc.key)
    with pytest.raises(ClientError) as raised:
        client.create_identity_source(
            policyStoreId=open_store,
            configuration=oidc_source(stranger, selection),
            principalEntityType="Shop::User",
        )
    response = raised.value.response
    assert response["fieldList"][0]["message"].startswith(
        "Failed to deserialize discovery document from issuer"
    )


@pytest.mark.parametrize("groups", [["staff", "night"], "staff night"])
def test_an_oidc_identity_token_maps_prefix_claim_and_groups(
    client: VerifiedPermissionsClient, endpoint: Endpoint, store: str, groups: Json
):
    """Principal and groups carry the prefix; the group claim may be a list or words."""
    client.create_identity_source(
        policyStoreId=store,
        configuration=oidc_source(
            endpoint.oidc,
            {"identityTokenOnly": {"principalIdClaim": "email", "clientIds": ["web", "app"]}},
            entityIdPrefix="corp",
            groupConfiguration={"groupClaim": "roles", "groupEntityType": "Shop::Group"},
        ),
        principalEntityType="Shop::User",
    )
    token = endpoint.oidc.sign(aud=["app"], email="a@example.com", roles=groups)
    for condition in (
        'principal == Shop::User::"corp|a@example.com"',
        'principal in Shop::Group::"corp|night"',
    ):
        assert allowed_if(client, store, condition, identityToken=token)
    refused = {"aud": "elsewhere", "email": "a@example.com"}, {"aud": "web", "sub": "no email"}
    for claims in refused:
        refusal(
            client.is_authorized_with_token,
            policyStoreId=store,
            identityToken=endpoint.oidc.sign(**claims),
        )
    words = refusal(client.is_authorized_with_token, policyStoreId=store, accessToken=token)
    assert "identity tokens only" in words


def test_an_oidc_access_token_needs_its_audience_or_client(
    client: VerifiedPermissionsClient, endpoint: Endpoint, store: str
):
    """`aud`, or without it `client_id` or `cid`, must be among the audiences."""
    client.create_identity_source(
        policyStoreId=store,
        configuration=oidc_source(endpoint.oidc, {"accessTokenOnly": {"audiences": ["shop"]}}),
        principalEntityType="Shop::User",
    )
    for claims in ({"aud": "shop"}, {"client_id": "shop"}, {"cid": "shop"}):
        token = endpoint.oidc.sign(sub="m", **claims)
        assert allowed_if(client, store, 'principal == Shop::User::"m"', accessToken=token), claims
    for claims in ({"aud": "web", "client_id": "shop"}, {}):
        token = endpoint.oidc.sign(sub="m", **claims)
        refusal(client.is_authorized_with_token, policyStoreId=store, accessToken=token)
