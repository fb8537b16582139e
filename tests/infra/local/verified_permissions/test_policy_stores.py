"""Policy stores, their tags and their aliases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.local.verified_permissions.assertions import refused

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Ask, Endpoint

Json = Any  # what travels, before anybody has looked at it

STRICT: Any = {"mode": "STRICT"}


def test_a_store_is_as_it_was_made(client: VerifiedPermissionsClient):
    """Mode, description, protection, encryption and tags come back; ids and ARN have AWS's form."""
    made = client.create_policy_store(
        validationSettings={"mode": "OFF"},
        description="mine",
        deletionProtection="ENABLED",
        tags={"a": "b"},
    )
    store = made["policyStoreId"]
    assert len(store) == 22
    assert made["arn"] == f"arn:aws:verifiedpermissions::123456789012:policy-store/{store}"
    got = client.get_policy_store(policyStoreId=store)
    assert got["validationSettings"] == {"mode": "OFF"}
    assert (got.get("description"), got.get("deletionProtection"), got.get("cedarVersion")) == (
        "mine",
        "ENABLED",
        "CEDAR_4",
    )
    assert got.get("encryptionState") == {"default": {}}
    assert "tags" not in got
    assert client.get_policy_store(policyStoreId=store, tags=True).get("tags") == {"a": "b"}


def test_update_without_description_erases_it_only(
    client: VerifiedPermissionsClient,
):
    """UpdatePolicyStore replaces the description, but deletion protection only when it is sent."""
    store = client.create_policy_store(
        validationSettings=STRICT, description="d", deletionProtection="ENABLED"
    )
    client.update_policy_store(
        policyStoreId=store["policyStoreId"], validationSettings={"mode": "OFF"}
    )
    got = client.get_policy_store(policyStoreId=store["policyStoreId"])
    assert "description" not in got
    assert (got.get("deletionProtection"), got["validationSettings"]["mode"]) == ("ENABLED", "OFF")


def test_a_protected_store_is_not_deleted(client: VerifiedPermissionsClient):
    """Deletion protection refuses until it is off; a second deletion succeeds."""
    store = client.create_policy_store(validationSettings=STRICT, deletionProtection="ENABLED")[
        "policyStoreId"
    ]
    assert (
        refused(client.delete_policy_store, policyStoreId=store)["Error"]["Code"]
        == "InvalidStateException"
    )
    client.update_policy_store(
        policyStoreId=store, validationSettings=STRICT, deletionProtection="DISABLED"
    )
    client.delete_policy_store(policyStoreId=store)
    client.delete_policy_store(policyStoreId=store)
    gone = refused(client.get_policy_store, policyStoreId=store)
    assert (gone["Error"]["Message"], gone["resourceType"]) == (
        "Policy Store does not exist.",
        "POLICY_STORE",
    )


def test_a_store_goes_with_its_children_and_aliases(client: VerifiedPermissionsClient, store: str):
    """After DeletePolicyStore neither its policies nor its aliases answer."""
    client.create_policy_store_alias(aliasName="policy-store-alias/gone", policyStoreId=store)
    statement = 'permit(principal, action == Shop::Action::"view", resource);'
    policy = client.create_policy(
        policyStoreId=store, definition={"static": {"statement": statement}}
    )
    client.delete_policy_store(policyStoreId=store)
    refused(client.get_policy_store_alias, aliasName="policy-store-alias/gone")
    refused(client.get_policy, policyStoreId=store, policyId=policy["policyId"])
    found = client.batch_get_policy(
        requests=[{"policyStoreId": store, "policyId": policy["policyId"]}]
    )
    assert found["errors"][0]["code"] == "POLICY_STORE_NOT_FOUND"


def test_a_store_belongs_to_its_region(endpoint: Endpoint, store: str):
    """Another region of the account does not know the store."""
    elsewhere = endpoint.client(region="us-east-1")
    assert (
        refused(elsewhere.get_policy_store, policyStoreId=store)["Error"]["Code"]
        == "ResourceNotFoundException"
    )
    elsewhere.delete_policy_store(policyStoreId=store)
    endpoint.client().get_policy_store(policyStoreId=store)


