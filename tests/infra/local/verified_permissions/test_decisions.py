"""Decisions without tokens: typed values, entities, schemas, and how much may be asked at once."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.infra.local.verified_permissions.assertions import refusal
from tests.infra.local.verified_permissions.shop import ALICE, ASK, HAT, SCHEMA

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Ask

Json = Any  # what travels, before anybody has looked at it


def permit(client: VerifiedPermissionsClient, store: str, text: str) -> str:
    """A new static policy; its id."""
    return client.create_policy(policyStoreId=store, definition={"static": {"statement": text}})[
        "policyId"
    ]


def test_every_type_of_value_means_what_it_says(client: VerifiedPermissionsClient, open_store: str):
    """Each member of AttributeValue, in attributes, tags and context, reaches Cedar typed."""
    conditions = [
        'principal.s == "x"',
        "principal.b",
        "principal.l == 9223372036854775807",
        "principal.set.contains(1) && principal.set.contains([2])",
        "principal.r.deep.k == false",
        'principal.e == Shop::User::"bob"',
        'principal.ip.isInRange(ip("10.0.0.0/7"))',
        'principal.d.lessThan(decimal("2.0"))',
        'principal.dt < datetime("2025-01-01")',
        'principal.du < duration("0s")',
        'principal.hasTag("t") && principal.getTag("t") == "v"',
        'principal in Shop::Group::"g"',
        "context.n == 4",
    ]
    policy = permit(
        client,
        open_store,
        "permit(principal, action, resource) when { " + " && ".join(conditions) + " };",
    )
    attributes: Any = {
        "s": {"string": "x"},
        "b": {"boolean": True},
        "l": {"long": 2**63 - 1},
        "set": {"set": [{"long": 1}, {"set": [{"long": 2}]}]},
        "r": {"record": {"deep": {"record": {"k": {"boolean": False}}}}},
        "e": {"entityIdentifier": {"entityType": "Shop::User", "entityId": "bob"}},
        "ip": {"ipaddr": "10.0.0.0/8"},
        "d": {"decimal": "1.1"},
        "dt": {"datetime": "2024-10-15T11:35:00.000+0100"},
        "du": {"duration": "-1d12h"},
    }
    entity: Any = {
        "identifier": ALICE,
        "attributes": attributes,
        "tags": {"t": {"string": "v"}},
        "parents": [{"entityType": "Shop::Group", "entityId": "g"}],
    }
    answer = client.is_authorized(
        policyStoreId=open_store,
        **ASK,
        entities={"entityList": [entity]},
        context={"contextMap": {"n": {"long": 4}}},
    )
    assert answer["errors"] == []
    assert (answer["decision"], answer["determiningPolicies"]) == ("ALLOW", [{"policyId": policy}])


def test_tags_are_those_that_the_schema_declares(client: VerifiedPermissionsClient, store: str):
    """Of an entity whose type has none, or of another type, the whole request is refused."""

    def ask(**tags: Any) -> Any:
        entity: Any = {
            "identifier": {"entityType": "Shop::Item", "entityId": "hat"},
            "tags": tags,
        }
        return client.is_authorized(policyStoreId=store, **ASK, entities={"entityList": [entity]})

    where, words = refusal(ask, colour={"string": "red"})
    assert where == "/entities"
    assert "colour" in words
    assert ask()["decision"] == "DENY"
    schema = copy.deepcopy(SCHEMA)
    schema["Shop"]["entityTypes"]["Item"]["tags"] = {"type": "String"}
    client.put_schema(policyStoreId=store, definition={"cedarJson": json.dumps(schema)})
    policy = permit(
        client,
        store,
        'permit(principal, action == Shop::Action::"view", resource) when '
        '{ resource.hasTag("colour") && resource.getTag("colour") == "red" };',
    )
    assert ask(colour={"string": "red"})["determiningPolicies"] == [{"policyId": policy}]
    assert ask(colour={"string": "blue"})["decision"] == "DENY"
    assert refusal(ask, colour={"long": 1})[0] == "/entities"
    _, words = refusal(
        client.create_policy,
        policyStoreId=store,
        definition={
            "static": {
                "statement": "permit(principal, action, resource is Shop::Item) "
                'when { resource.getTag("colour") == "red" };'
            }
        },
    )
    assert "unable to guarantee safety of access to tag" in words


def test_a_record_with_the_name_of_an_escape_is_refused(
    client: VerifiedPermissionsClient, open_store: str
):
    """`__entity` in a typed record would silently become an entity reference."""
    inner: Any = {"record": {"type": {"string": "Shop::User"}, "id": {"string": "bob"}}}
    context: Any = {"contextMap": {"who": {"record": {"__entity": inner}}}}
    _, words = refusal(client.is_authorized, policyStoreId=open_store, **ASK, context=context)
    assert "__entity" in words


def test_entities_in_cedar_json_are_read_by_the_schema(
    client: VerifiedPermissionsClient, store: str
):
    """As in AWS's example, a plain object is an entity reference where the schema says so."""
    policy = permit(
        client,
        store,
        'permit(principal, action == Shop::Action::"view", resource) when { resource has owner && '
        'resource.owner == principal && context has now && context.now > datetime("2026-01-01") };',
    )
    entity = {
        "uid": {"type": "Shop::Item", "id": "hat"},
        "attrs": {"owner": {"type": "Shop::User", "id": "alice"}},
    }
    for mode in ("STRICT", "OFF"):
        client.update_policy_store(policyStoreId=store, validationSettings={"mode": mode})
        answer = client.is_authorized(
            policyStoreId=store,
            **ASK,
            entities={"cedarJson": json.dumps([entity])},
            context={"cedarJson": '{"now": "2026-11-22"}'},
        )
        assert answer["determiningPolicies"] == [{"policyId": policy}]


