"""Schemas of commands' parameters: which may be used, and what of given arguments breaks one.

JSON Schema of 2020-12, of which only what a caller can be told and a validator can end in bounded
time is taken: no keyword that is unknown, so that a misspelt one does not pass for a rule; no
reference but to `$defs` of the schema itself, and none in a circle; patterns of an engine whose
time is linear in the text (Rust's `regex`: no look-around, no back-reference).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import jsonschema_rs

from service.nearest_name import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES: Final = 8_192
"""Of a schema as compact JSON; 30 such stand in a registry row, which may have 400 KB."""
MAX_DEPTH: Final = 12
"""Schemas inside each other, by references too."""
MAX_SCHEMAS: Final = 200
"""Counted as often as a reference leads to one: what arguments are held against, at most."""
MAX_TOLD: Final = 10
"""Problems of one request that its caller is told."""
_ALL_OF: Final = 30  # values in arguments: of more the first problem alone is told, for its time
_SHOWN: Final = 80  # characters of a name that somebody wrote
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_OPTIONS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20)
_ONE: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
)
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"dependentSchemas", "patternProperties", "properties"})
_PLAIN: Final = frozenset(
    {
        *("$comment", "$schema", "const", "default", "deprecated", "dependentRequired"),
        *("description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format"),
        *("maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains"),
        *("minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern"),
        *("readOnly", "required", "title", "type", "uniqueItems", "writeOnly"),
    }
)
_KEYWORDS: Final = _ONE | _MANY | _NAMED | _PLAIN | {"$defs", "$ref"}
# JSON Schema 2020-12, Validation, 6.1.1.
_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_REFERENCE: Final = "#/$defs/"


class SchemaError(ValueError):
    """A schema that no command may have.

    Attributes:
        path: where in it, e.g. ``properties.speed``; empty: the whole.
        problem: what would be right.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that is none, that could say less than it seems to, or that could hang.

    Args:
        schema: parsed JSON, or what YAML gives for it.

    Raises:
        SchemaError: where, and what would be right.
    """
    try:
        text = json.dumps(schema, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError("", f"must be JSON: {error}"[:200]) from error
    if size > MAX_BYTES:
        raise SchemaError("", f"must have at most {MAX_BYTES} bytes as JSON, has {size}")
    if schema.get("type") != "object":
        raise SchemaError("type", 'must be "object": arguments are an object')
    if schema.get("$schema", _DRAFT) != _DRAFT:
        raise SchemaError("$schema", f"must be left out, or `{_DRAFT}`")
    definitions = schema.get("$defs", {})
    if not isinstance(definitions, dict):
        raise SchemaError("$defs", "must be an object")
    found = _expanded(schema, cast("dict[str, Any]", definitions))
    for count, (path, one) in enumerate(found, start=1):
        _check_one(path, one)
        if count > MAX_SCHEMAS:
            raise SchemaError(
                path, f"is more than {MAX_SCHEMAS} schemas, counted for each reference to one"
            )
    try:
        _validator(text)
    except ValueError as error:  # the library's own are of this kind
        where = ".".join(map(str, getattr(error, "instance_path", ())))
        raise SchemaError(where, _first_line(error)) from error


def problems_of(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What of the arguments breaks a schema that was checked: member and words, the first ten.

    The words say what the schema asks for and never what was given.
    """
    validator, given = _validator(json.dumps(schema, separators=(",", ":"))), dict(arguments)
    if validator.is_valid(given):
        return []
    if _has_more_than(_ALL_OF, given):
        try:
            validator.validate(given)
        except jsonschema_rs.ValidationError as error:
            return list(_told(error))[:MAX_TOLD]
    found = [told for error in validator.iter_errors(given) for told in _told(error)]
    # Fail closed: arguments that do not fit never pass for want of words.
    return found[:MAX_TOLD] or [("arguments", "do not fit the command's parameters")]


def _has_more_than(most: int, document: object) -> bool:
    waiting, count = [document], 0
    while waiting and count <= most:
        one = waiting.pop()
        count += 1
        if isinstance(one, dict):
            waiting += cast("dict[str, object]", one).values()
        elif isinstance(one, list):
            waiting += cast("list[object]", one)
    return count > most


