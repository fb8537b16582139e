"""Schemas, static policies, templates and links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

Json = Any  # what travels, before anybody has looked at it

PERMIT = 'permit(principal == Shop::User::"alice", action == Shop::Action::"view", resource in Shop::Shelf::"top");'
TEMPLATE = 'permit(principal == ?principal, action == Shop::Action::"view", resource == ?resource);'
ALICE: Any = {"entityType": "Shop::User", "entityId": "alice"}
HAT: Any = {"entityType": "Shop::Item", "entityId": "hat"}
VIEW: Any = {"actionType": "Shop::Action", "actionId": "view"}


def refused(call: Callable[..., object], **request: Json) -> Json:
    """The response of the error that the call must raise."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    return raised.value.response


def fields(response: Json) -> list[tuple[str, str]]:
    """Path and message of every field at fault."""
    assert response["Error"]["Code"] == "ValidationException", response
    return [(item["path"], item["message"]) for item in response["fieldList"]]


def static(text: str) -> Json:
    """A definition."""
    return {"static": {"statement": text}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("[]", "Provided schema is not a valid JSON object."),
        ("{", "Provided schema is not a valid JSON object."),
        (
            '{"": {"entityTypes": {}, "actions": {}}}',
            "Namespace lengths must be at least 1 and at most 100 bytes in size, but '' is 0 bytes in size.",
        ),
        ('{"N": {"entityTypes": {}}}', "missing field `actions`"),
        ('{"N": {"entityTypes": {"U": {"memberOfTypes": ["X"]}}, "actions": {}}}', "failed to resolve type: X"),
        (
            '{"N": {"entityTypes": {}, "actions": {}, "x": 1}}',
            "unknown field `x`, expected one of `commonTypes`, `entityTypes`, `actions`, `annotations`",
        ),
        (
            '{"N": {"entityTypes": {"Action": {}}, "actions": {}}}',
            "entity type `Action` declared in `entityTypes` list",
        ),
        ('{"aws": {"entityTypes": {}, "actions": {}}}', "The namespace `aws` is reserved."),
        ('{"N": {"entityTypes": {}, "actions": {"": {}}}}', "Provided schema has an empty key name."),
        ('{"N": {"entityTypes": {}, "entityTypes": {}, "actions": {}}}', "Provided schema has a duplicate key name."),
    ],
)
def test_a_bad_schema_is_refused_with_the_words_of_the_service(
    client: VerifiedPermissionsClient, empty_store: str, schema: str, words: str
):
    """Each refusal names `/schema` and says what AWS was seen to say; nothing is stored."""
    response = refused(client.put_schema, policyStoreId=empty_store, definition={"cedarJson": schema})
    assert fields(response) == [("/schema", words)]
    assert refused(client.get_schema, policyStoreId=empty_store)["resourceType"] == "SCHEMA"


def test_a_schema_that_explodes_is_refused(client: VerifiedPermissionsClient, empty_store: str):
    """Thirty common types that each hold the next one twice are a billion types; refused before Cedar expands them."""
    doubling: Json = {
        f"T{n}": {"type": "Record", "attributes": {side: {"type": f"T{n + 1}"} for side in "lr"}} for n in range(30)
    }
    shape = {"type": "Record", "attributes": {"a": {"type": "T0"}}}
    schema: Json = {
        "N": {
            "commonTypes": doubling | {"T30": {"type": "String"}},
            "entityTypes": {"U": {"shape": shape}},
            "actions": {},
        }
    }
    response = refused(client.put_schema, policyStoreId=empty_store, definition={"cedarJson": json.dumps(schema)})
    assert "written out" in fields(response)[0][1]


def test_a_schema_comes_back_verbatim(client: VerifiedPermissionsClient, empty_store: str):
    """The text, with its spaces, and the namespaces in their order."""
    text = '{ "Z": {"entityTypes": {}, "actions": {}},  "A": {"entityTypes": {}, "actions": {}} }'
    assert client.put_schema(policyStoreId=empty_store, definition={"cedarJson": text})["namespaces"] == ["Z", "A"]
    got = client.get_schema(policyStoreId=empty_store)
    assert (got["schema"], got.get("namespaces")) == (text, ["Z", "A"])


