"""Reads the YAML of a stack file, and refuses the dates of which the CLI would keep only a part."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

import yaml

from infra.stacks.config.reading import MOMENT, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def shown(stack: str) -> str:
    """The path of a stack's file, from the project's folder."""
    return f"tenants/Pulumi.{stack}.yaml"


def load(root: Path, stack: str) -> dict[str, Any]:
    """What the stack's file holds under `config`.

    Args:
        root: the project's folder.
        stack: its name.

    Raises:
        ConfigError: no YAML, no `config`, or a date or time without its offset that is not in
            quotes. YAML makes it one of UTC, and the CLI hands it on so: nobody could tell any
            more that the offset was forgotten.
        FileNotFoundError: there is no such file.
    """
    file = shown(stack)
    try:
        data: Any = yaml.safe_load((root / file).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is not YAML: {error}") from error
    config: Any = data.get("config") if isinstance(data, dict) else None
    if not isinstance(config, dict):
        raise ConfigError(f"{file}: must hold a mapping `config`")
    for key, value in cast("dict[str, Any]", config).items():
        for path, moment in _without_offset(value):
            raise ConfigError(
                f"{file}: {key}{path}: `{moment.isoformat()}` has no offset: write a moment such "
                f"as {MOMENT}, and a text in quotes"
            )
    return cast("dict[str, Any]", config)


def _without_offset(value: Any) -> Iterator[tuple[str, date]]:
    if isinstance(value, date):
        if not isinstance(value, datetime) or value.tzinfo is None:
            yield "", value
        return
    parts: Iterator[tuple[str, Any]] = iter(())
    if isinstance(value, dict):
        parts = ((f".{key}", item) for key, item in cast("dict[Any, Any]", value).items())
    elif isinstance(value, list):
        parts = ((f"[{index}]", item) for index, item in enumerate(cast("list[Any]", value)))
    for path, item in parts:
        for below, moment in _without_offset(item):
            yield path + below, moment
