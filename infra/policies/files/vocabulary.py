"""What policies may name: the schema's types, attributes, tags and actions, and listed values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import cedarpy

from infra.policies.files.schema_json import SchemaError, annotated_schema, schema_json
from service.cedar.entities import ROOT_GROUP
from service.cedar.request import ACTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMESPACE: Final = "Fleet"
LISTS: Final = frozenset({"commands", "groups", "kinds", "regions", "tags"})
"""The keys of a tenant's stack file that list values of attributes."""
_OF_AN_ATTRIBUTE: Final = frozenset({"values", "listed_as"})
_OF_AN_ENTITY: Final = frozenset({"tags", "tags_listed_as"})
_CLOSE: Final = 0.6  # difflib's own measure of likeness, and its default

Type = Mapping[str, Any]
"""A type in the JSON form of a schema, with its ``annotations``."""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What one tenant's stack file lists, beside the schema; ``None`` is not known, so not checked.

    Attributes:
        whose: ``the base`` or ``this tenant``, for messages.
        groups: of people.
        lines: device groups, without ``all``.
        values: key of the stack file, of ``LISTS`` -> the values that it lists.
    """

    whose: str = "this tenant"
    groups: frozenset[str] | None = None
    lines: frozenset[str] | None = None
    values: Mapping[str, frozenset[str]] | None = None

    @property
    def device_groups(self) -> frozenset[str] | None:
        """The lines, and the group that holds every device."""
        return None if self.lines is None else self.lines | {ROOT_GROUP}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One kind of request that the schema knows, by action and types."""

    principal: str
    action: str
    resource: str
    context: Type


class Schema:
    """A schema as policies see it, with the annotations that list values.

    Args:
        text: of a ``.cedarschema`` file.

    Raises:
        SchemaError: it does not parse, or an annotation is not known.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._declared: dict[str, Any] = annotated_schema(text)[NAMESPACE]
        self._refuse_unknown_annotations()

    @cached_property
    def json(self) -> str:
        """The JSON form that a policy store is given, without annotations."""
        return schema_json(self.text)

    @cached_property
    def validator(self) -> cedarpy.Schema:
        """The schema for Cedar's own validator."""
        return cedarpy.Schema.from_json_str(self.json)

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """All types of entities but actions, with their namespace."""
        return frozenset(_full(name) for name in self._declared["entityTypes"])

    @cached_property
    def actions(self) -> Mapping[str, frozenset[str]]:
        """Each action and group of actions -> itself and the groups that it is in."""
        parents = {
            name: {str(parent["id"]) for parent in action.get("memberOf", ())}
            for name, action in self._declared["actions"].items()
        }

        def ancestors(name: str) -> frozenset[str]:
            return frozenset({name}).union(*(ancestors(parent) for parent in parents[name]))

        return {name: ancestors(name) for name in parents}

    @cached_property
    def environments(self) -> tuple[Environment, ...]:
        """Every kind of request."""
        return tuple(
            Environment(
                principal=_full(principal),
                action=name,
                resource=_full(resource),
                context=self.resolved(action["appliesTo"]["context"]),
            )
            for name, action in self._declared["actions"].items()
            if "appliesTo" in action
            for principal in action["appliesTo"]["principalTypes"]
            for resource in action["appliesTo"]["resourceTypes"]
        )

    def resolved(self, declared: Type) -> Type:
        """The type itself where a common type is named."""
        common = self._declared["commonTypes"].get(declared["type"])
        return declared if common is None else self.resolved(common)

    def entity(self, name: str) -> Type:
        """A type of entities as a type of values."""
        return {"type": "Entity", "name": name.removeprefix(f"{NAMESPACE}::")}

    def attributes(self, of: Type) -> Mapping[str, Type]:
        """The attributes of an entity or record; of anything else none."""
        of = self.resolved(of)
        if of["type"] == "Entity":
            of = self._entity_type(of).get("shape", {})
        found: Mapping[str, Type] = of.get("attributes", {})
        return found

    def tags(self, of: Type, lists: Lists) -> frozenset[str] | None:
        """The tags of an entity; ``None`` if it may have tags and no list is known."""
        entity = self._entity_type(of)
        if "tags" not in entity:
            return frozenset()
        annotations = entity.get("annotations", {})
        named = _split(annotations.get("tags", ""))
        key = annotations.get("tags_listed_as")
        if key is None:
            return named or None
        return None if lists.values is None else named | lists.values.get(key, frozenset())

    def tags_listed(self, types: Iterable[Type]) -> bool:
        """Whether a key of a tenant's file lists more tags of such an entity."""
        entities = map(self._entity_type, types)
        return any("tags_listed_as" in entity.get("annotations", {}) for entity in entities)

    def tag_type(self, of: Type) -> Type | None:
        """The type of an entity's tags, if it may have any."""
        return self._entity_type(of).get("tags")

    def holds(self, ancestor: str, kind: str) -> bool:
        """Whether an entity of ``kind`` can be in one of type ``ancestor``; each is in itself."""
        return ancestor in self._held_by(kind, frozenset())

    def words(self, of: Type, path: str) -> str:
        """How a message names what has attributes."""
        of = self.resolved(of)
        return _full(of["name"]) if of["type"] == "Entity" else path

    def _held_by(self, kind: str, seen: frozenset[str]) -> frozenset[str]:
        parents = self._entity_type(self.entity(kind)).get("memberOfTypes", ())
        found = frozenset({kind})
        for parent in map(_full, parents):
            if parent not in seen and parent != kind:
                found |= self._held_by(parent, seen | {kind})
        return found

    def _entity_type(self, of: Type) -> Mapping[str, Any]:
        name = str(of.get("name", "")).removeprefix(f"{NAMESPACE}::")
        found: Mapping[str, Any] = self._declared["entityTypes"].get(name, {})
        return found

    def _refuse_unknown_annotations(self) -> None:
        # Fail closed: a slip in an annotation would leave an attribute without its list.
        for name, entity in self._declared["entityTypes"].items():
            _known_annotations(entity, _OF_AN_ENTITY, name)
            self._walk(entity.get("shape", {}), name)
        for name, common in self._declared["commonTypes"].items():
            self._walk(common, name)

    def _walk(self, of: Type, path: str) -> None:
        for name, declared in of.get("attributes", {}).items():
            _known_annotations(declared, _OF_AN_ATTRIBUTE, f"{path}.{name}")
            self._walk(declared, f"{path}.{name}")