def test_an_empty_schema_is_a_schema(client: VerifiedPermissionsClient, empty_store: str):
    """`{}` is stored, and a STRICT store then finds no applicable action instead of no schema."""
    before = refused(client.create_policy, policyStoreId=empty_store, definition=static(PERMIT))
    assert fields(before) == [("/definition", "No schema present - automatically failing all validation.")]
    assert client.put_schema(policyStoreId=empty_store, definition={"cedarJson": "{}"})["namespaces"] == []
    after = refused(
        client.create_policy, policyStoreId=empty_store, definition=static("permit(principal, action, resource);")
    )
    assert "unable to find an applicable action given the policy scope constraints." in fields(after)[0][1]


@pytest.mark.parametrize("mode", ["STRICT", "OFF"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("permit(principal, action, resource", "Failed to validate policy body."),
        (PERMIT + PERMIT, "Failed to validate policy body."),
        ("// nothing", "Failed to validate policy body."),
        ("permit(principal, action, resource) when { " + "(" * 101 + "1" + ")" * 101 + " == 1 };", "Failed to"),
        (
            'permit(principal == ?principal, action, resource == Shop::Item::"x");',
            "expected a static policy, got a template containing the slot ?principal.",
        ),
    ],
)
def test_a_static_policy_is_one_statement_without_slots_in_any_mode(  # noqa: PLR0917 - pytest passes by name
    client: VerifiedPermissionsClient, store: str, open_store: str, mode: str, statement: str, words: str
):
    """The parser's refusals do not depend on validation; deep nesting is refused before it reaches the parser."""
    response = refused(
        client.create_policy,
        policyStoreId=store if mode == "STRICT" else open_store,
        definition=static(statement),
    )
    path, message = fields(response)[0]
    assert path == "/definition/static/statement"
    assert message.startswith(words)


def test_a_strict_store_refuses_what_does_not_validate_and_an_off_store_takes_it(
    client: VerifiedPermissionsClient, store: str, open_store: str
):
    """One entry for each of the validator's words, as AWS writes them."""
    wrong = static('permit(principal == Shop::Widget::"a", action, resource);')
    assert fields(refused(client.create_policy, policyStoreId=store, definition=wrong)) == [
        ("/definition", "for policy `policy0`, unrecognized entity type `Shop::Widget`."),
        (
            "/definition",
            "for policy `policy0`, unable to find an applicable action given the policy scope constraints.",
        ),
    ]
    client.create_policy(policyStoreId=open_store, definition=wrong)


def test_a_policy_tells_its_scope(client: VerifiedPermissionsClient, open_store: str):
    """Effect, principal, resource and actions are read from the scope, and left out where it is open."""
    text = (
        '// who\n@id("permit(") forbid(principal is Shop::User in Shop::Group::"g", '
        'action in [Shop::Action::"view", Shop::Action::"edit"], resource) when { "permit(" == "x" };'
    )
    made = client.create_policy(policyStoreId=open_store, definition=static(text))
    got = client.get_policy(policyStoreId=open_store, policyId=made["policyId"])
    assert (got.get("effect"), got["policyType"]) == ("Forbid", "STATIC")
    assert got.get("principal") == {"entityType": "Shop::Group", "entityId": "g"}
    assert [action["actionId"] for action in got.get("actions", [])] == ["view", "edit"]
    assert "resource" not in got
    assert got["definition"].get("static") == {"statement": text}


