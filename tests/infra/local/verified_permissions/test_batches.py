"""A batch of decisions: what its requests share, how many they may be, and how large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.infra.local.verified_permissions.assertions import refusal
from tests.infra.local.verified_permissions.shop import ALICE, ASK, VIEW

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

Json = Any  # what travels, before anybody has looked at it


def test_a_batch_shares_a_principal_or_a_resource(
    client: VerifiedPermissionsClient, open_store: str
):
    """One principal or one resource for all; at most 30; results echo the requests in order."""
    statement = 'permit(principal == Shop::User::"alice", action, resource);'
    client.create_policy(policyStoreId=open_store, definition={"static": {"statement": statement}})
    bob: Any = {"entityType": "Shop::User", "entityId": "bob"}
    shoe: Any = {"entityType": "Shop::Item", "entityId": "shoe"}
    for requests, decisions in (
        ([ASK, {**ASK, "resource": shoe}], ["ALLOW", "ALLOW"]),
        ([{**ASK, "principal": bob}, ASK], ["DENY", "ALLOW"]),
    ):
        answer = client.batch_is_authorized(
            policyStoreId=open_store, requests=cast("Json", requests)
        )
        assert [item["decision"] for item in answer["results"]] == decisions
        assert [item["request"] for item in answer["results"]] == requests
    mixed: Any = [ASK, {**ASK, "principal": bob, "resource": shoe}]
    assert (
        refusal(client.batch_is_authorized, policyStoreId=open_store, requests=mixed)[0]
        == "/requests"
    )
    assert (
        refusal(client.batch_is_authorized, policyStoreId=open_store, requests=[ASK] * 31)[0]
        == "/requests"
    )
    assert (
        len(client.batch_is_authorized(policyStoreId=open_store, requests=[ASK] * 30)["results"])
        == 30
    )
    partial: Any = [ASK, {"principal": ALICE, "action": VIEW}]
    assert (
        refusal(client.batch_is_authorized, policyStoreId=open_store, requests=partial)[0]
        == "/requests/1/resource"
    )


def test_a_batch_has_at_most_a_hundred_entities_of_a_kind(
    client: VerifiedPermissionsClient, open_store: str
):
    """100 resources pass, 101 do not."""
    for count in (100, 101):
        entities: Any = {
            "entityList": [
                {"identifier": {"entityType": "Shop::Item", "entityId": str(n)}}
                for n in range(count)
            ]
        }
        request: Any = {"policyStoreId": open_store, "requests": [ASK], "entities": entities}
        if count == 100:
            client.batch_is_authorized(**request)
        else:
            assert "More than 100" in refusal(client.batch_is_authorized, **request)[1]
