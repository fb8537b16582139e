"""Static policies: form, validation, scope, updates, names, lists and quotas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

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


def static(text: str) -> Json:
    """A definition."""
    return {"static": {"statement": text}}


@pytest.mark.parametrize("mode", ["STRICT", "OFF"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("permit(principal, action, resource", "Failed to validate policy body."),
        (PERMIT + PERMIT, "Failed to validate policy body."),
        ("// nothing", "Failed to validate policy body."),
        (
            "permit(principal, action, resource) when { "
            + "(" * 101
            + "1"
            + ")" * 101
            + " == 1 };",
            "Failed to",
        ),
        (
            'permit(principal == ?principal, action, resource == Shop::Item::"x");',
            "expected a static policy, got a template containing the slot ?principal.",
        ),
    ],
)
def test_static_policy_is_one_statement_without_slots(  # noqa: PLR0917 - pytest passes by name
    client: VerifiedPermissionsClient,
    store: str,
    open_store: str,
    mode: str,
    statement: str,
    words: str,
):
    """The parser refuses in any mode; deep nesting is refused before it."""
    response = refused(
        client.create_policy,
        policyStoreId=store if mode == "STRICT" else open_store,
        definition=static(statement),
    )
    path, message = fields(response)[0]
    assert path == "/definition/static/statement"
    assert message.startswith(words)


def test_only_a_strict_store_refuses_what_does_not_validate(
    client: VerifiedPermissionsClient, store: str, open_store: str
):
    """One entry for each of the validator's words, as AWS writes them."""
    wrong = static('permit(principal == Shop::Widget::"a", action, resource);')
    assert fields(refused(client.create_policy, policyStoreId=store, definition=wrong)) == [
        ("/definition", "for policy `policy0`, unrecognized entity type `Shop::Widget`."),
        (
            "/definition",
            (
                "for policy `policy0`, unable to find an applicable action given the policy scope "
                "constraints."
            ),
        ),
    ]
    client.create_policy(policyStoreId=open_store, definition=wrong)


def test_a_policy_tells_its_scope(client: VerifiedPermissionsClient, open_store: str):
    """Effect, principal, resource and actions are read from the scope; an open one is left out."""
    text = (
        '// who\n@id("permit(") forbid(principal is Shop::User in Shop::Group::"g", '
        'action in [Shop::Action::"view", Shop::Action::"edit"], resource) when { "permit(" == "x" '
        "};"
    )
    made = client.create_policy(policyStoreId=open_store, definition=static(text))
    got = client.get_policy(policyStoreId=open_store, policyId=made["policyId"])
    assert (got.get("effect"), got["policyType"]) == ("Forbid", "STATIC")
    assert got.get("principal") == {"entityType": "Shop::Group", "entityId": "g"}
    assert [action["actionId"] for action in got.get("actions", [])] == ["view", "edit"]
    assert "resource" not in got
    assert got["definition"].get("static") == {"statement": text}


def test_an_update_changes_action_and_conditions_only(
    client: VerifiedPermissionsClient, store: str
):
    """Effect, principal and resource are fixed; the description goes when it is left out."""
    made = client.create_policy(
        policyStoreId=store, definition={"static": {"statement": PERMIT, "description": "first"}}
    )["policyId"]
    for part, other in (
        ("effect", PERMIT.replace("permit", "forbid")),
        ("principal", PERMIT.replace("alice", "bob")),
        ("resource", PERMIT.replace("in Shop", "== Shop").replace("Shelf", "Item")),
    ):
        response = refused(
            client.update_policy, policyStoreId=store, policyId=made, definition=static(other)
        )
        assert fields(response)[0] == (
            "/definition/static/statement",
            f"Invalid update: the {part} of a policy cannot be changed.",
        )
    new = PERMIT.replace('"view"', '"edit"').replace(";", " when { principal has email };")
    client.update_policy(policyStoreId=store, policyId=made, definition=static(new))
    got = client.get_policy(policyStoreId=store, policyId=made)
    assert got["definition"].get("static") == {"statement": new}
    assert got["lastUpdatedDate"] > got["createdDate"]