@lru_cache(maxsize=512)
def _validator(text: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        json.loads(text),
        pattern_options=_OPTIONS,
        # Fail closed: a format is a rule, as its writer meant it, and one that is unknown none.
        validate_formats=True,
        ignore_unknown_formats=False,
        offline=True,
        mask="the value",
    )


def _expanded(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema with its place, one behind a reference for each reference to it.

    Raises:
        SchemaError: one is no schema, lies too deep, or refers to what is not there.
    """
    waiting: list[tuple[str, object, int]] = [("", dict(schema), 1)]
    # Also what nothing refers to: somebody will.
    waiting += [(f"$defs.{name[:_SHOWN]}", one, 1) for name, one in definitions.items()]
    while waiting:
        path, one, depth = waiting.pop(0)
        if isinstance(one, bool):
            continue
        if not isinstance(one, dict):
            raise SchemaError(path, "must be a schema: an object, true or false")
        # A circle of references is as deep as anybody likes.
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"lies in more than {MAX_DEPTH} schemas, or refers to itself")
        known = cast("dict[str, Any]", one)
        yield path, known
        waiting += [(place, inner, depth + 1) for place, inner in _inside(path, known)]
        if "$ref" in known:
            waiting.append((_at(path, "$ref"), _referred(path, known, definitions), depth + 1))


def _inside(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for keyword, value in schema.items():
        place = _at(path, keyword)
        if keyword in _ONE:
            yield place, value
        elif keyword in _MANY and isinstance(value, list):
            for index, inner in enumerate(cast("list[object]", value)):
                yield f"{place}[{index}]", inner
        elif keyword in _NAMED and isinstance(value, dict):
            for name, inner in cast("dict[str, object]", value).items():
                yield _at(place, name[:_SHOWN]), inner


def _referred(path: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> object:
    reference = schema["$ref"]
    name = reference.removeprefix(_REFERENCE) if isinstance(reference, str) else ""
    if reference != f"{_REFERENCE}{name}" or name not in definitions:
        raise SchemaError(
            _at(path, "$ref"), f"must be `{_REFERENCE}` and the name of one of `$defs`"
        )
    return definitions[name]


def _check_one(path: str, schema: Mapping[str, Any]) -> None:
    for keyword in schema:
        if keyword not in _KEYWORDS:
            meant = did_you_mean(keyword, _KEYWORDS)
            raise SchemaError(_at(path, keyword[:_SHOWN]), f"is no keyword that may be used{meant}")
        if keyword in {"$defs", "$schema"} and path:
            raise SchemaError(_at(path, keyword), "may stand in the outermost schema alone")
    _check_types(path, schema.get("type", []))
    named = schema.get("patternProperties", {})
    patterns = [schema["pattern"]] if "pattern" in schema else []
    patterns += list(cast("dict[str, Any]", named)) if isinstance(named, dict) else []
    for pattern in patterns:
        try:
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_OPTIONS)
        except ValueError as error:
            raise SchemaError(
                _at(path, "pattern"),
                "must be a regular expression without look-around and back-references, that is"
                " small when it is compiled",
            ) from error


def _check_types(path: str, types: object) -> None:
    """Say it in words: the library's are of the keywords of the schema of schemas."""
    for one in cast("list[object]", types) if isinstance(types, list) else [types]:
        if one not in _TYPES:
            meant = did_you_mean(str(one), _TYPES)
            raise SchemaError(
                _at(path, "type"), f"must be one of {', '.join(sorted(_TYPES))}{meant}"
            )


def _told(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    place = "arguments"
    for step in error.instance_path:
        place += f"[{step}]" if isinstance(step, int) else f".{step[:_SHOWN]}"
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            yield f"{place}.{name}", "is missing"
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=names):
            for name in names:
                yield f"{place}.{name[:_SHOWN]}", "is no parameter of the command"
        case _:
            yield place, _first_line(error).removeprefix("the value ")


def _first_line(error: ValueError) -> str:
    return str(getattr(error, "message", error)).partition("\n")[0][:300]


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
