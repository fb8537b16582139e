"""Turns the Cedar text of the schema into the JSON that PutSchema takes, and reads its actions.

People review ``policies/schema.cedarschema``, with its comments; AWS accepts only JSON. cedarpy
prints a parsed schema in one regular form (declarations sorted, names resolved), which is what this
reads. The result is not trusted: the engine parses it again, and it must print the same text.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Final

from cedarpy import Schema

_TOKEN: Final = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"'
    r'|[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*(?:::(?=")"(?:[^"\\]|\\.)*")?'
    r"|[{}\[\](),:;=<>?@])"
)
_ANNOTATION: Final = re.compile(r'^ *@\w+(?:\("(?:[^"\\]|\\.)*"\))?\n', re.MULTILINE)
_PRIMITIVES: Final = {"String": "String", "Long": "Long", "Bool": "Boolean"}
_EXTENSIONS: Final = frozenset({"datetime", "decimal", "duration", "ipaddr"})


class SchemaError(ValueError):
    """The schema does not parse, or uses a part of the language that this project does not."""


def schema_json(text: str) -> str:
    """The JSON form of a Cedar schema text.

    Raises:
        SchemaError: with the engine's words.
    """
    # AWS documents no annotations in a schema: they are for our own check, and never stamped.
    canonical = _ANNOTATION.sub("", _canonical(text))
    converted = json.dumps(_Reader(canonical).schema(), separators=(",", ":"))
    # The engine prints built-in types with their reserved prefix if the schema came as JSON.
    printed = str(Schema.from_json_str(converted)).replace("__cedar::", "")
    # Fail closed: never stamp another schema.
    if printed != canonical:
        raise SchemaError(
            "the JSON form says something else than the text: a part of the language is not "
            "converted"
        )
    return converted


def annotated_schema(text: str) -> dict[str, Any]:
    """The same with ``annotations`` where the text has them, which no store is given.

    Raises:
        SchemaError: with the engine's words.
    """
    return _Reader(_canonical(text)).schema()


def _canonical(text: str) -> str:
    try:
        return str(Schema.from_str(text))
    except ValueError as error:
        raise SchemaError(str(error)) from error


class Actions:
    """The actions of a schema and the groups that they are in."""

    def __init__(self, schema_json: str) -> None:
        declared: dict[str, Any] = json.loads(schema_json)["Fleet"]["actions"]
        self._parents = {
            name: {str(parent["id"]) for parent in action.get("memberOf", ())}
            for name, action in declared.items()
        }
        self._asked = frozenset(name for name, action in declared.items() if "appliesTo" in action)

    def of_group(self, group: str) -> frozenset[str]:
        """The actions that can be asked for, of an action group or of one action, by name."""
        return frozenset(name for name in self._asked if group in self._with_ancestors(name))

    def of(self, scope: dict[str, Any]) -> frozenset[str]:
        """The actions that the action scope of a policy in Cedar's JSON form reaches."""
        if scope["op"] == "All":
            return self._asked
        named: list[dict[str, str]] = (
            scope["entities"] if "entities" in scope else [scope["entity"]]
        )
        return frozenset[str]().union(*(self.of_group(entity["id"]) for entity in named))

    def _with_ancestors(self, name: str) -> set[str]:
        return {name}.union(*(self._with_ancestors(parent) for parent in self._parents[name]))


class _Reader:
    def __init__(self, canonical: str) -> None:
        self._tokens = _tokens(canonical)
        self._at = 0
        self._common = {name for word, name in itertools.pairwise(self._tokens) if word == "type"}

    def schema(self) -> dict[str, Any]:
        namespaces: dict[str, Any] = {}
        while self._at < len(self._tokens):
            self._take("namespace")
            name = self._next()
            namespaces[name] = self._namespace()
        return namespaces

    def _namespace(self) -> dict[str, Any]:
        found: dict[str, Any] = {"commonTypes": {}, "entityTypes": {}, "actions": {}}
        self._take("{")
        while not self._skip("}"):
            annotations = self._annotations()
            match self._next():
                case "type":
                    name = self._next()
                    self._take("=")
                    found["commonTypes"][name] = self._type()
                case "entity":
                    name = self._next()
                    found["entityTypes"][name] = {**self._entity(), **annotations}
                case "action":
                    name = json.loads(self._next())
                    found["actions"][name] = self._action()
                case other:
                    raise SchemaError(f"`{other}` is not converted")
            self._take(";")
        return found

    def _entity(self) -> dict[str, Any]:
        entity: dict[str, Any] = {}
        if self._skip("in"):
            entity["memberOfTypes"] = self._list()
        if self._skip("="):
            entity["shape"] = self._type()
        if self._skip("tags"):
            entity["tags"] = self._type()
        return entity

    def _action(self) -> dict[str, Any]:
        action: dict[str, Any] = {}
        if self._skip("in"):
            action["memberOf"] = [
                {"id": json.loads(item.removeprefix("Action::"))} for item in self._list()
            ]
        if self._skip("appliesTo"):
            applies: dict[str, Any] = {}
            self._take("{")
            while not self._skip("}"):
                key = self._next()
                self._take(":")
                match key:
                    case "principal":
                        applies["principalTypes"] = self._list()
                    case "resource":
                        applies["resourceTypes"] = self._list()
                    case _:
                        applies["context"] = self._type()
                self._skip(",")
            action["appliesTo"] = applies
        return action

    def _list(self) -> list[str]:
        self._take("[")
        items: list[str] = []
        while not self._skip("]"):
            items.append(self._next())
            self._skip(",")
        return items

    def _type(self) -> dict[str, Any]:
        if self._skip("{"):
            return {"type": "Record", "attributes": self._attributes()}
        name = self._next()
        if name == "Set":
            self._take("<")
            element = self._type()
            self._take(">")
            return {"type": "Set", "element": element}
        if name in _EXTENSIONS:
            return {"type": "Extension", "name": name}
        if name in _PRIMITIVES:
            return {"type": _PRIMITIVES[name]}
        return {"type": name} if name in self._common else {"type": "Entity", "name": name}

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        while not self._skip("}"):
            annotations = self._annotations()
            token = self._next()
            name = json.loads(token) if token.startswith('"') else token
            required = not self._skip("?")
            self._take(":")
            attributes[name] = {**self._type(), "required": required, **annotations}
            self._skip(",")
        return attributes

    def _annotations(self) -> dict[str, Any]:
        found: dict[str, str] = {}
        while self._skip("@"):
            name = self._next()
            self._take("(")
            found[name] = json.loads(self._next())
            self._take(")")
        return {"annotations": found} if found else {}

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise SchemaError("the schema ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, token: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += found
        return found

    def _take(self, token: str) -> None:
        if (found := self._next()) != token:
            raise SchemaError(
                f"`{token}` expected, found `{found}`: a part of the language that is not converted"
            )


def _tokens(canonical: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    text = canonical.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SchemaError(f"`{text[at : at + 20]}` is not converted")
        tokens.append(match[1])
        at = match.end()
    return tokens