def test_tags_are_added_replaced_removed_and_counted(client: VerifiedPermissionsClient):
    """At most 50 tags; a known key gets the new value; unknown keys may be removed."""
    arn = client.create_policy_store(validationSettings=STRICT, tags={"a": "1"})["arn"]
    client.tag_resource(resourceArn=arn, tags={"a": "2", "b": "3"})
    client.untag_resource(resourceArn=arn, tagKeys=["b", "none"])
    assert client.list_tags_for_resource(resourceArn=arn).get("tags") == {"a": "2"}
    many = {f"k{number}": "v" for number in range(50)}
    response = refused(client.tag_resource, resourceArn=arn, tags=many)
    assert (response["Error"]["Code"], response["resourceName"]) == ("TooManyTagsException", arn)


@pytest.mark.parametrize(
    "change", [("aws:", "aws-cn:"), ("123456789012", "210987654321"), ("policy-store/", "x/")]
)
def test_tags_need_the_very_arn_of_the_store(
    client: VerifiedPermissionsClient, change: tuple[str, str]
):
    """An ARN that IAM would read otherwise does not reach the store."""
    arn = client.create_policy_store(validationSettings=STRICT)["arn"].replace(*change)
    code = refused(client.tag_resource, resourceArn=arn, tags={"a": "b"})["Error"]["Code"]
    assert code in ("ResourceNotFoundException", "ValidationException")


def test_an_alias_stands_for_its_store_everywhere_but_two_places(
    client: VerifiedPermissionsClient, store: str
):
    """Operations take the alias; DeletePolicyStore and CreatePolicyStoreAlias want the id."""
    alias = "policy-store-alias/everywhere"
    made = client.create_policy_store_alias(aliasName=alias, policyStoreId=store)
    assert (
        made["aliasArn"]
        == "arn:aws:verifiedpermissions:eu-central-1:123456789012:policy-store-alias/everywhere"
    )
    assert client.get_schema(policyStoreId=alias)["policyStoreId"] == store
    for call, request in (
        (client.delete_policy_store, {"policyStoreId": alias}),
        (
            client.create_policy_store_alias,
            {"aliasName": "policy-store-alias/b", "policyStoreId": alias},
        ),
    ):
        assert refused(call, **request)["Error"]["Code"] == "ValidationException"


def test_alias_names_are_unique_and_freed_by_a_hard_delete(
    client: VerifiedPermissionsClient, store: str, open_store: str
):
    """The same pair is no change; another store conflicts; hard deletion frees the name."""
    alias = "policy-store-alias/unique"
    first = client.create_policy_store_alias(aliasName=alias, policyStoreId=store)
    again = client.create_policy_store_alias(aliasName=alias, policyStoreId=store)
    assert first["createdAt"] == again["createdAt"]
    conflict = refused(client.create_policy_store_alias, aliasName=alias, policyStoreId=open_store)
    assert conflict["resources"] == [{"resourceId": alias, "resourceType": "POLICY_STORE_ALIAS"}]
    client.delete_policy_store_alias(aliasName=alias)
    assert client.get_policy_store_alias(aliasName=alias)["state"] == "PendingDeletion"
    assert (
        refused(client.get_policy_store, policyStoreId=alias)["Error"]["Code"]
        == "ResourceNotFoundException"
    )
    refused(client.create_policy_store_alias, aliasName=alias, policyStoreId=store)
    client.delete_policy_store_alias(aliasName=alias, deletionMode="HardDelete")
    client.delete_policy_store_alias(aliasName=alias)
    client.create_policy_store_alias(aliasName=alias, policyStoreId=open_store)
    assert client.get_policy_store(policyStoreId=alias)["policyStoreId"] == open_store


