"""Least and most of a number in the configuration: said beside its default, checked as it is read.

A module of its own, so that each part may declare its table of the file beside what it is for.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from cedarfleet_device.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def between(least: float, most: float, default: float) -> Any:
    """A field of a configuration's dataclass with its bounds."""
    return field(default=default, metadata={"least": least, "most": most})


def check_bounds(value: Any, key: str, bounds: Mapping[str, float]) -> None:
    """Refuse a value out of its bounds.

    Raises:
        ConfigError: names the key and what would be right.
    """
    if bounds and not bounds["least"] <= value <= bounds["most"]:
        raise ConfigError(f"`{key}` is {value}, it must be {bounds['least']} to {bounds['most']}")
