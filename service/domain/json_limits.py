"""JSON from outside, bounded to what answers, DynamoDB and a device's parser can say again."""

from __future__ import annotations

import math
from typing import Any, Final, cast

MAX_DEPTH: Final = 32
"""Objects and arrays inside each other, the outermost counted."""

MAX_INTEGER: Final = 2**63 - 1


def problem_of(document: object) -> str | None:
    """What keeps ``document``, parsed JSON, from being said again; ``None`` if nothing does."""
    level: list[object] = [document]
    for depth in range(MAX_DEPTH + 1):
        problem = next(filter(None, map(_problem, level)), None)
        if (
            problem is None
            and depth == MAX_DEPTH
            and any(isinstance(value, dict | list) for value in level)
        ):
            problem = f"is nested more than {MAX_DEPTH} levels deep"
        if problem:
            return problem
        level = [inner for value in level for inner in _inside(value)]
    return None


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        members = cast("dict[Any, object]", value)
        return [*members.keys(), *members.values()]
    return cast("list[object]", value) if isinstance(value, list) else []


def _problem(value: object) -> str | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half a character (a lone surrogate)"
    elif isinstance(value, float) and not math.isfinite(value):
        return "holds a number that JSON cannot say"
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "holds an integer of more than 64 bits"
    return None