@lru_cache(maxsize=4)
def schema_of(text: str) -> Schema:
    """The schema of a text, read once.

    Raises:
        SchemaError: as ``Schema``.
    """
    return Schema(text)


def listed(declared: Type, lists: Lists) -> tuple[frozenset[str] | None, str]:
    """All values that an attribute has, ``None`` if that is not known, and who lists them.

    A tenant's key that lists nothing is as good as no list.
    """
    annotations = declared.get("annotations", {})
    key, named = annotations.get("listed_as"), _split(annotations.get("values", ""))
    if key is None:
        return named or None, "the schema" if named else ""
    whose = f"`{key}` of the tenant's file"
    if named:  # what the schema names is there beside what the file lists
        whole = None if lists.values is None else named | lists.values.get(key, frozenset())
        return whole, f"{whose}, with the schema,"
    return (lists.values or {}).get(key) or None, whose


def closed(declared: Type) -> frozenset[str] | None:
    """All values of a text that has no other, by the schema; a tenant's list is not so strict."""
    annotations = declared.get("annotations", {})
    is_text = declared["type"] == "String" and "values" in annotations
    is_text = is_text and "listed_as" not in annotations
    return _split(annotations["values"]) if is_text else None


def unknown_lists(declared: Type, lists: Lists) -> bool:
    """Whether a tenant's file lists the values, and what it lists is not known here."""
    return "listed_as" in declared.get("annotations", {}) and lists.values is None


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?`` if one of the known names is close to this one."""
    known = sorted(known)
    by_folded = {one.casefold(): one for one in reversed(known)}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=_CLOSE)
    return f"; did you mean `{by_folded[found[0]]}`?" if found else ";"


def told(name: str, known: Iterable[str], *, has: str = "it has") -> str:
    """The nearest known name, if one is near, and all that are known: the end of a message."""
    known = sorted(known)
    near = nearest(name, known)
    has = f"{has} {', '.join(known)}" if known else "it has none"
    return f"{near} {has[0].upper() + has[1:] if near.endswith('?') else has}"


def action_of(uid: Mapping[str, str]) -> bool:
    """Whether an entity is an action of the schema's namespace."""
    return uid["type"] == ACTION


def _full(name: str) -> str:
    return name if "::" in name else f"{NAMESPACE}::{name}"


def _split(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _known_annotations(of: Type, known: frozenset[str], where: str) -> None:
    annotations: Mapping[str, str] = of.get("annotations", {})
    for name, text in annotations.items():
        if name not in known:
            words = f"{nearest(name, known)} there are {', '.join(sorted(known))}"
            raise SchemaError(f"`{where}`: no annotation `@{name}`{words}")
        if name.endswith("listed_as") and text not in LISTS:
            words = f"{nearest(text, LISTS)} there are {', '.join(sorted(LISTS))}"
            raise SchemaError(f"`{where}`: a tenant's file lists no `{text}`{words}")


def confirmed(annotations: Mapping[str, str | None]) -> Iterator[str]:
    """The literals that a policy's ``@values`` confirms, of attributes without a list."""
    yield from sorted(_split(annotations.get("values") or ""))


def leaves(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a compared expression comes to: literals and attributes, through sets and choices."""
    if "Set" in node:
        for item in node["Set"]:
            yield from leaves(item)
    elif "if-then-else" in node:
        yield from leaves(node["if-then-else"]["then"])
        yield from leaves(node["if-then-else"]["else"])
    else:
        yield cast("dict[str, Any]", node)
