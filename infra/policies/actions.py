"""Which actions a policy's scope reaches: the schema's action groups written out."""

from __future__ import annotations

import json
from typing import Any


class Actions:
    """The actions of a schema and the groups that they are in."""

    def __init__(self, schema_json: str) -> None:
        declared: dict[str, Any] = json.loads(schema_json)["Fleet"]["actions"]
        self._parents = {
            name: {str(parent["id"]) for parent in action.get("memberOf", ())}
            for name, action in declared.items()
        }
        self._asked = frozenset(name for name, action in declared.items() if "appliesTo" in action)

    def of_group(self, group: str) -> frozenset[str]:
        """The actions that can be asked for, of an action group or of one action, by name."""
        return frozenset(name for name in self._asked if group in self._with_ancestors(name))

    def of(self, scope: dict[str, Any]) -> frozenset[str]:
        """The actions that the action scope of a policy in Cedar's JSON form reaches."""
        if scope["op"] == "All":
            return self._asked
        named: list[dict[str, str]] = (
            scope["entities"] if "entities" in scope else [scope["entity"]]
        )
        return frozenset[str]().union(*(self.of_group(entity["id"]) for entity in named))

    def _with_ancestors(self, name: str) -> set[str]:
        return {name}.union(*(self._with_ancestors(parent) for parent in self._parents[name]))
