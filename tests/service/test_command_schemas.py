"""Schemas of parameters: which are taken, and what is told of arguments that break one."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from service.command_schemas import (
    MAX_BYTES,
    MAX_TOLD,
    SchemaError,
    check_schema,
    problems_of,
)

OBJECT: Final[dict[str, Any]] = {"type": "object"}
DOUBLING: Final[dict[str, Any]] = {
    **{f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(9)},
    "d9": {},
}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, 'type: must be "object"'),
        ({"type": ["object", "null"]}, 'type: must be "object"'),
        (OBJECT | {"requierd": ["a"]}, "did you mean `required`?"),
        (OBJECT | {"unevaluatedProperties": False}, "is no keyword that may be used"),
        (OBJECT | {"$id": "https://example.com/s"}, "$id: is no keyword"),
        (OBJECT | {"$ref": "https://example.com/s"}, "$ref: must be `#/$defs/`"),
        (OBJECT | {"$ref": "file:///etc/passwd"}, "$ref: must be `#/$defs/`"),
        (OBJECT | {"$ref": "#/$defs/none"}, "$ref: must be `#/$defs/`"),
        (OBJECT | {"$ref": 5}, "$ref: must be `#/$defs/`"),
        (OBJECT | {"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema: must be"),
        (OBJECT | {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "refers to itself"),
        (OBJECT | {"$defs": DOUBLING}, "is more than 200 schemas"),
        (OBJECT | {"$defs": []}, "$defs: must be an object"),
        (OBJECT | {"properties": {"a": {"pattern": "(?=a)b"}}}, "properties.a.pattern: must be"),
        (OBJECT | {"properties": {"a": {"pattern": r"(a)\1"}}}, "properties.a.pattern: must be"),
        (OBJECT | {"properties": {"a": {"pattern": "(a{1000}){1000}"}}}, "small when it is"),
        (OBJECT | {"$defs": {"unused": {"pattern": "("}}}, "$defs.unused.pattern: must be"),
        (OBJECT | {"patternProperties": {"(": {}}}, "pattern: must be"),
        (OBJECT | {"properties": {"a": {"type": "strin"}}}, "properties.a.type: "),
        (OBJECT | {"properties": {"a": {"format": "forty"}}}, "format"),
        (OBJECT | {"properties": {"a": 5}}, "properties.a: must be a schema"),
        (OBJECT | {"properties": {"a": {"$defs": {}}}}, "outermost schema alone"),
        (OBJECT | {"description": "x" * MAX_BYTES}, f"at most {MAX_BYTES} bytes"),
        (OBJECT | {"const": float("nan")}, "must be JSON"),
        (OBJECT | {"const": object()}, "must be JSON"),
    ],
)
def test_a_schema_that_says_less_than_it_seems_is_refused(
    schema: dict[str, Any], words: str
) -> None:
    """With the place and what would be right."""
    with pytest.raises(SchemaError) as refused:
        check_schema(schema)
    assert words in str(refused.value)


def test_a_deep_schema_is_refused() -> None:
    """However deep it is: nobody's stack ends over it."""
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"not": schema}
    with pytest.raises(SchemaError, match="lies in more than 12 schemas"):
        check_schema(OBJECT | schema)


def test_each_member_that_breaks_a_schema_is_named() -> None:
    """With what is asked for; what was given is told to nobody."""
    schema = OBJECT | {
        "properties": {
            "mode": {},
            "speed": {"$ref": "#/$defs/percent"},
            "steps": {"items": {"type": "object", "required": ["at"]}},
            "day": {"format": "date"},
            "pin": {"pattern": "^[0-9]{4}$"},
        },
        "required": ["mode"],
        "additionalProperties": False,
        "$defs": {"percent": {"type": "integer", "maximum": 100}},
    }
    check_schema(schema)
    given = {"speed": 101, "steps": [{}, {"at": 1}], "day": "today", "pin": "secret", "odd": 1}
    found = dict(problems_of(schema, given))
    assert found.keys() == {
        *("arguments.mode", "arguments.speed", "arguments.steps[0].at"),
        *("arguments.day", "arguments.pin", "arguments.odd"),
    }
    assert found["arguments.speed"] == "is greater than the maximum of 100"
    assert found["arguments.mode"] == "is missing"
    assert not any("secret" in words or "today" in words for words in found.values())
    assert problems_of(schema, {"mode": 1, "speed": 40}) == []


def test_a_tenants_own_pattern_does_not_hold_the_service_up() -> None:
    """Its time is linear in the text, and of many wrong values few are told."""
    schema = OBJECT | {
        "properties": {
            "one": {"pattern": "^(a+)+$"},
            "many": {"items": {"anyOf": [{"pattern": f"^(a|a)*{end}$"} for end in range(95)]}},
        }
    }
    check_schema(schema)
    began = time.process_time()
    assert [name for name, _ in problems_of(schema, {"one": "a" * 50_000 + "b"})] == [
        "arguments.one"
    ]
    told = problems_of(schema, {"many": ["aaaa"] * 10_000})
    assert 1 <= len(told) <= MAX_TOLD
    # Measured: 0.03 s; a backtracking engine needs longer than anybody waits.
    assert time.process_time() - began < 3
