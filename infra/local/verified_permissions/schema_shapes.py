"""What a JSON schema declares for a type or an action, as far as token claims need to know."""

from __future__ import annotations

from typing import Any, cast

Record = dict[str, dict[str, Any]]  # attribute name -> declared type


class SchemaShapes:
    """A parsed JSON schema that Cedar has accepted."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def expanded_size(self) -> int:
        """How many types there are once every reference to a common type is written out.

        Raises:
            RecursionError: common types refer to each other hundreds deep.
        """
        total, known = 0, dict[tuple[str, str], int]()
        for namespace, content in self._schema.items():
            for entity in content.get("entityTypes", {}).values():
                total += self._size(entity.get("shape"), namespace, known) + self._size(
                    entity.get("tags"), namespace, known
                )
            for action in content.get("actions", {}).values():
                total += self._size(
                    (action.get("appliesTo") or {}).get("context"), namespace, known
                )
        return total

    def entity_attributes(self, entity_type: str) -> Record | None:
        """The declared attributes of ``Namespace::Type``; None when the type is not declared."""
        namespace, name = _split(entity_type)
        declared = self._schema.get(namespace, {}).get("entityTypes", {}).get(name)
        if declared is None:
            return None
        return self._record(declared.get("shape", {"type": "Record", "attributes": {}}), namespace)

    def context_attributes(self, action_type: str, action_id: str) -> Record:
        """The declared context of an action; empty when it declares none."""
        namespace, _ = _split(action_type)
        action = self._schema.get(namespace, {}).get("actions", {}).get(action_id) or {}
        applies = action.get("appliesTo") or {}
        return self._record(applies.get("context", {"type": "Record", "attributes": {}}), namespace)

    def record_attributes(self, declared: dict[str, Any], near: str) -> Record:
        """The attributes of a declared record type; empty for any other type."""
        return self._record(declared, _split(near)[0])

    def resolve(self, declared: dict[str, Any], near: str) -> dict[str, Any]:
        """A declared type, its common types followed; ``near`` is a name of the same namespace."""
        return self._resolve(declared, _split(near)[0])

    def _size(self, declared: object, namespace: str, known: dict[tuple[str, str], int]) -> int:
        if not isinstance(declared, dict):
            return 0
        members = cast("dict[str, Any]", declared)
        inner: list[Any] = [members.get("element")]
        if isinstance(attributes := members.get("attributes"), dict):
            inner.extend(cast("dict[str, Any]", attributes).values())
        size = 1 + sum(self._size(item, namespace, known) for item in inner)
        name = (
            members.get("name") if members.get("type") == "EntityOrCommon" else members.get("type")
        )
        if isinstance(name, str) and (found := self._common(name, namespace)) is not None:
            key = (found[1], name.rpartition("::")[2])
            if key not in known:
                known[key] = 0  # a cycle, which Cedar refuses
                known[key] = self._size(found[0], found[1], known)
            size += known[key]
        return size

    def _record(self, declared: dict[str, Any], namespace: str) -> Record:
        resolved = self._resolve(declared, namespace)
        attributes = resolved.get("attributes")
        return (
            attributes if resolved.get("type") == "Record" and isinstance(attributes, dict) else {}
        )

    def _resolve(self, declared: dict[str, Any], namespace: str) -> dict[str, Any]:
        # Cedar refuses cyclic common types, so this ends.
        while True:
            name = (
                declared.get("name")
                if declared.get("type") == "EntityOrCommon"
                else declared.get("type")
            )
            if not isinstance(name, str):
                return declared
            found = self._common(name, namespace)
            if found is None:
                return declared
            declared, namespace = found

    def _common(self, name: str, namespace: str) -> tuple[dict[str, Any], str] | None:
        inside, bare = _split(name) if "::" in name else (namespace, name)
        for candidate in (inside, ""):
            found = self._schema.get(candidate, {}).get("commonTypes", {}).get(bare)
            if found is not None:
                return found, candidate
        return None


def _split(name: str) -> tuple[str, str]:
    namespace, _, bare = name.rpartition("::")
    return namespace, bare
