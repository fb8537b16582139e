"""What a tenant's policies are, as values: what goes in, what is stamped, and what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

Effect = Literal["permit", "forbid"]

_ENTITY_LITERAL: Final = re.compile(r'(?P<type>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)::"(?P<id>[^"\\]+)"')


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One link of a template that a tenant asks for.

    Attributes:
        id: unique among the tenant's policies, e.g. ``line-press-certified``.
        template: name of a file in ``policies/templates``, without its ending.
        principal: who, as in a policy file: ``Fleet::Group::"certified-line-press"`` or ``Fleet::User::"<sub>"``.
        resource: where, as in a policy file: ``Fleet::DeviceGroup::"line-press"`` or ``Fleet::Device::"press-07"``.
        until: end of the grant, with a time zone; needed by a template that says ``datetime("until")``, refused by
            the others.
    """

    id: str
    template: str
    principal: str
    resource: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TenantPolicies:
    """What one tenant adds to the base policies.

    Attributes:
        tenant: tenant id.
        folder: the tenant's own ``*.cedar`` files, or ``None`` if it has none.
        grants: its template links.
        groups: the groups of its user pool; its own policies may name no other, since one with a slip in a name would
            match nobody. ``None`` if they are not known.
        lines: its device groups, without ``all``; its own policies and grants may name no other. ``None`` as above.
    """

    tenant: str
    folder: Path | None = None
    grants: tuple[Grant, ...] = ()
    groups: frozenset[str] | None = None
    lines: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Entity:
    """An entity as policies name it, e.g. type ``Fleet::Group``, id ``managers``."""

    type: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Type::"id"``.

        Raises:
            ValueError: not of that form.
        """
        match = _ENTITY_LITERAL.fullmatch(text)
        if match is None:
            raise ValueError(
                f'`{text}` is no entity: write it as in a policy file, e.g. Fleet::Group::"technicians"'
            )
        return cls(type=match["type"], id=match["id"])

    def __str__(self) -> str:
        return f'{self.type}::"{self.id}"'


@dataclass(frozen=True, kw_only=True)
class StaticPolicy:
    """One policy to stamp; ``statement`` is not yet bound to a pool (see ``binding.bind``)."""

    id: str
    effect: Effect
    why: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template to stamp; one with an end is stamped once for each end, as ``<file>-until-<time>``."""

    id: str
    why: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """One template-linked policy to stamp; ``template`` is a ``Template.id``; the entities are not yet bound."""

    id: str
    template: str
    principal: Entity
    resource: Entity


@dataclass(frozen=True, kw_only=True)
class PolicyBundle:
    """Everything that a tenant's policy store is to hold, valid against the schema.

    Attributes:
        schema_json: for ``PutSchema``.
        static: forbids first, then permits: the order in which they are to be created (see ``update.plan``).
        templates: those that ``links`` need, all of effect permit.
        links: the grants.
    """

    schema_json: str
    static: tuple[StaticPolicy, ...]
    templates: tuple[Template, ...]
    links: tuple[Link, ...]

    @property
    def forbids(self) -> tuple[StaticPolicy, ...]:
        """The forbids, to be created before every permit and every link, and deleted after them."""
        return tuple(policy for policy in self.static if policy.effect == "forbid")

    @property
    def permits(self) -> tuple[StaticPolicy, ...]:
        """The static permits."""
        return tuple(policy for policy in self.static if policy.effect == "permit")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: ``line`` counts from 1, and is 0 where the whole file is meant."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.words}" if self.line else f"{self.file}: {self.words}"
        )


class PolicyError(Exception):
    """The policies cannot be stamped; ``problems`` lists all that is wrong, ``str(error)`` one problem a line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
