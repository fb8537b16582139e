"""A resource as a program declares it, of which a rule reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn


class UnknownYetError(Exception):
    """A rule reads what only the update will tell; it is asked again then, before anything is made.

    Under the real CLI pulumi-policy raises an error of its own, with the same meaning.
    """


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a rule sees.

    Attributes:
        kind: type token, e.g. `aws:s3/bucket:Bucket`.
        name: logical name.
        inputs: in camelCase, secrets unwrapped.
        protect: whether Pulumi refuses to delete it.
        tags: default tags of its provider; none: a provider that has none.
        refers_to: logical names of resources that its inputs come from.
    """

    kind: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool = False
    tags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refers_to: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        """Type and name as an operator reads them, e.g. `Bucket artifacts-bucket`."""
        return f"{self.kind.rpartition(':')[2]} {self.name}"


class _Unknown:
    """Stands for a value that is not known; whoever looks into it is told."""


_UNKNOWN = _Unknown()


class _Known(dict[str, Any]):
    """A mapping whose unknown members raise when they are read."""

    def __getitem__(self, key: str) -> Any:
        return _read(super().__getitem__(key))

    def get(self, key: str, default: Any = None) -> Any:  # type: ignore[override]  # as dict's
        return _read(super().get(key, default))


class _Row(list[Any]):
    """A list that raises when an unknown item is read."""

    def __getitem__(self, index: Any) -> Any:
        return _read(super().__getitem__(index))

    def __iter__(self) -> Any:
        return map(_read, super().__iter__())


def _read(value: Any) -> Any:
    return _raise() if value is _UNKNOWN else value


def _raise() -> NoReturn:
    raise UnknownYetError


def plain(value: Any, *, unknown: str) -> Any:
    """The value, in which a read of what equals `unknown` raises.

    Args:
        value: JSON.
        unknown: how the engine writes what only the update will tell.
    """
    if value == unknown:
        return _UNKNOWN
    if isinstance(value, Mapping):
        return _Known({key: plain(item, unknown=unknown) for key, item in value.items()})
    if isinstance(value, list):
        return _Row(plain(item, unknown=unknown) for item in value)
    return value
