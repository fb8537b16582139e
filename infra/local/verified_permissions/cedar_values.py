"""From the API's typed JSON to Cedar's JSON: identifiers, attribute values, entities, context.

Everything that arrives here has passed the service model, so unions have exactly one member and
patterns hold.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from .errors import Field, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Uid = tuple[str, str]  # type, id

MAX_TRANSITIVE_PARENTS: Final = 99

_ESCAPES: Final = frozenset({"__entity", "__extn", "__expr"})
_EXTENSIONS: Final = {
    "ipaddr": "ip",
    "decimal": "decimal",
    "datetime": "datetime",
    "duration": "duration",
}


def entity_uid(identifier: dict[str, str]) -> dict[str, str]:
    """``{"entityType", "entityId"}`` -> ``{"type", "id"}``."""
    return {"type": identifier["entityType"], "id": identifier["entityId"]}


def action_uid(identifier: dict[str, str]) -> dict[str, str]:
    """``{"actionType", "actionId"}`` -> ``{"type", "id"}``."""
    return {"type": identifier["actionType"], "id": identifier["actionId"]}


def entity_identifier(uid: dict[str, str]) -> dict[str, str]:
    """``{"type", "id"}`` -> ``{"entityType", "entityId"}``."""
    return {"entityType": uid["type"], "entityId": uid["id"]}


def action_identifier(uid: dict[str, str]) -> dict[str, str]:
    """``{"type", "id"}`` -> ``{"actionType", "actionId"}``."""
    return {"actionType": uid["type"], "actionId": uid["id"]}


def value(typed: dict[str, Any]) -> Any:
    """An ``AttributeValue`` or ``CedarTagValue`` as Cedar JSON."""
    for kind, content in typed.items():
        if content is None:
            continue
        if kind in ("string", "boolean", "long"):
            return content
        if kind == "set":
            return [value(item) for item in content]
        if kind == "record":
            return values(content)
        if kind == "entityIdentifier":
            return {"__entity": entity_uid(content)}
        if kind in _EXTENSIONS:
            return {"__extn": {"fn": _EXTENSIONS[kind], "arg": content}}
    raise AssertionError(typed)


def values(typed: dict[str, Any] | None) -> dict[str, Any]:
    """A map of attribute values as a Cedar record.

    Raises:
        InvalidInputError: a name is an escape of Cedar's JSON, which would make the record
            something else.
    """
    if not typed:
        return {}
    if not _ESCAPES.isdisjoint(typed):
        raise InvalidInputError(
            Field("/", f"A record cannot have a member named {' or '.join(sorted(_ESCAPES))}.")
        )
    return {name: value(item) for name, item in typed.items()}


def context(definition: dict[str, Any] | None, path: str = "/context") -> dict[str, Any]:
    """A ``ContextDefinition`` as a Cedar record.

    Raises:
        InvalidInputError: ``cedarJson`` is not a JSON object.
    """
    if definition is None:
        return {}
    if (text := definition.get("cedarJson")) is not None:
        return cast("dict[str, Any]", _parsed(text, dict, f"{path}/cedarJson"))
    return values(definition.get("contextMap"))


def entities(definition: dict[str, Any] | None) -> list[dict[str, Any]]:
    """An ``EntitiesDefinition`` as Cedar's list of entities; of two of one id the last wins.

    Raises:
        InvalidInputError: ``cedarJson`` is not a JSON array of objects.
    """
    if definition is None:
        return []
    if (text := definition.get("cedarJson")) is not None:
        items = cast("list[Any]", _parsed(text, list, "/entities/cedarJson"))
        for item in items:
            if not isinstance(item, dict):
                raise InvalidInputError(
                    Field("/entities/cedarJson", "Each entity must be a JSON object.")
                )
            entity = cast("dict[str, Any]", item)
            entity.setdefault("attrs", {})  # cedarpy wants both members
            entity.setdefault("parents", [])
        return items
    last: dict[Uid, dict[str, Any]] = {}
    for item in definition.get("entityList") or ():
        identifier = item["identifier"]
        last[identifier["entityType"], identifier["entityId"]] = item
    return [_entity(item) for item in last.values()]


def parents_by_entity(items: Iterable[dict[str, Any]]) -> dict[Uid, tuple[Uid, ...]]:
    """The direct parents of every entity.

    Raises:
        InvalidInputError: a reference is of no form that Cedar reads.
    """
    graph: dict[Uid, tuple[Uid, ...]] = {}
    for item in items:
        listed = item["parents"]
        if not isinstance(listed, list):
            raise InvalidInputError(
                Field("/entities", "The parents of an entity must be an array.")
            )
        graph[required_uid(item.get("uid"))] = tuple(
            required_uid(parent) for parent in cast("list[Any]", listed)
        )
    return graph


def required_uid(reference: object) -> Uid:
    """Type and id of a reference in Cedar JSON, ``{"type", "id"}`` or that under ``__entity``.

    Raises:
        InvalidInputError: it has neither form; Cedar has no other.
    """
    if isinstance(reference, dict):
        members = cast("dict[str, Any]", reference)
        inner = members.get("__entity", members)
        if isinstance(inner, dict):
            kind: Any = inner.get("type")
            name: Any = inner.get("id")
            if isinstance(kind, str) and isinstance(name, str):
                return kind, name
    raise InvalidInputError(
        Field("/entities", 'An entity is named by {"type", "id"}, both strings.')
    )


def check_ancestors(graph: dict[Uid, tuple[Uid, ...]]) -> None:
    """Refuse deep ancestries: beyond thousands Cedar would overflow the process's stack.

    Raises:
        InvalidInputError: an entity is in more than 99 others.
    """
    for own in graph:
        reached, waiting = {own}, [own]
        while waiting:
            fresh = set(graph.get(waiting.pop(), ())) - reached
            reached |= fresh
            waiting.extend(fresh)
            if len(reached) > MAX_TRANSITIVE_PARENTS + 1:
                raise InvalidInputError(
                    Field(
                        "/entities",
                        f"An entity has more than {MAX_TRANSITIVE_PARENTS} transitive parents.",
                    )
                )


def _entity(item: dict[str, Any]) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "uid": entity_uid(item["identifier"]),
        "attrs": values(item.get("attributes")),
        "parents": [entity_uid(parent) for parent in item.get("parents") or ()],
    }
    if item.get("tags"):
        entity["tags"] = values(item["tags"])
    return entity


def _parsed(text: str, kind: type, path: str) -> object:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(Field(path, f"Not valid JSON: {error}")) from error
    if not isinstance(parsed, kind):
        raise InvalidInputError(
            Field(path, f"Must be a JSON {'array' if kind is list else 'object'}.")
        )
    return parsed