def test_strict_store_refuses_requests_outside_its_schema(
    client: VerifiedPermissionsClient, store: str, ask: type[Ask], schema: dict[str, Any]
):
    """Undeclared attributes, types and context are refused; OFF and lenient evaluate them."""
    entities: Any = {
        "entityList": [{"identifier": HAT, "attributes": {"colour": {"string": "red"}}}]
    }
    assert (
        "colour" in refusal(client.is_authorized, policyStoreId=store, **ASK, entities=entities)[1]
    )
    stranger: Any = {**ASK, "principal": HAT}
    path, words = refusal(client.is_authorized, policyStoreId=store, **stranger)
    assert (path, "Shop::Item" in words) == ("/", True)
    path, words = refusal(
        client.batch_is_authorized,
        policyStoreId=store,
        requests=[ASK, {**stranger, "resource": HAT}],
    )
    assert (path, "Shop::Item" in words) == ("/requests/1", True)
    context: Any = {"contextMap": {"colour": {"string": "red"}}}
    refusal(client.is_authorized, policyStoreId=store, **ASK, context=context)
    statement = (
        'permit(principal, action in Shop::Action::"read", resource) when { resource.colour == '
        '"red" };'
    )
    for options, mode in (({}, "OFF"), ({"request_validation": "lenient"}, "OFF")):
        asked = ask(**cast("Json", options))
        lax, made = asked.store(statement, mode=mode, schema=schema)
        if options:
            asked("UpdatePolicyStore", policyStoreId=lax, validationSettings={"mode": "STRICT"})
        answer = asked("IsAuthorized", policyStoreId=lax, **ASK, entities=entities, context=context)
        assert answer["determiningPolicies"] == [{"policyId": made[0]}]
        fitting: Any = {"entityList": [{"identifier": ALICE}]}
        answer = asked("IsAuthorized", policyStoreId=lax, **ASK, entities=fitting, context=context)
        assert answer["decision"] == "DENY"  # and not refused: only the context is undeclared


def test_action_groups_come_from_the_schema_alone(client: VerifiedPermissionsClient, store: str):
    """`action in read` holds for `view` without anybody passing it, and cannot be passed."""
    policy = permit(client, store, 'permit(principal, action in Shop::Action::"read", resource);')
    answer = client.is_authorized(policyStoreId=store, **ASK)
    assert answer["determiningPolicies"] == [{"policyId": policy}]
    edit: Any = {**ASK, "action": {"actionType": "Shop::Action", "actionId": "edit"}}
    assert client.is_authorized(policyStoreId=store, **edit)["decision"] == "DENY"
    forged: Any = {
        "entityList": [
            {
                "identifier": {"entityType": "Shop::Action", "entityId": "edit"},
                "parents": [{"entityType": "Shop::Action", "entityId": "read"}],
            }
        ]
    }
    words = refusal(client.is_authorized, policyStoreId=store, **edit, entities=forged)[1]
    assert words == "Actions cannot be defined in Entities"


