"""A store's schema: stored verbatim, or refused in the service's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.local.verified_permissions.assertions import fields, refused

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient


Json = Any  # what travels, before anybody has looked at it
PERMIT = (
    'permit(principal == Shop::User::"alice", action == Shop::Action::"view", resource in '
    'Shop::Shelf::"top");'
)


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
            (
                "Namespace lengths must be at least 1 and at most 100 bytes in size, "
                "but '' is 0 bytes in size."
            ),
        ),
        ('{"N": {"entityTypes": {}}}', "missing field `actions`"),
        (
            '{"N": {"entityTypes": {"U": {"memberOfTypes": ["X"]}}, "actions": {}}}',
            "failed to resolve type: X",
        ),
        (
            '{"N": {"entityTypes": {}, "actions": {}, "x": 1}}',
            (
                "unknown field `x`, expected one of `commonTypes`, `entityTypes`, `actions`, "
                "`annotations`"
            ),
        ),
        (
            '{"N": {"entityTypes": {"Action": {}}, "actions": {}}}',
            "entity type `Action` declared in `entityTypes` list",
        ),
        ('{"aws": {"entityTypes": {}, "actions": {}}}', "The namespace `aws` is reserved."),
        (
            '{"N": {"entityTypes": {}, "actions": {"": {}}}}',
            "Provided schema has an empty key name.",
        ),
        (
            '{"N": {"entityTypes": {}, "entityTypes": {}, "actions": {}}}',
            "Provided schema has a duplicate key name.",
        ),
    ],
)
def test_a_bad_schema_is_refused_with_the_words_of_the_service(
    client: VerifiedPermissionsClient, empty_store: str, schema: str, words: str
):
    """Each refusal names `/schema` and says what AWS was seen to say; nothing is stored."""
    response = refused(
        client.put_schema, policyStoreId=empty_store, definition={"cedarJson": schema}
    )
    assert fields(response) == [("/schema", words)]
    assert refused(client.get_schema, policyStoreId=empty_store)["resourceType"] == "SCHEMA"


def test_a_schema_that_explodes_is_refused(client: VerifiedPermissionsClient, empty_store: str):
    """Thirty common types that each hold the next twice are refused before Cedar expands them."""
    doubling: Json = {
        f"T{n}": {"type": "Record", "attributes": {side: {"type": f"T{n + 1}"} for side in "lr"}}
        for n in range(30)
    }
    shape = {"type": "Record", "attributes": {"a": {"type": "T0"}}}
    schema: Json = {
        "N": {
            "commonTypes": doubling | {"T30": {"type": "String"}},
            "entityTypes": {"U": {"shape": shape}},
            "actions": {},
        }
    }
    response = refused(
        client.put_schema, policyStoreId=empty_store, definition={"cedarJson": json.dumps(schema)}
    )
    assert "written out" in fields(response)[0][1]


def test_a_schema_comes_back_verbatim(client: VerifiedPermissionsClient, empty_store: str):
    """The text, with its spaces, and the namespaces in their order."""
    text = '{ "Z": {"entityTypes": {}, "actions": {}},  "A": {"entityTypes": {}, "actions": {}} }'
    assert client.put_schema(policyStoreId=empty_store, definition={"cedarJson": text})[
        "namespaces"
    ] == ["Z", "A"]
    got = client.get_schema(policyStoreId=empty_store)
    assert (got["schema"], got.get("namespaces")) == (text, ["Z", "A"])


def test_an_empty_schema_is_a_schema(client: VerifiedPermissionsClient, empty_store: str):
    """`{}` is stored, and a STRICT store then finds no applicable action instead of no schema."""
    before = refused(client.create_policy, policyStoreId=empty_store, definition=static(PERMIT))
    assert fields(before) == [
        ("/definition", "No schema present - automatically failing all validation.")
    ]
    assert (
        client.put_schema(policyStoreId=empty_store, definition={"cedarJson": "{}"})["namespaces"]
        == []
    )
    after = refused(
        client.create_policy,
        policyStoreId=empty_store,
        definition=static("permit(principal, action, resource);"),
    )
    assert (
        "unable to find an applicable action given the policy scope constraints."
        in fields(after)[0][1]
    )