def test_an_alias_needs_its_prefix(client: VerifiedPermissionsClient, store: str):
    """The refusal is the one that AWS was seen to give."""
    response = refused(client.create_policy_store_alias, aliasName="mine", policyStoreId=store)
    assert response["fieldList"] == [{"path": "aliasName", "message": "Invalid format."}]


def test_a_store_has_at_most_ten_aliases_listed_five_a_page(
    client: VerifiedPermissionsClient, store: str
):
    """The eleventh is over quota, with status 402; pages are of five unless asked otherwise."""
    for number in range(10):
        client.create_policy_store_alias(
            aliasName=f"policy-store-alias/ten-{number}", policyStoreId=store
        )
    response = refused(
        client.create_policy_store_alias, aliasName="policy-store-alias/eleven", policyStoreId=store
    )
    assert response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 402
    first = client.list_policy_store_aliases(filter={"policyStoreId": store})
    assert [item["aliasName"][-1] for item in first["policyStoreAliases"]] == list("01234")
    rest = client.list_policy_store_aliases(
        filter={"policyStoreId": store}, nextToken=first.get("nextToken", ""), maxResults=50
    )
    assert [item["aliasName"][-1] for item in rest["policyStoreAliases"]] == list("56789")
    assert "nextToken" not in rest


def test_a_client_token_makes_a_create_once(client: VerifiedPermissionsClient):
    """The same token and parameters give the first answer; other parameters conflict."""
    first = client.create_policy_store(validationSettings=STRICT, clientToken="once")
    again = client.create_policy_store(validationSettings=STRICT, clientToken="once")
    assert first["policyStoreId"] == again["policyStoreId"]
    response = refused(
        client.create_policy_store, validationSettings={"mode": "OFF"}, clientToken="once"
    )
    assert response["Error"]["Code"] == "ConflictException"
    assert response["resources"] == [
        {"resourceId": first["policyStoreId"], "resourceType": "POLICY_STORE"}
    ]


def test_a_client_token_is_forgotten_after_eight_hours(ask: type[Ask]):
    """Then the operation is performed anew."""
    hours = [0.0]
    asked = ask(clock=lambda: 1_790_000_000 + hours[0] * 3600)
    made: list[str] = []
    for hour in (0.0, 7.9, 8.1):
        hours[0] = hour
        made.append(
            asked("CreatePolicyStore", validationSettings=STRICT, clientToken="t")["policyStoreId"]
        )
    assert made[0] == made[1] != made[2]


def test_a_new_store_may_be_hidden_for_a_while(ask: type[Ask]):
    """The knob for consistency makes a client see what AWS does right after CreatePolicyStore."""
    now = [time.time()]
    asked = ask(clock=lambda: now[0], consistency_delay_seconds=2.0)
    store = asked("CreatePolicyStore", validationSettings=STRICT)["policyStoreId"]
    with pytest.raises(AssertionError, match="ResourceNotFoundException"):
        asked("GetPolicyStore", policyStoreId=store)
    now[0] += 2.5
    asked("GetPolicyStore", policyStoreId=store)


def test_pages_lose_nothing_when_records_go_between_them(ask: type[Ask]):
    """Removing a listed store does not hide another one; a token of another list is refused."""
    asked = ask()
    made = [
        asked("CreatePolicyStore", validationSettings=STRICT)["policyStoreId"] for _ in range(7)
    ]
    first = asked("ListPolicyStores", maxResults=3)
    asked("DeletePolicyStore", policyStoreId=made[0])
    second = asked("ListPolicyStores", maxResults=3, nextToken=first["nextToken"])
    third = asked("ListPolicyStores", maxResults=3, nextToken=second["nextToken"])
    listed = [
        item["policyStoreId"] for page in (first, second, third) for item in page["policyStores"]
    ]
    assert listed == made
    for token in (first["nextToken"], "bm90IGEgdG9rZW4=", "x"):
        with pytest.raises(AssertionError, match="Invalid token"):
            asked("ListPolicies", policyStoreId=made[1], nextToken=token)
