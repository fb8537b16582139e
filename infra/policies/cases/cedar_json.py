"""Reads Cedar's JSON form of entities and contexts, as the types of the schema say.

With a schema the escapes ``__entity`` and ``__extn`` may be left out (docs: Cedar "Entities and
context syntax"): a duration is ``"1h"``, a moment ``"2026-11-22T23:00:00Z"``, an entity
``{"type": "Fleet::Tenant", "id": "acme"}``. The files of ``policies/cases`` are written so, and
every member that the schema does not know is an error.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast

from service.cedar.entities import Entity
from service.cedar.values import EntityUid, parse_datetime, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.values import Value

_NAMESPACE: Final = "Fleet"
_EXTENSIONS: Final = {
    "datetime": parse_datetime,
    "duration": parse_duration,
    "ipaddr": ip_address,
}
_PRIMITIVES: Final = {"String": str, "Long": int, "Boolean": bool}


class CedarJsonError(ValueError):
    """Something is not of the form that the schema declares; the message says where."""


class SchemaReader:
    """Reads values by the types that a schema declares.

    Args:
        schema_json: in the JSON form that ``schema_json`` makes.
    """

    def __init__(self, schema_json: str) -> None:
        self._schema: dict[str, Any] = json.loads(schema_json)[_NAMESPACE]

    def entities(self, document: object) -> dict[EntityUid, Entity]:
        """The entities of a list ``[{"uid", "attrs", "parents"}]``, each with ``tags`` or without.

        Raises:
            CedarJsonError: with the uid and the attribute or tag that is not of its form.
        """
        found: dict[EntityUid, Entity] = {}
        for item in _list(document, "the entities"):
            given = dict(read_object(item, "an entity"))
            tags = given.pop("tags", {})
            members = _members(given, {"uid", "attrs", "parents"}, "an entity")
            uid = read_uid(members["uid"], "`uid`")
            where = f"`{uid}`"
            if uid in found:
                raise CedarJsonError(f"{where} stands twice")
            declared = self._schema["entityTypes"].get(uid.type.removeprefix(f"{_NAMESPACE}::"))
            if declared is None:
                raise CedarJsonError(f"{where}: the schema has no such type")
            shape = declared.get("shape", {"type": "Record", "attributes": {}})
            parents = _list(members["parents"], f"{where}: `parents`")
            found[uid] = Entity(
                uid=uid,
                attributes=self._record(members["attrs"], shape, where),
                parents=tuple(read_uid(parent, f"{where}: a parent") for parent in parents),
                tags=self._tags(tags, declared, where),
            )
        return found

    def context(self, document: object) -> Mapping[str, Value]:
        """The context of a request.

        Raises:
            CedarJsonError: with the member that is not of its form.
        """
        return self._record(document, self._schema["commonTypes"]["RequestContext"], "`context`")

    def _tags(self, value: object, declared: dict[str, Any], where: str) -> Mapping[str, str]:
        members = read_object(value, f"{where}: `tags`")
        if members and "tags" not in declared:
            raise CedarJsonError(f"{where}: the schema has no tags for it")
        for name, text in members.items():
            self._value(text, declared["tags"], f"{where}: the tag `{name}`")
        return cast("Mapping[str, str]", members)

    def _record(self, value: object, shape: dict[str, Any], where: str) -> Mapping[str, Value]:
        declared: dict[str, Any] = shape["attributes"]
        members = read_object(value, where)
        if unknown := sorted(set(members) - set(declared)):
            raise CedarJsonError(f"{where}: the schema has no attribute {_named(unknown)}")
        return {
            name: self._value(member, declared[name], f"{where}: `{name}`")
            for name, member in members.items()
        }

    def _value(self, value: object, declared: dict[str, Any], where: str) -> Value:
        match declared["type"]:
            case "Record":
                return self._record(value, declared, where)
            case "Set":
                items = _list(value, where)
                return tuple(self._value(item, declared["element"], where) for item in items)
            case "Entity":
                return read_uid(value, where)
            case "Extension":
                return _extension(value, declared["name"], where)
            case primitive:
                # `bool` is an `int` in Python, and no Long in Cedar.
                if type(value) is not _PRIMITIVES[primitive]:
                    raise CedarJsonError(f"{where} must be a {primitive}")
                return cast("Value", value)


def read_uid(value: object, where: str) -> EntityUid:
    """The uid of ``{"type", "id"}``, or of a text ``Type::"id"``.

    Raises:
        CedarJsonError: not of one of these forms; ``where`` says which.
    """
    if isinstance(value, str):
        try:
            return EntityUid.parse(value)
        except ValueError as error:
            raise CedarJsonError(f"{where}: {error}") from error
    members = _members(value, {"type", "id"}, where)
    return EntityUid(str(members["type"]), str(members["id"]))


def read_object(value: object, where: str) -> dict[str, object]:
    """A JSON object.

    Raises:
        CedarJsonError: something else; ``where`` says which.
    """
    if not isinstance(value, dict):
        raise CedarJsonError(f"{where} must be an object")
    return cast("dict[str, object]", value)


def _extension(value: object, name: str, where: str) -> Value:
    if not isinstance(value, str):
        raise CedarJsonError(f"{where} must be a {name} in text")
    try:
        return _EXTENSIONS[name](value)
    except ValueError as error:
        raise CedarJsonError(f"{where}: {error}") from error


def _members(value: object, names: set[str], where: str) -> dict[str, object]:
    members = read_object(value, where)
    if set(members) != names:
        raise CedarJsonError(f"{where} has the members {_named(sorted(names))}, and no other")
    return members


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise CedarJsonError(f"{where} must be a list")
    return cast("list[object]", value)


def _named(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
