"""The schema's JSON says what its text says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cedarpy import Schema

from infra.policies.cases.requests import ACTIONS, ACTIONS_ON
from infra.policies.files.schema_json import SchemaError, schema_json

TEXT = (Path(__file__).parents[4] / "policies" / "schema.cedarschema").read_text(encoding="utf-8")


def test_text_and_json_are_the_same_schema():
    """Cedar prints both forms alike, but for the reserved prefix of built-in types."""
    text_form = str(Schema.from_str(TEXT))
    json_form = str(Schema.from_json_str(schema_json(TEXT))).replace("__cedar::", "")
    assert json_form == text_form
    assert len(schema_json(TEXT)) < 100_000


def test_no_attribute_is_required():
    """Every attribute is optional: the validator refuses a policy that reads one without `has`."""
    required: list[object] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            required.extend(
                key
                for key, value in node.get("attributes", {}).items()
                if value.get("required", True)
            )
            for value in node.values():
                walk(value)

    walk(json.loads(schema_json(TEXT)))
    assert required == []


def test_requests_know_the_actions_of_the_schema():
    """No action is left out of matrix and diff."""
    actions = json.loads(schema_json(TEXT))["Fleet"]["actions"]
    assert {name for name, action in actions.items() if "appliesTo" in action} == set(ACTIONS)
    for name, action in actions.items():
        declared = action.get("appliesTo", {}).get("resourceTypes", [])
        known = {kind for kind, actions in ACTIONS_ON.items() if name in actions}
        assert {f"Fleet::{kind.removeprefix('Fleet::')}" for kind in declared} == known


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("namespace Fleet { entity }", "unexpected token `}`"),
        ('namespace Fleet { entity Colour enum ["red"]; }', "not converted"),
        ("namespace Fleet { entity A tags String; }", "not converted"),
        ("entity A;", "not converted"),
    ],
)
def test_what_cannot_be_converted_is_refused(text: str, words: str):
    """A part of the language that is not converted is an error, never a schema that says less."""
    with pytest.raises(SchemaError, match=words):
        schema_json(text)
