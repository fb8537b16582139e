"""The resources of one stack in memory, in dependency order, and what changes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

_NAMES: Final = {
    "property_dependencies": "propertyDependencies",
    "additional_secret_outputs": "additionalSecretOutputs",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
}
"""Field -> name in Pulumi's deployment format (sdk/go/common/apitype, ResourceV3)."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the state knows it; ``inputs`` and ``outputs`` are wire values."""

    urn: str
    type: str
    custom: bool = True
    id: str = ""
    delete: bool = False
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: list[str] = field(default_factory=list[str])
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    additional_secret_outputs: list[str] = field(default_factory=list[str])
    retain_on_delete: bool = False
    deleted_with: str = ""
    created: str = ""
    modified: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other entries: a replaced one keeps its URN till it is deleted."""
        return f"{self.urn}!{self.id}" if self.delete else self.urn

    @property
    def is_managed(self) -> bool:
        """Whether a handler made it and must delete it."""
        return self.custom and not self.external and not self.type.startswith("pulumi:")

    def to_json(self) -> dict[str, Any]:
        """Encode as ResourceV3, secrets still wrapped; empty fields are left out."""
        fields = {_NAMES.get(name, name): value for name, value in vars(self).items()}
        return {
            name: value
            for name, value in fields.items()
            if value or name in ("urn", "type", "custom")
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Resource:
        """Decode a ResourceV3; fields that this engine does not keep are dropped."""
        names = {_NAMES.get(name, name): name for name in cls.__dataclass_fields__}
        return cls(**{names[name]: value for name, value in data.items() if name in names})


@dataclass(frozen=True)
class Pending:
    """An operation that was begun: ``kind`` is ``creating``, ``updating`` or ``deleting``."""

    kind: str
    resource: Resource


class Snapshot:
    """What is deployed.

    ``base`` is what earlier runs left, in their order; ``done`` is what this run has registered, in
    its order. Both are in dependency order, and nothing in ``done`` depends on ``base``: so is
    ``done`` followed by ``base``.
    """

    def __init__(self, resources: list[Resource], pending: list[Pending]) -> None:
        self.base = {resource.key: resource for resource in resources}
        self.done: dict[str, Resource] = {}
        self.pending = {operation.resource.urn: operation for operation in pending}

    def resources(self) -> list[Resource]:
        """Everything, each after what it depends on."""
        return [*self.done.values(), *self.base.values()]

    def begin(self, kind: str, resource: Resource) -> None:
        """Note that an operation on the resource is under way."""
        self.pending[resource.urn] = Pending(kind, resource)

    def abandon(self, urn: str) -> None:
        """Note that the operation ended without effect."""
        self.pending.pop(urn, None)

    def put(self, resource: Resource, was: str = "", *, replacing: bool = False) -> None:
        """Register the resource in its new state.

        Args:
            resource: The new state.
            was: Its URN so far, if an alias led to it.
            replacing: The former resource stays until it is deleted, at the end of this run or of a
                later one.
        """
        self.pending.pop(resource.urn, None)
        former = was or resource.urn
        if replacing:
            items = [
                replace(item, delete=True) if key == former else item
                for key, item in self.base.items()
            ]
            self.base = {item.key: item for item in items}
        else:
            self.base.pop(former, None)
        self.done[resource.urn] = resource

    def amend(self, resource: Resource) -> None:
        """Change the resource where it stands."""
        (self.done if resource.key in self.done else self.base)[resource.key] = resource

    def drop(self, key: str) -> None:
        """Forget the resource."""
        gone = self.base.pop(key, None) or self.done.pop(key, None)
        if gone:
            self.pending.pop(gone.urn, None)
