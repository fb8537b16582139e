"""Evaluates the conditions of one policy for every combination of what they can tell apart.

An attribute is absent, or has one of the values that the policy compares it with, or another; of a
number or moment, values on both sides of each. What is followed no further (group membership, sets,
two attributes compared with each other, arithmetic) is simply true or false, whatever else holds.
So there are more combinations than requests: what is true of all of them is true of all requests.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from infra.policies.files.cedar_text import pattern_regex
from infra.policies.files.vocabulary import closed, leaves
from service.cedar.values import parse_datetime, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from infra.policies.files.vocabulary import Environment, Schema, Type

LIMIT: Final = 4000
"""Combinations of one policy and kind of request; beyond, nothing is said but that they are many"""

Node = dict[str, Any]
_COMPARED: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "contains"})
_UNTIL: Final = "2000-01-01"
_OTHER: Final = object()  # a value that the policy does not mention
_STEPS: Final[Mapping[type, Any]] = {
    int: 1,
    datetime: timedelta(milliseconds=1),
    timedelta: timedelta(milliseconds=1),
}


class TooManyError(Exception):
    """There are more than ``LIMIT`` combinations."""


class AbsentError(Exception):
    """An attribute is read that is not there: Cedar leaves the policy out."""


class Conditions:
    """Evaluates expressions in one kind of request.

    Args:
        clauses: all that the policy compares, scope included.
        environment: the kind of request.
        schema: of the attributes.
        lenient: whether an attribute may be read that is not there, as if it were.
    """

    def __init__(
        self,
        clauses: Sequence[Node],
        environment: Environment,
        schema: Schema,
        *,
        lenient: bool = False,
    ) -> None:
        self._environment, self._schema, self._lenient = environment, schema, lenient
        self._compared: dict[str, set[Any]] = {}
        for clause in clauses:
            self._collect(clause)
        self._given: dict[str, Any] = {}
        self._trail: list[tuple[str, Sequence[Any], int]] = []
        self.seen: dict[int, set[bool]] = {}  # id of a node -> what it came to

    def each(self, evaluate: Callable[[], object]) -> None:
        """Call ``evaluate`` once for each combination of what it asks for.

        Raises:
            TooManyError: there are more than ``LIMIT``.
        """
        for _ in range(LIMIT):
            self._given = {key: options[at] for key, options, at in self._trail}
            evaluate()
            while self._trail and self._trail[-1][2] + 1 == len(self._trail[-1][1]):
                self._trail.pop()
            if not self._trail:
                return
            key, options, at = self._trail[-1]
            self._trail[-1] = (key, options, at + 1)
        raise TooManyError

    def holds(self, node: Node) -> bool:
        """Whether an expression is true in the present combination.

        Raises:
            AbsentError: it reads what is not there.
        """
        found = self._holds(node)
        self.seen.setdefault(id(node), set()).add(found)
        return found

    def _holds(self, node: Node) -> bool:  # noqa: C901, PLR0911, PLR0912 - one per operator
        ((operator, operand),) = node.items()
        match operator:
            case "&&":
                return self.holds(operand["left"]) and self.holds(operand["right"])
            case "||":
                return self.holds(operand["left"]) or self.holds(operand["right"])
            case "!":
                return not self.holds(operand["arg"])
            case "if-then-else":
                branch = "then" if self.holds(operand["if"]) else "else"
                return self.holds(operand[branch])
            case "Value" if isinstance(operand, bool):
                return operand
            case "has":
                return self._has(operand)
            case "==":
                return self._equal(operand["left"], operand["right"])
            case "!=":
                return not self._equal(operand["left"], operand["right"])
            case "<":
                return self._less(operand["left"], operand["right"])
            case ">":
                return self._less(operand["right"], operand["left"])
            case "<=":
                return not self._less(operand["right"], operand["left"])
            case ">=":
                return not self._less(operand["left"], operand["right"])
            case "in":
                return self._is_in(operand["left"], operand["right"])
            case "is":
                inside = operand.get("in")
                same = operand["entity_type"] == self._entity_type(operand["left"])
                return same and (inside is None or self._is_in(operand["left"], inside))
            case "like":
                return self._like(operand)
            case "contains" if "Set" in operand["left"]:
                return any(self._equal(operand["right"], one) for one in operand["left"]["Set"])
            case _:
                return self._open(node)

    # ---- what may be chosen ----------------------------------------------------------------------

    def _choose(self, key: str, options: Sequence[Any]) -> Any:
        if key not in self._given:
            self._trail.append((key, options, 0))
            self._given[key] = options[0]
        return self._given[key]

    def _open(self, node: Node) -> bool:
        """An expression that is followed no further."""
        self._require(node)
        return bool(self._choose(_key(node), (True, False)))

    def _has(self, operand: Mapping[str, Any]) -> bool:
        self._require(operand["left"])
        of = self._type(operand["left"])
        if of is not None and operand["attr"] not in self._schema.attributes(of):
            return False
        return bool(self._choose(f"has {_key(operand['left'])} {operand['attr']}", (True, False)))

    def _require(self, node: object) -> None:
        """Whatever the expression reads must be there."""
        if isinstance(node, list):
            for item in cast("list[object]", node):
                self._require(item)
        elif isinstance(node, dict):
            for operator, operand in cast("Node", node).items():
                self._require(operand)
                if operator == "." and not (self._has(operand) or self._lenient):
                    raise AbsentError

    def _value(self, node: Node) -> Any:
        """A literal's value, or one of those that tell something of the expression."""
        found = constant(node)
        if found is not None:
            return found
        self._require(node)
        key = _key(node)
        return self._choose(f"value {key}", self._options(node, key))

    def _options(self, node: Node, key: str) -> list[Any]:
        compared = self._compared.get(key, set())
        declared = self._type(node)
        every = None if declared is None else closed(declared)
        if every is not None:
            return sorted(every)
        for kind, step in _STEPS.items():
            if compared and all(type(one) is kind for one in compared):
                with suppress(OverflowError):  # next to the first or last moment there is
                    return sorted({one + by for one in compared for by in (-step, 0 * step, step)})
        return [*sorted(compared, key=str), _OTHER]

    # ---- operators -------------------------------------------------------------------------------

    def _equal(self, left: Node, right: Node) -> bool:
        for one, other in ((left, right), (right, left)):
            if "if-then-else" in one:
                choice = one["if-then-else"]
                return self._equal(choice["then" if self.holds(choice["if"]) else "else"], other)
        known = [side for side in (left, right) if constant(side) is not None]
        if not known:
            if _key(left) == _key(right):
                self._require(left)
                return True
            # Which of two attributes is on the left says nothing.
            pair = sorted((left, right), key=_key)
            return self._open({"==": {"left": pair[0], "right": pair[1]}})
        entity = next((_entity(side) for side in known if _entity(side)), None)
        other = right if left in known else left
        if entity is not None and len(known) == 1:
            if other.get("Var") == "action":
                return bool(entity[1] == self._environment.action)
            if self._entity_type(other) not in (None, entity[0]):
                self._require(other)
                return False
        return bool(self._value(left) == self._value(right))

    def _less(self, left: Node, right: Node) -> bool:
        one_known = constant(left) is not None or constant(right) is not None
        if one_known and not any("if-then-else" in side for side in (left, right)):
            one, other = self._value(left), self._value(right)
            if type(one) is type(other) and type(one) in _STEPS:
                return bool(one < other)
        elif _key(left) == _key(right):
            self._require(left)
            return False
        return self._open({"<": {"left": left, "right": right}})

    def _is_in(self, left: Node, right: Node) -> bool:
        if "Set" in right:
            return any(self._is_in(left, one) for one in right["Set"])
        entity = _entity(right)
        if entity is not None and left.get("Var") == "action":
            return entity[1] in self._schema.actions[self._environment.action]
        kind = self._entity_type(left)
        if entity is not None and kind is not None and not self._schema.holds(entity[0], kind):
            self._require(left)
            return False
        return self._open({"in": {"left": left, "right": right}})

    def _like(self, operand: Node) -> bool:
        value = self._value(operand["left"])
        if all(part == "Wildcard" for part in operand["pattern"]):
            return True
        if not isinstance(value, str):
            return self._open({"like": operand})
        return pattern_regex(operand["pattern"]).fullmatch(value) is not None

    # ---- types -----------------------------------------------------------------------------------

    def _type(self, node: Node) -> Type | None:
        environment, schema = self._environment, self._schema
        match node:
            case {"Var": "principal"}:
                return schema.entity(environment.principal)
            case {"Var": "resource"}:
                return schema.entity(environment.resource)
            case {"Var": "context"}:
                return environment.context
            case {".": {"left": left, "attr": attr}}:
                of = self._type(left)
                return None if of is None else schema.attributes(of).get(attr)
            case {"getTag": {"left": left}}:
                of = self._type(left)
                return None if of is None else schema.tag_type(of)
            case _:
                return None

    def _entity_type(self, node: Node) -> str | None:
        of = self._type(node)
        return None if of is None or of["type"] != "Entity" else self._schema.words(of, "")

    def _collect(self, node: object) -> None:
        """Note what each expression is compared with."""
        if isinstance(node, list):
            for item in cast("list[object]", node):
                self._collect(item)
        elif isinstance(node, dict):
            for operator, operand in cast("Node", node).items():
                if operator in _COMPARED:
                    sides = [*leaves(operand["left"]), *leaves(operand["right"])]
                    values = [found for side in sides if (found := constant(side)) is not None]
                    for side in sides:
                        if constant(side) is None:
                            self._compared.setdefault(_key(side), set()).update(values)
                self._collect(operand)


