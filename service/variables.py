"""Members of settings as variables of the environment: their names, types, ranges and remedies."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from service.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Variable:
    """Where a member is read from, and what it may be.

    Attributes:
        name: of the environment variable.
        least: the smallest number.
        most: the largest number.
        remedy: what the operator should give, for a member without a default.
    """

    name: str
    least: float = 0
    most: float = math.inf
    remedy: str = ""


def members(group: type[Any]) -> Iterator[tuple[str, object, Variable]]:
    """Name, type and variable of each member of a group of settings."""
    for name, hint in get_type_hints(group, include_extras=True).items():
        kind, variable = get_args(hint)
        yield name, kind, variable


def read(group: type[Any], environment: Mapping[str, str]) -> Any:
    """One group of settings; an empty variable counts as unset.

    Raises:
        ConfigurationError: a variable is missing, not of its form or out of its range.
    """
    defaults = {member.name: member.default for member in fields(group)}
    values: dict[str, Any] = {}
    for name, kind, variable in members(group):
        if text := environment.get(variable.name):
            values[name] = _parsed(variable, text, kind)
        elif defaults[name] is MISSING:
            raise ConfigurationError(f"{variable.name} is not set: {variable.remedy}")
    return group(**values)


def _parsed(variable: Variable, text: str, kind: object) -> object:
    if kind is not int and kind is not float:
        return text
    try:
        number = int(text) if kind is int else float(text)
    except ValueError as error:
        raise ConfigurationError(f"{variable.name} must be a number, not `{text[:40]}`") from error
    # `nan` is neither in nor out of a range: the comparison must be one that it fails.
    if not 0 <= number < math.inf:
        raise ConfigurationError(
            f"{variable.name} must be a number of at least 0, not `{text[:40]}`"
        )
    if not variable.least <= number <= variable.most:
        raise ConfigurationError(
            f"{variable.name} must be {variable.least} to {variable.most}, not {number}"
        )
    return number
