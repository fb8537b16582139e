"""Reads from conditions which attributes they look at, and what they compare them with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from infra.policies.files.vocabulary import leaves
from service.cedar.statement import statement_est
from service.cedar.values import parse_datetime, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMPARISONS: Final = frozenset({"==", "!=", "contains", "containsAll", "containsAny"})


@dataclass(frozen=True, kw_only=True)
class Literals:
    """Of one statement, or of several together.

    Attributes:
        texts: attribute, e.g. ``context.command`` or ``principal.custom:region``, or tag, e.g.
            ``resource#building`` -> the texts that it is compared with, also by way of another
            attribute that it is compared with; of a pattern of ``like`` one that fits. A text that
            is compared with no attribute counts for all attributes of its statement.
        numbers: attribute -> integers, likewise.
        moments: in ``datetime("...")``.
        durations: in ``duration("...")``.
        addresses: in ``ip("...")``, without the length of a range.
    """

    texts: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    numbers: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    moments: set[datetime] = field(default_factory=set[datetime])
    durations: set[timedelta] = field(default_factory=set[timedelta])
    addresses: set[str] = field(default_factory=set[str])

    def reads(self, attribute: str) -> bool:
        """Whether a statement reads the attribute, or asks if it is there."""
        return attribute in self.texts

    def edges(self) -> set[datetime]:
        """Moments at which an answer may change: those named, and a named duration from them."""
        return self.moments | {
            moment + duration for moment in self.moments for duration in self.durations
        }


def literals(statements: Iterable[str]) -> Literals:
    """What the statements look at, all together."""
    whole, alike = Literals(), set[frozenset[str]]()
    for statement in statements:
        reader = _Reader()
        reader.walk(statement_est(statement)["conditions"])
        for attribute in reader.attributes:
            paired = reader.paired.get(attribute, set())
            whole.texts.setdefault(attribute, set()).update(reader.texts | paired)
            whole.numbers.setdefault(attribute, set()).update(reader.numbers)
        whole.moments.update(parse_datetime(text) for text in reader.calls["datetime"])
        whole.durations.update(parse_duration(text) for text in reader.calls["duration"])
        whole.addresses.update(text.partition("/")[0] for text in reader.calls["ip"])
        alike |= reader.alike
    for _ in alike:  # from one to the next, as many as there are
        for pair in alike:
            together = set[str]().union(*(whole.texts[attribute] for attribute in pair))
            for attribute in pair:
                whole.texts[attribute] |= together
    return whole


class _Reader:
    """Collects from Cedar's JSON form of conditions."""

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.paired: dict[str, set[str]] = {}  # attribute -> texts that it is compared with
        self.alike: set[frozenset[str]] = set()  # attributes that are compared with each other
        self._of_pairs: set[int] = set()  # the nodes of these texts
        self.texts: set[str] = set()
        self.numbers: set[int] = set()
        self.calls: dict[str, set[str]] = {
            "datetime": set(),
            "duration": set(),
            "ip": set(),
            "decimal": set(),
        }
        self._readers = {"like": self._like, "hasTag": self._tag, "getTag": self._tag}

    def walk(self, node: object) -> None:
        if isinstance(node, list):
            for item in cast("list[object]", node):
                self.walk(item)
        if not isinstance(node, dict):
            return
        for operator, operand in cast("dict[str, Any]", node).items():
            if operator in (".", "has"):
                self.attributes.add(f"{_path(operand['left'])}.{operand['attr']}")
            if operator in _COMPARISONS:
                self._pair(operand["left"], operand["right"])
            if operator == "Value":
                self._value(node, operand)
            elif operator in self._readers:
                self._readers[operator](operand)
            elif operator in self.calls:
                self.calls[operator].update(argument["Value"] for argument in operand)
            else:
                self.walk(operand)

    def _tag(self, operand: dict[str, Any]) -> None:
        self.attributes.add(_path({"getTag": operand}))
        self.walk(operand["left"])

    def _value(self, node: object, value: object) -> None:
        if isinstance(value, str) and id(node) not in self._of_pairs:
            self.texts.add(value)
        elif type(value) is int:
            self.numbers.add(value)

    def _like(self, operand: dict[str, Any]) -> None:
        parts = operand["pattern"]
        fits = "".join("x" if part == "Wildcard" else part["Literal"] for part in parts)
        read = [_path(leaf) for leaf in leaves(operand["left"]) if _is_read(leaf)]
        for attribute in read:
            self.paired.setdefault(attribute, set()).add(fits)
        self.texts |= set() if read else {fits}
        self.walk(operand["left"])

    def _pair(self, *sides: dict[str, Any]) -> None:
        """Note which attributes are compared with which texts, and with each other."""
        compared = [leaf for side in sides for leaf in leaves(side)]
        read = {_path(leaf) for leaf in compared if _is_read(leaf)}
        texts = [leaf for leaf in compared if isinstance(leaf.get("Value"), str)]
        if not read:
            return
        self._of_pairs |= set(map(id, texts))
        for attribute in read:
            self.paired.setdefault(attribute, set()).update(leaf["Value"] for leaf in texts)
        self.alike.add(frozenset(read))


def _is_read(node: dict[str, Any]) -> bool:
    """Whether an expression reads an attribute or a tag."""
    return "." in node or "getTag" in node


def _path(node: dict[str, Any]) -> str:
    """``context.token`` of an access to its attributes; without dots for what is no attribute."""
    if "getTag" in node:
        return f"{_path(node['getTag']['left'])}#{node['getTag']['right'].get('Value')}"
    if "." in node:
        return f"{_path(node['.']['left'])}.{node['.']['attr']}"
    return str(node.get("Var", "?"))
