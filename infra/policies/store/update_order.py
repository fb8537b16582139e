"""Orders the steps from one policy set to another, so that no decision is wrong in between.

Wrong is an answer that neither the old nor the new set gives. The order that has none:

1. create the new forbids: what they refuse, the new set refuses;
2. create the new permits and links: every forbid of both sets is there, so what a new permit
   allows, the new set allows;
3. delete the old permits and links: every forbid is still there, and what no permit allows any
   more, the new set refuses;
4. delete the old forbids: only permits of the new set are left, and all its forbids.

A request that both sets allow matches no forbid of either, and at each moment a permit of one of
them: it is never refused. A policy that changed is a new one and an old one. Changing it in place
(UpdatePolicy) would be steps 2 and 3 at once, too early for a permission that moves from one policy
to another.

The Pulumi program gets this order from the engine: every ``verifiedpermissions.Policy`` has
``replace_on_changes=["definition"]`` (so a change is create-before-delete; deletes come last,
dependents first), every permit and link ``depends_on`` all forbids, and everything ``depends_on``
the schema.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from service.cedar.policy_set import PolicySet
    from service.cedar.statement import Effect
    from service.cedar.values import EntityUid


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One policy of a store, static or a link with its template; equal ones are the same policy.

    Attributes:
        name: our id, for people.
        effect: of a link that of its template.
        statement: the policy, or the template of a link.
        principal: of a link.
        resource: of a link.
    """

    name: str
    effect: Effect
    statement: str
    principal: EntityUid | None = None
    resource: EntityUid | None = None

    @property
    def content(self) -> tuple[str, EntityUid | None, EntityUid | None]:
        """What it says; a link's name is ours alone, the store does not keep it."""
        return self.statement, self.principal, self.resource


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call to the store."""

    verb: Literal["create", "delete"]
    piece: Piece

    def __str__(self) -> str:
        return f"{self.verb} {self.piece.effect} {self.piece.name}"


def plan(old: Iterable[Piece], new: Iterable[Piece]) -> tuple[Step, ...]:
    """The steps from ``old`` to ``new``; what stands in both, as often, is left alone.

    A policy that an interrupted update left twice in ``old`` goes once.
    """
    before, after = _by_content(old), _by_content(new)
    created = _surplus(after, before)
    deleted = _surplus(before, after)
    return tuple(
        itertools.chain(
            _steps("create", "forbid", created),
            _steps("create", "permit", created),
            _steps("delete", "permit", deleted),
            _steps("delete", "forbid", deleted),
        )
    )


def pieces(policies: PolicySet) -> Iterator[Piece]:
    """The policies of a store one by one."""
    effects = policies.effects
    for name, statement in policies.static.items():
        yield Piece(name=name, effect=effects[name], statement=statement)
    for link in policies.links:
        yield Piece(
            name=link.id,
            effect=statement_est(policies.templates[link.template])["effect"],
            statement=policies.templates[link.template],
            principal=link.principal,
            resource=link.resource,
        )


def _by_content(found: Iterable[Piece]) -> dict[object, list[Piece]]:
    pieces_of: dict[object, list[Piece]] = defaultdict(list)
    for piece in found:
        pieces_of[piece.content].append(piece)
    return pieces_of


def _surplus(these: dict[object, list[Piece]], those: dict[object, list[Piece]]) -> list[Piece]:
    return [
        piece for content, found in these.items() for piece in found[len(those.get(content, ())) :]
    ]


def _steps(verb: Literal["create", "delete"], effect: Effect, found: list[Piece]) -> Iterator[Step]:
    return (Step(verb=verb, piece=piece) for piece in found if piece.effect == effect)
