"""Entities for the engine: held against the schema once for each form, and parsed as they are.

Whether an entity fits a schema depends on the types of what it has, not on the values, so what was
found of one entity holds for all of its form. The engine reads such a one without the schema, which
takes half the time; what it reads is the same, since types stand in what is written (``__entity``,
``__extn``): a form of which the schema would make something else is never taken for known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cedarpy
import msgspec

from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.cedar.entities import Entity

_FORMS: Final = 1024  # of one schema; of our own entities there are some dozens
_PARSED: Final = (
    1024  # of all tenants: who asks, and the groups above what is asked of; some 8 KB each
)
Form: TypeAlias = Any
"""The types in an entity or a value, nested as they are; can be compared and hashed."""
_encode: Final = msgspec.json.Encoder().encode


class SchemaEntities:
    """Makes entities for requests under one schema.

    Args:
        schema: parsed.
        declared: the same as JSON, of its namespace.
    """

    def __init__(self, schema: cedarpy.Schema, declared: Mapping[str, Any]) -> None:
        self._schema = schema
        # No entities, but the action groups of the schema.
        self._actions = cedarpy.Entities.from_json_str("[]", schema)
        # Fail closed: which ids an enumerated type has, no form tells.
        self._has_forms = not any("enum" in one for one in declared["entityTypes"].values())
        self._known: set[Form] = set()

    def of(self, about: Entity, others: Iterable[Entity]) -> cedarpy.Entities:
        """What an evaluation is to know, the action groups too.

        Args:
            about: what is asked of: read anew each time.
            others: who asks, and what stands above both: the same for many requests, so what was
                parsed of the same text is used again.

        Raises:
            ValueError: an entity does not fit the schema.
        """
        given = tuple(others)
        for entity in (about, *given):
            self._check(entity)
        base = _parsed(self, _text(given))
        return base.with_added_json_str(_text([about]))

    def parse(self, text: str) -> cedarpy.Entities:
        """Entities whose form is known, and the action groups."""
        return self._actions.with_added_json_str(text)

    def _check(self, entity: Entity) -> None:
        """Refuse what does not fit.

        Raises:
            ValueError: it does not, or the schema would make something else of it.
        """
        form = _form_of(entity)
        if form in self._known:
            return
        text = _text([entity])
        fitting = self._actions.with_added_json_str(text, self._schema)
        if _spelt(fitting) != _spelt(self.parse(text)):
            raise ValueError(f"the schema makes something else of `{entity.uid.type}`")
        if self._has_forms and len(self._known) < _FORMS:
            self._known.add(form)


@lru_cache(maxsize=_PARSED)
def _parsed(schema: SchemaEntities, text: str) -> cedarpy.Entities:
    return schema.parse(text)


def _text(entities: Iterable[Entity]) -> str:
    return _encode([entity.json() for entity in entities]).decode()


def _spelt(entities: cedarpy.Entities) -> list[str]:
    """All that the engine has, types too, in one order."""
    return sorted(
        json.dumps({**one, "parents": sorted(map(json.dumps, one["parents"]))}, sort_keys=True)
        for one in json.loads(str(entities))
    )


def _form_of(entity: Entity) -> Form:
    return (
        entity.uid.type,
        frozenset([(name, _form(value)) for name, value in entity.attributes.items()]),
        frozenset([parent.type for parent in entity.parents]),
        not entity.tags,
    )


def _form(value: object) -> Form:
    match value:
        case EntityUid():
            return value.type
        case tuple():
            return (tuple, frozenset([_form(item) for item in value]))
        case Mapping():
            return frozenset([(name, _form(item)) for name, item in value.items()])
        case _:
            return type(value)
