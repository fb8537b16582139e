"""Reads what the engine has written down of a stamped stack; imported by tests, not collected."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Stamped:
    """A resource of a stack's state: type, logical name, inputs, and names it waited for."""

    kind: str
    name: str
    inputs: dict[str, Any]
    after: frozenset[str]


def resources(root: Path, stack: str) -> list[Stamped]:
    """The AWS resources of a stack of the project in `root`."""
    state = json.loads((root / "state" / "stacks" / "cedarfleet" / f"{stack}.json").read_text())
    return [
        Stamped(
            kind=one["type"],
            name=_name(one["urn"]),
            inputs=one.get("inputs", {}),
            after=frozenset(_name(urn) for urn in one.get("dependencies", ())),
        )
        for one in state["deployment"]["resources"]
        if one["type"].startswith("aws:")
    ]


def _name(urn: str) -> str:
    kind, name = urn.split("::")[2:]
    return f"{kind.rpartition(':')[2]} {name}"
