"""Entities and contexts are read as Cedar reads them, and each slip is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cedarpy
import pytest

from infra.policies.cases.cedar_json import CedarJsonError, SchemaReader
from infra.policies.files.load import read_schema
from service.cedar.values import json_value

if TYPE_CHECKING:
    from service.cedar.values import Value

POLICIES = Path(__file__).parents[4] / "policies"
SCHEMA = read_schema(POLICIES)
READER = SchemaReader(SCHEMA)
DEVICE = {"type": "Fleet::Device", "id": "d"}


def good(**changes: object) -> dict[str, object]:
    """A good entity with changes."""
    return {"uid": DEVICE, "attrs": {}, "parents": [], **changes}


def literal(value: Value) -> str:
    """A value as a policy writes it."""
    spelt = json_value(value)
    if isinstance(spelt, dict):
        [(kind, content)] = cast("dict[str, dict[str, str]]", spelt).items()
        if kind == "__entity":
            return f'{content["type"]}::"{content["id"]}"'
        return f'{content["fn"]}("{content["arg"]}")'
    return json.dumps(spelt)


def test_project_file_is_read_as_cedar_reads_it() -> None:
    """Cedar, given the file and the schema, finds each attribute and parent as it was read here."""
    text = (POLICIES / "cases" / "entities.json").read_text(encoding="utf-8")
    theirs = cedarpy.Entities.from_json_str(text, cedarpy.Schema.from_json_str(SCHEMA))
    ours = READER.entities(json.loads(text))
    assert len(ours) > 30
    for uid, entity in ours.items():
        says = [
            f'resource has "{name}" && resource["{name}"] == {literal(value)}'
            for name, value in entity.attributes.items()
        ] + [f"resource in {parent}" for parent in entity.parents]
        says += [
            f'resource.hasTag("{name}") && resource.getTag("{name}") == {literal(text)}'
            for name, text in entity.tags.items()
        ]
        policy = f"permit (principal, action, resource) when {{ {' && '.join(says) or 'true'} }};"
        request = {"principal": str(uid), "action": 'Action::"a"', "resource": str(uid)}
        answer = cedarpy.is_authorized({**request, "context": {}}, policy, theirs)
        assert (answer.allowed, answer.diagnostics.errors) == (True, []), policy


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        ([], "an entity must be an object"),
        (
            {"uid": DEVICE, "attrs": {}},
            "an entity has the members `attrs`, `parents`, `uid`, and no other",
        ),
        (good(uid="d"), "`uid`: `d` is no entity"),
        (good(uid={"type": "Fleet::Car", "id": "d"}), "the schema has no such type"),
        (good(attrs={"colour": "red"}), "the schema has no attribute `colour`"),
        (good(attrs={"kind": 1}), "`kind` must be a String"),
        (good(attrs={"utc_offset": 1}), "`utc_offset` must be a duration in text"),
        (good(attrs={"utc_offset": "+01:00"}), "`utc_offset`: `+01:00` is no duration"),
        (good(attrs={"security_patch": "soon"}), "`security_patch`: Invalid isoformat"),
        (good(attrs={"tenant": 1}), "`tenant` must be an object"),
        (good(parents={}), "`parents` must be a list"),
        (good(tags={"building": 7}), "the tag `building` must be a String"),
        (good(tags=["building"]), "`tags` must be an object"),
        (
            good(uid={"type": "Fleet::Tenant", "id": "t"}, tags={"building": "7"}),
            "the schema has no tags for it",
        ),
    ],
)
def test_entity_of_another_form_is_refused(entity: Any, words: str) -> None:
    """The message names the entity and the attribute."""
    with pytest.raises(CedarJsonError) as refused:
        READER.entities([entity])
    assert words in str(refused.value)


def test_entity_that_stands_twice_is_refused() -> None:
    """Nobody would know which of the two holds."""
    with pytest.raises(CedarJsonError, match="stands twice"):
        READER.entities([good(), good()])


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"emergency": 1}, "`context`: `emergency` must be a Boolean"),
        ({"emergncy": True}, "`context`: the schema has no attribute `emergncy`"),
        ({"token": {"scope": "fleet/view"}}, "`context`: `token`: `scope` must be a list"),
        ({"source_ip": "10.0.0.300"}, "`context`: `source_ip`: '10.0.0.300' does not appear"),
    ],
)
def test_context_of_another_form_is_refused(context: Any, words: str) -> None:
    """The message names the member, also inside of another."""
    with pytest.raises(CedarJsonError) as refused:
        READER.context(context)
    assert words in str(refused.value)