def test_of_two_entities_with_one_identifier_the_last_counts(
    client: VerifiedPermissionsClient, open_store: str
):
    """As the model says of entityList."""
    permit(client, open_store, "permit(principal, action, resource) when { resource.price == 2 };")
    entities: Any = {
        "entityList": [
            {"identifier": HAT, "attributes": {"price": {"long": price}}} for price in (1, 2)
        ]
    }
    assert (
        client.is_authorized(policyStoreId=open_store, **ASK, entities=entities)["decision"]
        == "ALLOW"
    )


@pytest.mark.parametrize("part", ["principal", "action", "resource"])
def test_decision_needs_principal_action_and_resource(
    client: VerifiedPermissionsClient, open_store: str, part: str
):
    """The model makes them optional; a decision without one is refused, not guessed."""
    request = {name: value for name, value in ASK.items() if name != part}
    assert refusal(client.is_authorized, policyStoreId=open_store, **request) == (
        f"/{part}",
        f"{part} is required.",
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{}", "array"),
        ("[1]", "JSON object"),
        ("nonsense", "Not valid JSON"),
        ('[{"uid": "Shop::User::\\"alice\\""}]', "is named by"),
        ('[{"uid": {"__expr": "x"}}]', "is named by"),
        ('[{"uid": {"type": "a", "id": "b"}, "parents": 5}]', "must be an array"),
        ('[{"uid": {"type": "a b", "id": "b"}}]', "a b"),
        ('[{"uid": {"type": "U", "id": "b"}, "attrs": {"x": 1.5}}]', ""),
        ('[{"uid": {"type": "U", "id": "b"}, "parents": [{"type": "U", "id": "b"}]}]', ""),
        (
            '[{"uid": {"type": "U", "id": "b"}, "attrs": '
            + '{"a": ' * 3000
            + "1"
            + "}" * 3001
            + "]",
            "",
        ),
    ],
)
def test_entities_that_cannot_be_read_are_refused(
    client: VerifiedPermissionsClient, open_store: str, written: str, words: str
):
    """Also cycles, fractions and bottomless nesting; the endpoint goes on afterwards."""
    path, message = refusal(
        client.is_authorized, policyStoreId=open_store, **ASK, entities={"cedarJson": written}
    )
    assert path.startswith("/")
    assert words in message
    assert client.is_authorized(policyStoreId=open_store, **ASK)["decision"] == "DENY"


def test_ancestry_is_bounded_before_cedar_follows_it(
    client: VerifiedPermissionsClient, open_store: str
):
    """99 transitive parents are allowed; thousands, which overflow Cedar's stack, are refused."""
    permit(client, open_store, 'permit(principal in Shop::User::"u99", action, resource);')

    def chain(length: int) -> Json:
        ids: list[Any] = [
            {"entityType": "Shop::User", "entityId": f"u{number}"} for number in range(length + 1)
        ]
        items = [
            {"identifier": child, "parents": [parent]} for child, parent in itertools.pairwise(ids)
        ]
        return {"entityList": items[::-1]}

    request: Any = {**ASK, "principal": {"entityType": "Shop::User", "entityId": "u0"}}
    answer = client.is_authorized(policyStoreId=open_store, **request, entities=chain(99))
    assert answer["decision"] == "ALLOW"
    for length in (100, 5000):
        words = refusal(
            client.is_authorized, policyStoreId=open_store, **request, entities=chain(length)
        )[1]
        assert "transitive parents" in words


def test_a_request_is_at_most_one_megabyte(client: VerifiedPermissionsClient, open_store: str):
    """A larger body is refused with words, on a connection that goes on."""
    context: Any = {"contextMap": {"x": {"string": "x" * 1_100_000}}}
    assert (
        "larger than"
        in refusal(client.is_authorized, policyStoreId=open_store, **ASK, context=context)[1]
    )
    assert client.is_authorized(policyStoreId=open_store, **ASK)["decision"] == "DENY"