def test_an_update_changes_action_and_conditions_only(client: VerifiedPermissionsClient, store: str):
    """Effect, principal and resource are fixed; the description goes when it is left out."""
    made = client.create_policy(
        policyStoreId=store, definition={"static": {"statement": PERMIT, "description": "first"}}
    )["policyId"]
    for part, other in (
        ("effect", PERMIT.replace("permit", "forbid")),
        ("principal", PERMIT.replace("alice", "bob")),
        ("resource", PERMIT.replace("in Shop", "== Shop").replace("Shelf", "Item")),
    ):
        response = refused(client.update_policy, policyStoreId=store, policyId=made, definition=static(other))
        assert fields(response)[0] == (
            "/definition/static/statement",
            f"Invalid update: the {part} of a policy cannot be changed.",
        )
    new = PERMIT.replace('"view"', '"edit"').replace(";", " when { principal has email };")
    client.update_policy(policyStoreId=store, policyId=made, definition=static(new))
    got = client.get_policy(policyStoreId=store, policyId=made)
    assert got["definition"].get("static") == {"statement": new}
    assert got["lastUpdatedDate"] > got["createdDate"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ('permit(principal == Shop::User::"a", action, resource in Shop::Shelf::"s");', "expected a template, got a"),
        ("permit(principal, action, resource == ?resource);", "A template must constrain both principal and"),
        ("permit(principal == ?resource, action, resource == ?principal);", "Failed to validate policy body."),
        ("permit(principal == ?principal, action, resource) when {resource == ?resource};", "Failed to validate"),
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
    """A link decides by its template's text of the moment; deleting the template deletes the link."""
    template = client.create_policy_template(policyStoreId=store, statement=TEMPLATE)["policyTemplateId"]
    link = client.create_policy(
        policyStoreId=store,
        definition={"templateLinked": {"policyTemplateId": template, "principal": ALICE, "resource": HAT}},
    )
    assert (link["policyType"], link.get("principal"), link.get("resource")) == ("TEMPLATE_LINKED", ALICE, HAT)

    def decided() -> tuple[str, list[str]]:
        answer = client.is_authorized(policyStoreId=store, principal=ALICE, action=VIEW, resource=HAT)
        return answer["decision"], [item["policyId"] for item in answer["determiningPolicies"]]

    assert decided() == ("ALLOW", [link["policyId"]])
    client.update_policy_template(
        policyStoreId=store, policyTemplateId=template, statement=TEMPLATE.replace(";", " when { context has mfa };")
    )
    assert decided() == ("DENY", [])
    response = refused(client.update_policy, policyStoreId=store, policyId=link["policyId"], definition=static(PERMIT))
    assert fields(response)[0][1] == "A template-linked policy cannot be updated."
    client.delete_policy_template(policyStoreId=store, policyTemplateId=template)
    missing = refused(client.get_policy, policyStoreId=store, policyId=link["policyId"])
    assert missing["resourceType"] == "POLICY"
    assert client.list_policies(policyStoreId=store)["policies"] == []
    assert decided() == ("DENY", [])
    gone = refused(client.delete_policy_template, policyStoreId=store, policyTemplateId=template)
    assert gone["resourceType"] == "POLICY_TEMPLATE"


def test_a_link_fills_exactly_the_slots_of_its_template(client: VerifiedPermissionsClient, store: str):
    """Missing or additional entities are refused as on AWS, and so is a link that does not validate."""
    statement = 'permit(principal == ?principal, action == Shop::Action::"view", resource in Shop::Shelf::"s");'
    template = client.create_policy_template(policyStoreId=store, statement=statement)["policyTemplateId"]

    def linked(**entities: Json) -> Json:
        return refused(
            client.create_policy,
            policyStoreId=store,
            definition={"templateLinked": {"policyTemplateId": template, **entities}},
        )

    assert linked()["Error"]["Message"] == "No principal and no resource was provided. At least one must be provided"
    assert fields(linked(resource=HAT))[0] == (
        "/definition/templateLinked/principal",
        "Invalid Parameter: principal.",
    )
    assert fields(linked(principal=ALICE, resource=HAT))[0][1] == "Invalid Parameter: resource."
    assert fields(linked(principal=HAT))[0][0] == "/definition"
    injected = {"entityType": 'Shop::User::"x", action, resource); permit(principal == Shop::User', "entityId": "y"}
    assert "invalid entity type" in fields(linked(principal=injected))[0][1]


@pytest.mark.parametrize("name", ['quote"', "back\\slash", "tab\tbell\x07", "naïve ☃ 𝄞", "{}?principal//", "x" * 612])
def test_a_link_to_an_entity_of_any_name_means_that_entity(
    client: VerifiedPermissionsClient, open_store: str, name: str
):
    """Names that would be special in Cedar text stay data."""
    template = client.create_policy_template(policyStoreId=open_store, statement=TEMPLATE)["policyTemplateId"]
    who: Any = {"entityType": "Shop::User", "entityId": name}
    client.create_policy(
        policyStoreId=open_store,
        definition={"templateLinked": {"policyTemplateId": template, "principal": who, "resource": HAT}},
    )
    for asking, decision in ((who, "ALLOW"), (ALICE, "DENY")):
        answer = client.is_authorized(policyStoreId=open_store, principal=asking, action=VIEW, resource=HAT)
        assert answer["decision"] == decision


def test_names_are_unique_and_stand_for_ids(client: VerifiedPermissionsClient, store: str):
    """A name works where an id does; a second one conflicts; an empty one removes; an omitted one stays."""
    made = client.create_policy(policyStoreId=store, definition=static(PERMIT), name="name/one")["policyId"]
    assert client.get_policy(policyStoreId=store, policyId="name/one")["policyId"] == made
    conflict = refused(client.create_policy, policyStoreId=store, definition=static(PERMIT), name="name/one")
    assert conflict["resources"] == [{"resourceId": made, "resourceType": "POLICY"}]
    client.update_policy(policyStoreId=store, policyId="name/one", definition=static(PERMIT))
    assert client.get_policy(policyStoreId=store, policyId=made).get("name") == "name/one"
    client.update_policy(policyStoreId=store, policyId=made, name="")
    assert "name" not in client.get_policy(policyStoreId=store, policyId=made)
    response = refused(client.create_policy, policyStoreId=store, definition=static(PERMIT), name="one")
    assert fields(response)[0][0] == "/name"


def test_policies_are_listed_by_filter_without_their_text(client: VerifiedPermissionsClient, store: str):
    """Filters on principal, resource, type and template; unspecified means that the scope is open."""
    one = client.create_policy(policyStoreId=store, definition=static(PERMIT))["policyId"]
    two = client.create_policy(
        policyStoreId=store, definition=static('forbid(principal, action == Shop::Action::"view", resource);')
    )["policyId"]
    template = client.create_policy_template(policyStoreId=store, statement=TEMPLATE)["policyTemplateId"]
    three = client.create_policy(
        policyStoreId=store,
        definition={"templateLinked": {"policyTemplateId": template, "principal": ALICE, "resource": HAT}},
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
    """10 kB a policy, 100 kB a schema, 40 templates a store, 200 kB of policies for one resource."""
    long = 'permit(principal, action, resource) when {{ "{}" == "x" }};'
    response = refused(client.create_policy, policyStoreId=open_store, definition=static(long.format("x" * 10_000)))
    assert response["Error"]["Code"] == "ServiceQuotaExceededException"
    big = json.dumps({"N": {"entityTypes": {f"Type{n:09}": {} for n in range(6000)}, "actions": {}}})
    response = refused(client.put_schema, policyStoreId=open_store, definition={"cedarJson": big})
    assert response["resourceType"] == "SCHEMA"
    for number in range(20):
        client.create_policy(policyStoreId=open_store, definition=static(long.format(f"{number:09900}")))
    response = refused(client.create_policy, policyStoreId=open_store, definition=static(long.format("y" * 9900)))
    assert "per resource" in response["Error"]["Message"]
    client.create_policy(policyStoreId=open_store, definition=static(PERMIT))
    template = ""
    for _ in range(40):
        template = client.create_policy_template(policyStoreId=open_store, statement=TEMPLATE)["policyTemplateId"]
    response = refused(client.create_policy_template, policyStoreId=open_store, statement=TEMPLATE)
    assert response["resourceType"] == "POLICY_TEMPLATE"
    # UpdatePolicyTemplate models no quota error, so the same refusal comes as a ValidationException.
    grown = TEMPLATE.replace(";", ' when { "%s" == "x" };' % ("x" * 10_000))
    response = refused(
        client.update_policy_template, policyStoreId=open_store, policyTemplateId=template, statement=grown
    )
    assert response["Error"]["Code"] == "ValidationException"
