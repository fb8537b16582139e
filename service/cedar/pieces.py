"""One policy of a set, in Cedar's JSON form, and of whom and what its scope can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.cedar.entities import Entity
    from service.cedar.policy_set import Link


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One policy, a link with its blanks filled in.

    Attributes:
        id: of the store.
        est: Cedar's JSON form, as text.
        permits: whether it is a permit.
        principal: the constraints of the scope, likewise ``action`` and ``resource``.
    """

    id: str
    est: str
    permits: bool
    principal: Mapping[str, Any]
    action: Mapping[str, Any]
    resource: Mapping[str, Any]


def piece_of(name: str, est: Mapping[str, Any]) -> Piece:
    """The policy of this id, without blanks.

    Raises:
        KeyError: it is of no form that is known here.
    """
    return Piece(
        id=name,
        est=msgspec.json.encode(est).decode(),
        permits=est["effect"] == "permit",
        principal=est["principal"],
        action=est["action"],
        resource=est["resource"],
    )


def filled(template: Mapping[str, Any], link: Link) -> dict[str, Any]:
    """The policy that a link is: blanks stand in the scope and nowhere else."""

    def of_scope(scope: Mapping[str, Any], uid: EntityUid) -> dict[str, Any]:
        known = {name: value for name, value in scope.items() if name != "slot"}
        if "slot" in scope:
            known["entity"] = uid.json()
        if "in" in known:
            known["in"] = of_scope(known["in"], uid)
        return known

    return {
        **template,
        "principal": of_scope(template["principal"], link.principal),
        "resource": of_scope(template["resource"], link.resource),
    }


def holds(scope: Mapping[str, Any], uids: Iterable[EntityUid]) -> bool:
    """Whether a scope can hold of an entity that stands, with all above it, in ``uids``.

    What is not understood can hold: the engine then says.
    """
    if (named := _one_of(scope)) is not None:
        return not named.isdisjoint(uids)
    return True


def named_alone(scope: Mapping[str, Any]) -> EntityUid | None:
    """The one entity that a scope names; ``None``: none, or one of several."""
    named = _one_of(scope)
    return next(iter(named)) if named is not None and len(named) == 1 else None


def _one_of(scope: Mapping[str, Any]) -> frozenset[EntityUid] | None:
    """What a scope names, one of which must be; ``None`` if anything may be."""
    if "in" in scope:
        return _one_of(scope["in"])
    listed = scope.get("entities", [scope["entity"]] if "entity" in scope else None)
    return None if listed is None else frozenset(EntityUid(**uid) for uid in listed)


def with_ancestors(uid: EntityUid, entities: Mapping[EntityUid, Entity]) -> dict[EntityUid, None]:
    """An entity's name and those of all that stand above it among ``entities``, each once."""
    found: dict[EntityUid, None] = {}
    above = [uid]
    while above:
        one = above.pop()
        if one not in found:
            found[one] = None
            if (entity := entities.get(one)) is not None:
                above.extend(entity.parents)
    return found