def test_names_are_unique_and_stand_for_ids(client: VerifiedPermissionsClient, store: str):
    """A name works where an id does; a second conflicts; an empty one removes, none keeps it."""
    made = client.create_policy(policyStoreId=store, definition=static(PERMIT), name="name/one")[
        "policyId"
    ]
    assert client.get_policy(policyStoreId=store, policyId="name/one")["policyId"] == made
    conflict = refused(
        client.create_policy, policyStoreId=store, definition=static(PERMIT), name="name/one"
    )
    assert conflict["resources"] == [{"resourceId": made, "resourceType": "POLICY"}]
    client.update_policy(policyStoreId=store, policyId="name/one", definition=static(PERMIT))
    assert client.get_policy(policyStoreId=store, policyId=made).get("name") == "name/one"
    client.update_policy(policyStoreId=store, policyId=made, name="")
    assert "name" not in client.get_policy(policyStoreId=store, policyId=made)
    response = refused(
        client.create_policy, policyStoreId=store, definition=static(PERMIT), name="one"
    )
    assert fields(response)[0][0] == "/name"


def test_a_null_name_is_an_omitted_one(ask: type[Ask]):
    """Clients that write null for what they leave out do not remove a name by it."""
    asked = ask()
    store, _ = asked.store()
    made = asked("CreatePolicy", policyStoreId=store, definition=static(PERMIT), name="name/one")[
        "policyId"
    ]
    asked("UpdatePolicy", policyStoreId=store, policyId=made, definition=static(PERMIT), name=None)
    assert asked("GetPolicy", policyStoreId=store, policyId=made)["name"] == "name/one"
    asked("UpdatePolicy", policyStoreId=store, policyId=made, name="")
    assert "name" not in asked("GetPolicy", policyStoreId=store, policyId=made)


def test_policies_are_listed_by_filter_without_their_text(
    client: VerifiedPermissionsClient, store: str
):
    """Filters on principal, resource, type and template; unspecified means an open scope."""
    one = client.create_policy(policyStoreId=store, definition=static(PERMIT))["policyId"]
    two = client.create_policy(
        policyStoreId=store,
        definition=static('forbid(principal, action == Shop::Action::"view", resource);'),
    )["policyId"]
    template = client.create_policy_template(policyStoreId=store, statement=TEMPLATE)[
        "policyTemplateId"
    ]
    three = client.create_policy(
        policyStoreId=store,
        definition={
            "templateLinked": {"policyTemplateId": template, "principal": ALICE, "resource": HAT}
        },
    )["policyId"]

    def listed(**wanted: Json) -> list[str]:
        found = client.list_policies(policyStoreId=store, filter=cast("Json", wanted))["policies"]
        assert "statement" not in json.dumps([item["definition"] for item in found])
        return [item["policyId"] for item in found]

    assert listed(principal={"identifier": ALICE}) == [one, three]
    assert listed(principal={"unspecified": True}) == [two]
    assert listed(resource={"identifier": HAT}) == [three]
    assert listed(policyType="STATIC", resource={"unspecified": True}) == [two]
    assert listed(policyTemplateId=template) == [three]


def test_quotas_of_sizes_and_counts(client: VerifiedPermissionsClient, open_store: str):
    """10 kB a policy, 100 kB a schema, 40 templates a store, 200 kB of policies a resource."""
    long = 'permit(principal, action, resource) when {{ "{}" == "x" }};'
    response = refused(
        client.create_policy, policyStoreId=open_store, definition=static(long.format("x" * 10_000))
    )
    assert response["Error"]["Code"] == "ServiceQuotaExceededException"
    big = json.dumps(
        {"N": {"entityTypes": {f"Type{n:09}": {} for n in range(6000)}, "actions": {}}}
    )
    response = refused(client.put_schema, policyStoreId=open_store, definition={"cedarJson": big})
    assert response["resourceType"] == "SCHEMA"
    for number in range(20):
        client.create_policy(
            policyStoreId=open_store, definition=static(long.format(f"{number:09900}"))
        )
    response = refused(
        client.create_policy, policyStoreId=open_store, definition=static(long.format("y" * 9900))
    )
    assert "per resource" in response["Error"]["Message"]
    client.create_policy(policyStoreId=open_store, definition=static(PERMIT))
    template = ""
    for _ in range(40):
        template = client.create_policy_template(policyStoreId=open_store, statement=TEMPLATE)[
            "policyTemplateId"
        ]
    response = refused(client.create_policy_template, policyStoreId=open_store, statement=TEMPLATE)
    assert response["resourceType"] == "POLICY_TEMPLATE"
    # UpdatePolicyTemplate models no quota error, so the same refusal comes as a
    # ValidationException.
    grown = TEMPLATE.replace(";", ' when { "%s" == "x" };' % ("x" * 10_000))
    response = refused(
        client.update_policy_template,
        policyStoreId=open_store,
        policyTemplateId=template,
        statement=grown,
    )
    assert response["Error"]["Code"] == "ValidationException"
