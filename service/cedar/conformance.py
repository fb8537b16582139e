"""Entities and requests for the engine: held against the schema once for each form.

Whether something fits a schema depends on the types of what it has, not on the values, so what was
found of one holds for all of its form. The engine reads such a one without the schema, which takes
half the time; what it reads is the same, since types stand in what is written (``__entity``,
``__extn``): a form of which the schema would make something else is never taken for known.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from service.cedar.values import form_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.cedar.entities import Entity
    from service.cedar.request import AuthorizationRequest
    from service.cedar.values import Form

_FORMS: Final = 1024  # of one schema; of our own entities there are some dozens
_PARSED: Final = (
    1024  # of all tenants: who asks, and the groups above what is asked of; some 8 KB each
)
# What a schema makes of them is what they are written as; of a text it could make something else.
_PLAIN: Final = frozenset({"String", "Boolean", "Long"})
# Of a request's context, which ``json_value`` writes with their types.
_WITH_TYPES: Final = frozenset({"now", "source_ip", "artifact", "requester"})
_CONTEXTS: Final = (
    None,
    {"type": "RequestContext"},
    {"type": "EntityOrCommon", "name": "RequestContext"},
)


class Conformance:
    """What fits one schema.

    Args:
        schema: parsed.
        declared: the same as JSON, of its namespace.
    """

    def __init__(self, schema: cedarpy.Schema, declared: Mapping[str, Any]) -> None:
        self._schema = schema
        # No entities, but the action groups of the schema.
        self._actions = cedarpy.Entities.from_json_str("[]", schema)
        self._of_actions = _each_with_its_groups(self._actions)
        # Fail closed: which ids an enumerated type has, no form tells.
        self._has_forms = not any("enum" in one for one in declared["entityTypes"].values())
        self._known: set[Form] = set()
        # Fail closed: of a text the schema could make something else, e.g. a moment.
        self._has_request_forms = self._has_forms and _leaves_texts(declared)

    def schema_for(self, request: AuthorizationRequest) -> cedarpy.Schema | None:
        """What a request is to be read with; ``None``: one of its form fitted the schema."""
        return None if _form_of_request(request) in self._known else self._schema

    def fitted(self, request: AuthorizationRequest) -> None:
        """Note that the engine has read a request with the schema."""
        if self._has_request_forms and len(self._known) < _FORMS:
            self._known.add(_form_of_request(request))

    def entities(self, action: str, about: Entity, others: Iterable[Entity]) -> cedarpy.Entities:
        """What an evaluation is to know, the action with its groups too.

        Args:
            action: that is asked for.
            about: what is asked of: read anew each time.
            others: who asks, and what stands above both: the same for many requests, so what was
                parsed of the same text is used again.

        Raises:
            ValueError: an entity does not fit the schema.
        """
        given = tuple(others)
        for entity in (about, *given):
            self._check(entity)
        base = _parsed(self, action, _text(given))
        return base.with_added_json_str(_text([about]))

    def parse(self, action: str, text: str) -> cedarpy.Entities:
        """Entities whose form is known, and an action with its groups; of no other, none.

        The engine takes as long for each addition as there are entities, and of a schema's actions
        it needs one.
        """
        return self._of_actions.get(action, self._actions).with_added_json_str(text)

    def _check(self, entity: Entity) -> None:
        """Refuse what does not fit.

        Raises:
            ValueError: it does not, or the schema would make something else of it.
        """
        form = entity.form
        if form in self._known:
            return
        text = _text([entity])
        fitting = self._actions.with_added_json_str(text, self._schema)
        if _spelt(fitting) != _spelt(self._actions.with_added_json_str(text)):
            raise ValueError(f"the schema makes something else of `{entity.uid.type}`")
        if self._has_forms and len(self._known) < _FORMS:
            self._known.add(form)


@lru_cache(maxsize=_PARSED)
def _parsed(schema: Conformance, action: str, text: str) -> cedarpy.Entities:
    return schema.parse(action, text)


def _each_with_its_groups(actions: cedarpy.Entities) -> dict[str, cedarpy.Entities]:
    """Each action of a schema alone with all groups that it is in."""
    written: dict[str, dict[str, Any]] = {one["uid"]["id"]: one for one in json.loads(str(actions))}

    def above(action: str) -> set[str]:
        direct = {parent["id"] for parent in written[action]["parents"]}
        return direct.union(*map(above, direct))

    return {
        action: cedarpy.Entities.from_json_str(
            json.dumps([written[one] for one in {action, *above(action)}])
        )
        for action in written
    }


def _text(entities: Iterable[Entity]) -> str:
    return f"[{','.join([entity.text for entity in entities])}]"


def _spelt(entities: cedarpy.Entities) -> list[str]:
    """All that the engine has, types too, in one order."""
    return sorted(
        json.dumps({**one, "parents": sorted(map(json.dumps, one["parents"]))}, sort_keys=True)
        for one in json.loads(str(entities))
    )


def _form_of_request(request: AuthorizationRequest) -> Form:
    return (
        request.action,
        request.principal.type,
        request.resource.type,
        form_of(request.context),
    )


def _leaves_texts(declared: Mapping[str, Any]) -> bool:
    """Whether the schema makes nothing else of the texts of a request's context."""
    context = dict(declared["commonTypes"]["RequestContext"]["attributes"])
    token = context.pop("token")["attributes"]
    return all(
        kind["type"] in _PLAIN
        or kind.get("element", {}).get("type") in _PLAIN
        or name in _WITH_TYPES
        for name, kind in (*context.items(), *token.items())
    ) and all(
        action.get("appliesTo", {}).get("context") in _CONTEXTS
        for action in declared["actions"].values()
    )
