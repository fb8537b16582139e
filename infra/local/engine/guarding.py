"""Rules of the caller's, asked of each resource before it is made, and of the stack as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from infra.local.engine.urns import name_of
from infra.local.engine.values import UNKNOWN, for_handler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.engine.snapshot import Resource

UNKNOWN_INPUT: Final = UNKNOWN
"""What stands in the inputs of a preview for what only the update will tell."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a rule is asked about.

    Attributes:
        urn: of the resource.
        type: its type token.
        name: its logical name.
        inputs: as the program declares them, in camelCase; in a preview, `UNKNOWN_INPUT` where a
            value is not known.
        protect: whether it must not be deleted.
        tags: default tags of its provider.
        refers_to: logical names of what its inputs come from.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool
    tags: Mapping[str, str]
    refers_to: frozenset[str]

    @classmethod
    def of(cls, resource: Resource, tags: Mapping[str, str]) -> Asked:
        """What is asked about a resource of the program."""
        urns = {urn for known in resource.property_dependencies.values() for urn in known}
        return cls(
            urn=resource.urn,
            type=resource.type,
            name=name_of(resource.urn),
            inputs=for_handler(resource.inputs),
            protect=resource.protect,
            tags=tags,
            refers_to=frozenset(map(name_of, urns)),
        )


class Guard(Protocol):
    """Says what is wrong, in words; nothing: let it be made."""

    def of_resource(self, asked: Asked, /) -> Sequence[str]:
        """What is wrong with one resource."""
        ...

    def of_stack(self, asked: Sequence[Asked], /) -> Sequence[tuple[Asked, str]]:
        """What is wrong with the resources of a stack together, each with the one it is of."""
        ...


class NoGuard:
    """Lets everything be made: for programs that are not ours."""

    def of_resource(self, asked: Asked, /) -> Sequence[str]:
        """Nothing is wrong."""
        del asked
        return ()

    def of_stack(self, asked: Sequence[Asked], /) -> Sequence[tuple[Asked, str]]:
        """Nothing is wrong."""
        del asked
        return ()
