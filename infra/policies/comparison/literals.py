"""Reads from conditions which attributes they look at, and what they compare them with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from service.cedar.statement import statement_est
from service.cedar.values import parse_datetime, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Literals:
    """Of one statement, or of several together.

    Attributes:
        texts: attribute, e.g. ``context.command`` or ``principal.custom:region`` -> the texts that
            stand in a statement which reads it; of a pattern of ``like`` one that fits.
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
    whole = Literals()
    for statement in statements:
        reader = _Reader()
        reader.walk(statement_est(statement)["conditions"])
        for attribute in reader.attributes:
            whole.texts.setdefault(attribute, set()).update(reader.texts)
            whole.numbers.setdefault(attribute, set()).update(reader.numbers)
        whole.moments.update(parse_datetime(text) for text in reader.calls["datetime"])
        whole.durations.update(parse_duration(text) for text in reader.calls["duration"])
        whole.addresses.update(text.partition("/")[0] for text in reader.calls["ip"])
    return whole


class _Reader:
    """Collects from Cedar's JSON form of conditions."""

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.texts: set[str] = set()
        self.numbers: set[int] = set()
        self.calls: dict[str, set[str]] = {
            "datetime": set(),
            "duration": set(),
            "ip": set(),
            "decimal": set(),
        }

    def walk(self, node: object) -> None:
        if isinstance(node, list):
            for item in cast("list[object]", node):
                self.walk(item)
        if not isinstance(node, dict):
            return
        for operator, operand in cast("dict[str, Any]", node).items():
            if operator in (".", "has"):
                self.attributes.add(f"{_path(operand['left'])}.{operand['attr']}")
            if operator == "Value" and isinstance(operand, str):
                self.texts.add(operand)
            elif operator == "Value" and type(operand) is int:
                self.numbers.add(operand)
            elif operator == "like":
                self.texts.add(
                    "".join(
                        "x" if part == "Wildcard" else part["Literal"]
                        for part in operand["pattern"]
                    )
                )
                self.walk(operand["left"])
            elif operator in self.calls:
                self.calls[operator].update(argument["Value"] for argument in operand)
            else:
                self.walk(operand)


def _path(node: dict[str, Any]) -> str:
    """``context.token`` of an access to its attributes; without dots for what is no attribute."""
    if "." in node:
        return f"{_path(node['.']['left'])}.{node['.']['attr']}"
    return str(node.get("Var", "?"))
