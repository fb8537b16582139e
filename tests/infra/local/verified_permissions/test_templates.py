"""Policy templates and the policies that are linked to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.local.verified_permissions.assertions import fields, refused

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Ask


Json = Any  # what travels, before anybody has looked at it
PERMIT = (
    'permit(principal == Shop::User::"alice", action == Shop::Action::"view", resource in '
    'Shop::Shelf::"top");'
)
TEMPLATE = 'permit(principal == ?principal, action == Shop::Action::"view", resource == ?resource);'
ALICE: Any = {"entityType": "Shop::User", "entityId": "alice"}
HAT: Any = {"entityType": "Shop::Item", "entityId": "hat"}
VIEW: Any = {"actionType": "Shop::Action", "actionId": "view"}


def static(text: str) -> Json:
    """A definition."""
    return {"static": {"statement": text}}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            'permit(principal == Shop::User::"a", action, resource in Shop::Shelf::"s");',
            "expected a template, got a",
        ),
        (
            "permit(principal, action, resource == ?resource);",
            "A template must constrain both principal and",
        ),
        (
            "permit(principal == ?resource, action, resource == ?principal);",
            "Failed to validate policy body.",
        ),
        (
            "permit(principal == ?principal, action, resource) when {resource == ?resource};",
            "Failed to validate",
        ),
    ],
)
def test_a_template_has_slots_in_their_places(
    client: VerifiedPermissionsClient, store: str, statement: str, words: str
):
    """No slot, an open principal or resource, or a slot elsewhere is refused."""
    response = refused(client.create_policy_template, policyStoreId=store, statement=statement)
    path, message = fields(response)[0]
    assert path == "/template/statement"
    assert message.startswith(words)


def test_links_follow_their_template_and_go_with_it(client: VerifiedPermissionsClient, store: str):
    """A link decides by its template's text of the moment; they are deleted together."""
    template = client.create_policy_template(policyStoreId=store, statement=TEMPLATE)[
        "policyTemplateId"
    ]
    link = client.create_policy(
        policyStoreId=store,
        definition={
            "templateLinked": {"policyTemplateId": template, "principal": ALICE, "resource": HAT}
        },
    )
    assert (link["policyType"], link.get("principal"), link.get("resource")) == (
        "TEMPLATE_LINKED",
        ALICE,
        HAT,
    )

    def decided() -> tuple[str, list[str]]:
        answer = client.is_authorized(
            policyStoreId=store, principal=ALICE, action=VIEW, resource=HAT
        )
        return answer["decision"], [item["policyId"] for item in answer["determiningPolicies"]]

    assert decided() == ("ALLOW", [link["policyId"]])
    client.update_policy_template(
        policyStoreId=store,
        policyTemplateId=template,
        statement=TEMPLATE.replace(";", " when { context has mfa };"),
    )
    assert decided() == ("DENY", [])
    response = refused(
        client.update_policy,
        policyStoreId=store,
        policyId=link["policyId"],
        definition=static(PERMIT),
    )
    assert fields(response)[0][1] == "A template-linked policy cannot be updated."
    client.delete_policy_template(policyStoreId=store, policyTemplateId=template)
    missing = refused(client.get_policy, policyStoreId=store, policyId=link["policyId"])
    assert missing["resourceType"] == "POLICY"
    assert client.list_policies(policyStoreId=store)["policies"] == []
    assert decided() == ("DENY", [])
    gone = refused(client.delete_policy_template, policyStoreId=store, policyTemplateId=template)
    assert gone["resourceType"] == "POLICY_TEMPLATE"


def test_a_link_fills_exactly_the_slots_of_its_template(
    client: VerifiedPermissionsClient, store: str
):
    """Missing or additional entities are refused as on AWS; so is a link that is invalid."""
    statement = (
        'permit(principal == ?principal, action == Shop::Action::"view", resource in '
        'Shop::Shelf::"s");'
    )
    template = client.create_policy_template(policyStoreId=store, statement=statement)[
        "policyTemplateId"
    ]

    def linked(**entities: Json) -> Json:
        return refused(
            client.create_policy,
            policyStoreId=store,
            definition={"templateLinked": {"policyTemplateId": template, **entities}},
        )

    assert (
        linked()["Error"]["Message"]
        == "No principal and no resource was provided. At least one must be provided"
    )
    assert fields(linked(resource=HAT))[0] == (
        "/definition/templateLinked/principal",
        "Invalid Parameter: principal.",
    )
    assert fields(linked(principal=ALICE, resource=HAT))[0][1] == "Invalid Parameter: resource."
    assert fields(linked(principal=HAT))[0][0] == "/definition"
    injected = {
        "entityType": 'Shop::User::"x", action, resource); permit(principal == Shop::User',
        "entityId": "y",
    }
    assert "invalid entity type" in fields(linked(principal=injected))[0][1]


@pytest.mark.parametrize(
    "name", ['quote"', "back\\slash", "tab\tbell\x07", "naïve ☃ 𝄞", "{}?principal//", "x" * 612]
)
def test_a_link_to_an_entity_of_any_name_means_that_entity(
    client: VerifiedPermissionsClient, open_store: str, name: str
):
    """Names that would be special in Cedar text stay data."""
    template = client.create_policy_template(policyStoreId=open_store, statement=TEMPLATE)[
        "policyTemplateId"
    ]
    who: Any = {"entityType": "Shop::User", "entityId": name}
    client.create_policy(
        policyStoreId=open_store,
        definition={
            "templateLinked": {"policyTemplateId": template, "principal": who, "resource": HAT}
        },
    )
    for asking, decision in ((who, "ALLOW"), (ALICE, "DENY")):
        answer = client.is_authorized(
            policyStoreId=open_store, principal=asking, action=VIEW, resource=HAT
        )
        assert answer["decision"] == decision


def test_a_null_name_is_an_omitted_one(ask: type[Ask]):
    """Clients that write null for what they leave out do not remove a template's name by it."""
    asked = ask()
    store, _ = asked.store()
    template = {"policyStoreId": store, "statement": TEMPLATE}
    made = asked("CreatePolicyTemplate", **template, name="name/one")["policyTemplateId"]
    asked("UpdatePolicyTemplate", **template, policyTemplateId=made, name=None)
    assert (
        asked("GetPolicyTemplate", policyStoreId=store, policyTemplateId=made)["name"] == "name/one"
    )
    asked("UpdatePolicyTemplate", **template, policyTemplateId=made, name="")
    assert "name" not in asked("GetPolicyTemplate", policyStoreId=store, policyTemplateId=made)