def constant(node: Node) -> Any:  # noqa: PLR0911 - one per form of literal
    """The value of a literal, or of a moment or duration made of literals; else ``None``."""
    match node:
        case {"Value": {"__entity": uid}}:
            return (uid["type"], uid["id"])
        case {"Value": value}:
            return value
        case {"datetime": [{"Value": text}]}:
            return parse_datetime(_UNTIL if text == "until" else text)
        case {"duration": [{"Value": text}]}:
            return parse_duration(text)
        case {"offset": [moment, by]}:
            start, step = constant(moment), constant(by)
            return None if start is None or step is None else start + step
        case {"neg": {"arg": {"Value": int(value)}}}:
            return -value
        case _:
            return None


def _entity(node: Node) -> tuple[str, str] | None:
    found = constant(node)
    return cast("tuple[str, str]", found) if isinstance(found, tuple) else None


def _key(node: object) -> str:
    return json.dumps(node, sort_keys=True)


def clauses_of(node: Node) -> Iterable[Node]:
    """The parts of a conjunction, each by itself; also of what is denied."""
    match node:
        case {"&&": {"left": left, "right": right}}:
            yield from clauses_of(left)
            yield from clauses_of(right)
        case {"!": {"arg": {"||": {"left": left, "right": right}}}}:
            yield from clauses_of({"!": {"arg": left}})
            yield from clauses_of({"!": {"arg": right}})
        case {"!": {"arg": {"!": {"arg": inner}}}}:
            yield from clauses_of(inner)
        case _:
            yield node
