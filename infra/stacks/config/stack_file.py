"""Reads a stack file's YAML, and refuses dates that the CLI keeps in part, and keys that double."""

from __future__ import annotations

import copy
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import yaml
from yaml.composer import ComposerError

from infra import names
from infra.policies.files.vocabulary import told
from infra.stacks.config.reading import MOMENT, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


REGION: Final = "aws:region"
PROJECT: Final = "cedarfleet"
# What the CLI itself reads and writes beside `config` (source: pulumi sdk/go/common/workspace,
# `ProjectStack`).
_KEYS: Final = frozenset(
    {"config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"}
)
# A part of what PyYAML says -> what would be right.
_SLIPS: Final = {
    "'\\t'": "indent with blanks, a tab is none",
    "mapping values are not allowed": (
        "a text with `: ` in it stands in quotes, and a key begins in the column of those beside it"
    ),
    "<block mapping start>": "a key begins in the column of those beside it",
    "'<block sequence start>'": "a list's entries begin in one column",
    "that cannot start any token": "a text that begins with it stands in quotes",
    "'<scalar>'": "a text with quotes in it stands in quotes whole",
}


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which PyYAML would silently keep the last.

    A second `grants:` would take away what the first one gives. "Mapping keys must be unique"
    (source: YAML 1.2.2, 3.2.1.1); the CLI's reader, Go's yaml.v3, refuses it too.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """As every mapping; here no merge key (`<<`) has been resolved yet."""
        node = super().compose_mapping_node(anchor)
        first: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in first:
                words = f"the key `{key.value}` stands a second time"
                raise ComposerError("after one", first[key.value], words, key.start_mark)
            first[key.value] = key.start_mark
        return node


def shown(stack: str) -> str:
    """The path of a stack's file, from the project's folder."""
    return f"tenants/Pulumi.{stack}.yaml"


def load(root: Path, stack: str) -> dict[str, Any]:
    """What the stack's file holds under `config`.

    Args:
        root: the project's folder.
        stack: its name.

    Raises:
        ConfigError: no UTF-8, no YAML, a key that stands twice, no `config`, or a date or time
            without its offset that is not in quotes. YAML makes it one of UTC, and the CLI hands it
            on so: nobody could tell any more that the offset was forgotten.
        FileNotFoundError: there is no such file.
    """
    file = shown(stack)
    try:
        data = _parsed((root / file).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(_no_yaml(file, error)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8: save it as UTF-8") from error
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


def unknown_keys(root: Path, stack: str) -> Iterator[str]:
    """Says of each key of a stack's file that nobody reads it.

    Raises:
        ConfigError: as `load`.
    """
    file, config = shown(stack), load(root, stack)
    ours = f"{PROJECT}:{'platform' if stack == names.PLATFORM_STACK else 'tenant'}"
    data = _parsed((root / file).read_text(encoding="utf-8"))
    for key in sorted(map(str, data.keys() - _KEYS)):
        yield f"{file}: {key}: unknown key{told(key, _KEYS, has='known are')}"
    for key in sorted(map(str, config.keys() - {ours, REGION})):
        if key.partition(":")[0] in {PROJECT, key}:  # `aws:...` and others are a provider's own
            yield f"{file}: config.{key}: unknown key{told(key, {ours, REGION}, has='known are')}"


def _parsed(text: str) -> Any:
    """What the text says, to keep and to change: parsed once, a copy for each who asks."""
    return copy.deepcopy(_parsed_once(text))


# A check of two tenants reads its three files 56 times, which was a third of its CPU.
@lru_cache(maxsize=256)
def _parsed_once(text: str) -> Any:
    return yaml.load(text, _EachKeyOnce)  # noqa: S506 - a safe one


def _no_yaml(file: str, error: yaml.YAMLError) -> str:
    """Where the reader stopped and why, in one line: `tenants/Pulumi.a.yaml:7: is not YAML: ...`.

    The mark is where YAML no longer made sense; what it was reading began at the context's.
    """
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{file}: is not YAML: {' '.join(str(error).split())}"
    at, begun = error.problem_mark, error.context_mark
    words = f"{file}:{at.line + 1}: is not YAML: {error.problem} at column {at.column + 1}"
    if begun is not None and begun.line != at.line:
        words += f", {error.context} that begins in line {begun.line + 1}"
    meant = next((right for found, right in _SLIPS.items() if found in (error.problem or "")), None)
    return f"{words}: {meant}" if meant else words


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
