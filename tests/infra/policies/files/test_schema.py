"""The schema's JSON says what its text says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cedarpy import Schema

from infra.policies.cases.requests import ACTIONS, ACTIONS_ON
from infra.policies.files.schema_json import SchemaError, annotated_schema, schema_json
from infra.policies.files.vocabulary import Lists, listed
from infra.policies.files.vocabulary import Schema as SchemaNames
from infra.stacks.config.limits import SCOPES
from service.cedar.device_facts import LEVELS
from service.domain.artifacts import Artifact

TEXT = (Path(__file__).parents[4] / "policies" / "schema.cedarschema").read_text(encoding="utf-8")


def test_text_and_json_are_the_same_schema():
    """Cedar prints both forms alike, but for the reserved prefix of built-in types."""
    text_form = re.sub(r"\n *@.*", "", str(Schema.from_str(TEXT)))
    json_form = str(Schema.from_json_str(schema_json(TEXT))).replace("__cedar::", "")
    assert json_form == text_form
    assert len(schema_json(TEXT)) < 100_000


def test_annotations_are_read_and_never_stamped():
    """What `check` reads beside the schema stays here: AWS documents no annotations in a schema."""
    assert "@values" in TEXT
    assert "annotations" not in schema_json(TEXT)
    device = annotated_schema(TEXT)["Fleet"]["entityTypes"]["Device"]["shape"]["attributes"]
    assert device["criticality"]["annotations"] == {"values": "low, medium, high"}
    tagged = 'namespace Fleet { @tags("building") entity A tags String; }'
    assert json.loads(schema_json(tagged))["Fleet"]["entityTypes"]["A"] == {
        "tags": {"type": "String"}
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('entity A = { @valuse("a") b?: String };', "`A.b`: no annotation `@valuse`; did you mean"),
        ('entity A = { @listed_as("kind") b?: String };', "lists no `kind`; did you mean `kinds`?"),
        ('@values("a") entity A;', "`A`: no annotation `@values`"),
        ('type C = { d?: { @value("a") e?: String } };', "`C.d.e`: no annotation `@value`"),
    ],
)
def test_slip_in_an_annotation_is_refused(text: str, words: str):
    """An annotation that means nothing would leave its attribute without a list."""
    with pytest.raises(SchemaError) as refused:
        SchemaNames(f"namespace Fleet {{ {text} }}")
    assert words in str(refused.value)


def test_lists_of_the_schema_are_those_of_the_code():
    """Criticality, kinds of files and scopes stand in the schema as the code has them."""
    schema = SchemaNames(TEXT)
    (context,) = {id(one.context): one.context for one in schema.environments}.values()
    of = schema.attributes
    lists = Lists(values={})
    assert listed(of(schema.entity("Fleet::Device"))["criticality"], lists)[0] == set(LEVELS)
    scopes = listed(of(of(context)["token"])["scope"], lists)[0]
    assert scopes == {f"fleet/{scope}" for scope in SCOPES}
    kinds = {
        str(artifact.entity().attributes["kind"])
        for artifact in (
            Artifact(tenant="acme", name=name, size=1, sha256=None, etag='"e"')
            for name in ("a.bin", "firmware/a.bin")
        )
    }
    assert listed(of(of(context)["artifact"])["kind"], lists)[0] == kinds


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
        ("entity A;", "not converted"),
    ],
)
def test_what_cannot_be_converted_is_refused(text: str, words: str):
    """A part of the language that is not converted is an error, never a schema that says less."""
    with pytest.raises(SchemaError, match=words):
        schema_json(text)
