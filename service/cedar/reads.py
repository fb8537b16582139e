"""What policies can read of the device that they are asked about.

Two devices that are alike in all of that get the same decision: a list of a hundred devices is a
few questions, each evaluated once, instead of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from service.cedar.device_facts import FACTS_OF
from service.cedar.entities import DEVICE, DEVICE_GROUP, ROOT_GROUP
from service.cedar.values import EntityUid
from service.kept import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OF_NAME: Final = frozenset({".", "has"})
_OF_TAG: Final = frozenset({"hasTag", "getTag"})
_OF_SET: Final = frozenset({"contains", "containsAll", "containsAny"})
_OF_ENTITY: Final = frozenset({"in", "==", "!=", "is"})


class UnreadablePolicyError(ValueError):
    """A policy uses the resource as a whole, or in a form that is not known here."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What some policies can read of a device.

    Attributes:
        attributes: in the schema's words, e.g. ``window_start``.
        tags: whether they read any tag.
        groups: whether they name a device group other than ``all``, in which every device is.
        devices: ids of those that they name.
    """

    attributes: frozenset[str]
    tags: bool
    groups: bool
    devices: frozenset[str]

    @kept
    def facts(self) -> tuple[str, ...] | None:
        """The device's facts on which these depend; ``None``: on any."""
        # Fail closed: an attribute that comes of no fact known here may come of each.
        if not self.attributes <= FACTS_OF.keys():
            return None
        return tuple(sorted({fact for name in self.attributes for fact in FACTS_OF[name]}))

    @classmethod
    def of(cls, policies: Iterable[Mapping[str, Any]]) -> Reads | None:
        """What these can read, or ``None`` if that cannot be told: then each device is asked for.

        Args:
            policies: in Cedar's JSON form, without blanks.
        """
        found = _Found()
        try:
            for policy in policies:
                found.scope(policy["resource"])
                for condition in policy.get("conditions", ()):
                    found.expression(condition["body"])
        # Fail closed: what is not understood may read anything.
        except (UnreadablePolicyError, KeyError, TypeError, AttributeError):
            return None
        return cls(
            attributes=frozenset(found.attributes),
            tags=found.tags,
            groups=any(one.type == DEVICE_GROUP and one.id != ROOT_GROUP for one in found.named),
            devices=frozenset(one.id for one in found.named if one.type == DEVICE),
        )


class _Found:
    """What was found so far, of the resource alone."""

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.tags = False
        self.named: set[EntityUid] = set()

    def scope(self, scope: Mapping[str, Any]) -> None:
        """The resource's part of a policy's head."""
        if "in" in scope:
            self.scope(scope["in"])
        if "entity" in scope:
            self.named.add(EntityUid(**scope["entity"]))
        elif scope["op"] not in ("All", "is") if "op" in scope else True:
            raise UnreadablePolicyError("a scope of another form")

    def expression(self, node: Any) -> None:
        """Any part of a condition.

        Raises:
            UnreadablePolicyError: the resource stands where all of it can be read.
        """
        if isinstance(node, list):
            for part in node:
                self.expression(part)
            return
        if not isinstance(node, dict):
            return  # a name, a number: of what was found above it
        for operator, parts in node.items():
            if operator == "Value":
                continue  # a literal
            if operator == "Var":
                if parts == "resource":
                    raise UnreadablePolicyError("the resource as a whole")
                continue
            if isinstance(parts, dict) and parts.get("left") == {"Var": "resource"}:
                self._of_resource(operator, parts)
            else:
                self.expression(list(parts.values()) if isinstance(parts, dict) else parts)

    def _of_resource(self, operator: str, parts: Mapping[str, Any]) -> None:
        if operator in _OF_NAME:
            name = parts["attr"]
            if not isinstance(name, str):
                raise UnreadablePolicyError("an attribute of another form")
            self.attributes.add(name)
        elif operator in _OF_TAG:
            self.tags = True
            self.expression(parts["right"])
        elif operator in _OF_ENTITY:
            for part in ("right", "in"):
                if part in parts:
                    self._literals(parts[part])
        else:
            raise UnreadablePolicyError(f"the resource in `{operator}`")

    def _literals(self, node: Mapping[str, Any]) -> None:
        """Entities that stand in the policy by their names."""
        for one in node.get("Set", [node]):
            self.named.add(EntityUid(**one["Value"]["__entity"]))


def context_members(policies: Iterable[object]) -> frozenset[str] | None:
    """The members of the context that some policies can read; ``None``: they may read all of it.

    A record's members are read by their names alone: there is no other way to one (Cedar language
    reference, "Operators").

    Args:
        policies: in Cedar's JSON form, or parts of such.
    """
    found: set[str] = set()
    try:
        for policy in policies:
            _members(policy, found)
    # Fail closed: what is not understood may read anything.
    except (UnreadablePolicyError, KeyError, TypeError, AttributeError):
        return None
    return frozenset(found)


def _members(node: object, found: set[str]) -> None:
    if isinstance(node, list):
        for item in cast("list[object]", node):
            _members(item, found)
        return
    if not isinstance(node, dict):
        return
    for operator, part in cast("dict[str, object]", node).items():
        if operator == "Value":
            continue  # a literal
        if operator == "Var" and part == "context":
            raise UnreadablePolicyError("the context as a whole")
        parts = cast("dict[str, object]", part) if isinstance(part, dict) else {}
        if operator in _OF_NAME and parts.get("left") == {"Var": "context"}:
            name = parts["attr"]
            if not isinstance(name, str):
                raise UnreadablePolicyError("a member of another form")
            found.add(name)
        else:
            _members(part, found)


def texts_beside(node: object, member: str) -> Iterator[str]:
    """The texts with which a policy compares a set of the context, by one of Cedar's operators.

    Args:
        node: the policy in Cedar's JSON form, or a part of it.
        member: the set's name in the context.
    """
    if isinstance(node, list):
        for item in cast("list[object]", node):
            yield from texts_beside(item, member)
    elif isinstance(node, dict):
        for name, part in cast("dict[str, object]", node).items():
            if name in _OF_SET:
                sides = list(cast("dict[str, object]", part).values())
                if {".": {"left": {"Var": "context"}, "attr": member}} in sides:
                    yield from _texts(sides)
            yield from texts_beside(part, member)


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _texts(item)
    elif isinstance(node, dict):
        known = cast("dict[str, object]", node)
        if isinstance(text := known.get("Value"), str):
            yield text
        else:
            yield from _texts(known.get("Set"))
