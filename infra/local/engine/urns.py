"""Names of resources: ``urn:pulumi:<stack>::<project>::<parent type>$<type>::<name>``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulumi.runtime.proto.alias_pb2 import Alias

STACK_TYPE: Final = "pulumi:pulumi:Stack"


def make(stack: str, project: str, parent: str, kind: str, name: str) -> str:
    """Build a URN; the types of the parents lead, except the stack's own."""
    chain = type_chain(parent) if parent else ""
    qualified = f"{chain}${kind}" if chain and chain != STACK_TYPE else kind
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def type_chain(urn: str) -> str:
    """The resource's type with its parents' types, as ``parent$child``."""
    return urn.split("::", 3)[2]


def name_of(urn: str) -> str:
    """The logical name."""
    return urn.split("::", 3)[3]


def kind_and_name(urn: str) -> str:
    """Type and logical name, without the types of the parents."""
    _, _, kind, name = urn.split("::", 3)
    return f"{kind.split('$')[-1]} {name}"


class Aliases:
    """Former URNs of what the program registers, with those inherited from a parent's."""

    def __init__(self, stack: str, project: str) -> None:
        self._stack = stack
        self._project = project
        self._known: dict[str, list[str]] = {}

    def of(self, urn: str, parent: str, kind: str, name: str, aliases: list[Alias]) -> list[str]:
        """Return the former URNs of a resource, and remember them for its children."""
        own = [former for alias in aliases for former in self._of_alias(alias, parent, kind, name)]
        inherited = [
            make(
                self._stack,
                self._project,
                former,
                kind,
                _renamed(name, name_of(parent), name_of(former)),
            )
            for former in self._known.get(parent, [])
        ]
        self._known[urn] = list(dict.fromkeys(own + inherited))
        return self._known[urn]

    def _of_alias(self, alias: Alias, parent: str, kind: str, name: str) -> Iterator[str]:
        if alias.urn:
            yield alias.urn
            return
        spec = alias.spec
        above = "" if spec.noParent else (spec.parentUrn or parent)
        for former in [
            above,
            *([] if spec.parentUrn or spec.noParent else self._known.get(parent, [])),
        ]:
            yield make(
                spec.stack or self._stack,
                spec.project or self._project,
                former,
                spec.type or kind,
                spec.name or name,
            )


def _renamed(name: str, parent: str, former: str) -> str:
    """A child named after its parent had the parent's former name, as Pulumi's engine infers."""
    return former + name.removeprefix(parent) if name.startswith(parent) else name
