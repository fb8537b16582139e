"""DynamoDB: queries that take as long as what they look at."""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.cloud.emulator import Emulator

_DYNAMODB: Final = "services.dynamodb"
_SLOT: Final = "KeyConditionExpression"
_NAME: Final = r"(#?\w+)"
_VALUE: Final = r"(:\w+)"
_OF_KEYS: Final = re.compile(
    rf"{_NAME} = {_VALUE}"
    rf"(?: AND (?:begins_with\({_NAME}, {_VALUE}\)|{_NAME} (=|<|<=|>|>=) {_VALUE}))?"
)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "begins_with": str.startswith,
}


def conditions_of_keys_are_read_once(emulator: Emulator) -> None:
    """Read the condition of a query once; the emulator parses it anew for each row of a partition.

    A tenant of 10,000 devices has 20,000 rows in one: each look at one device took half a second.
    """

    def correction(original: Any) -> Any:
        # By name: an expression that has passed all of the emulator's checks.
        passed: set[str] = set()

        def evaluate(
            expression: str,
            item: dict[str, Any],
            values: dict[str, Any],
            names: dict[str, str],
            slot: str = "ConditionExpression",
        ) -> Any:
            parts = _parts(expression) if slot == _SLOT else None
            if parts is None or expression not in passed:
                answer = original(expression, item, values, names, slot=slot)
                if parts is not None:
                    passed.add(expression)
                return answer
            for name, compare, value in parts:
                given = item.get(names.get(name, name), {}).get("S")
                wanted = values[value].get("S")
                if given is None or wanted is None:  # numbers and bytes: the emulator's own way
                    return original(expression, item, values, names, slot=slot)
                # As UTF-8, which orders as code points do.
                if not compare(given, wanted):
                    return False
            return True

        return evaluate

    emulator.replace(_DYNAMODB, "_evaluate_condition", correction)


@lru_cache(maxsize=256)
def _parts(
    expression: str,
) -> tuple[tuple[str, Callable[[Any, Any], bool], str], ...] | None:
    """Names, comparisons and values of a condition of the forms that the product asks by."""
    found = _OF_KEYS.fullmatch(expression)
    if found is None:
        return None
    name, value, prefixed, prefix, compared, how, bound = found.groups()
    parts = [(name, _COMPARISONS["="], value)]
    if prefixed:
        parts.append((prefixed, _COMPARISONS["begins_with"], prefix))
    elif compared:
        parts.append((compared, _COMPARISONS[how], bound))
    return tuple(parts)
