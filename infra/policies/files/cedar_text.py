"""Writes an expression of Cedar's JSON form as a policy file would, for messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_INFIX: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*"})
_LOGICAL: Final = frozenset({"&&", "||"})
_METHODS: Final = frozenset({"contains", "containsAll", "containsAny", "hasTag", "getTag"})
_FUNCTIONS: Final = frozenset({"ip", "decimal", "datetime", "duration"})


def expression_text(node: Mapping[str, Any]) -> str:  # noqa: C901, PLR0911, PLR0912 - one per form
    """The expression on one line."""
    ((operator, operand),) = node.items()
    if operator == "Value":
        return _literal(operand)
    if operator in ("Var", "Slot"):
        return str(operand)
    if operator in _INFIX or operator in _LOGICAL:
        left, right = (_inner(operand[side], operator) for side in ("left", "right"))
        return f"{left} {operator} {right}"
    if operator in _METHODS:
        return f"{_inner(operand['left'], '.')}.{operator}({expression_text(operand['right'])})"
    match operator:
        case "!":
            return f"!{_inner(operand['arg'], '!')}"
        case "neg":
            return f"-{_inner(operand['arg'], '!')}"
        case ".":
            return f"{_inner(operand['left'], '.')}{attribute_text(operand['attr'])}"
        case "has":
            name = operand["attr"]
            shown = name if name.isidentifier() else json.dumps(name)
            return f"{_inner(operand['left'], '.')} has {shown}"
        case "is":
            within = f" in {expression_text(operand['in'])}" if "in" in operand else ""
            return f"{expression_text(operand['left'])} is {operand['entity_type']}{within}"
        case "like":
            return f'{_inner(operand["left"], ".")} like "{pattern_text(operand["pattern"])}"'
        case "if-then-else":
            parts = [expression_text(operand[part]) for part in ("if", "then", "else")]
            return "if {} then {} else {}".format(*parts)
        case "Set":
            return f"[{', '.join(map(expression_text, operand))}]"
        case "Record":
            members = (f'"{name}": {expression_text(value)}' for name, value in operand.items())
            return f"{{{', '.join(members)}}}"
        case _:
            return _call(operator, operand)


def attribute_text(name: str) -> str:
    """``.kind``, or ``["custom:region"]`` of a name that is no word."""
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name)}]"


def pattern_text(parts: list[Any]) -> str:
    """The pattern of a ``like``."""
    return "".join("*" if part == "Wildcard" else _escaped(part["Literal"]) for part in parts)


def pattern_regex(parts: list[Any]) -> re.Pattern[str]:
    """What a text must match in full, to be ``like`` the pattern."""
    written = (".*" if part == "Wildcard" else re.escape(part["Literal"]) for part in parts)
    return re.compile("".join(written), re.DOTALL)


def _call(operator: str, operand: Any) -> str:
    if not isinstance(operand, list) or not operand:
        return f"{operator}(...)"
    if operator in _FUNCTIONS:
        return f"{operator}({', '.join(map(expression_text, operand))})"
    on, *arguments = operand
    return f"{_inner(on, '.')}.{operator}({', '.join(map(expression_text, arguments))})"


def _inner(node: Mapping[str, Any], outer: str) -> str:
    (operator,) = node
    bare = outer in _LOGICAL and (operator == outer or operator not in _LOGICAL | {"if-then-else"})
    loose = operator in _INFIX | _LOGICAL | {"has", "is", "like", "if-then-else"}
    return expression_text(node) if bare or not loose else f"({expression_text(node)})"


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        uid: dict[str, str] = value.get("__entity", {})  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return f'{uid.get("type")}::"{uid.get("id")}"'
    return json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("*", "\\*")
