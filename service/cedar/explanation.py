"""Why a decision is as it is: each term of the policies that matter, evaluated by Cedar itself.

Each term is put to the engine as a policy of its own, with the entities and the context of the
request, all of them in one question. So the words "this held, that did not" are Cedar's own
findings, and of a term that fails to evaluate Cedar says that it does not hold.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from service.cedar.entities import DEVICE_GROUP, GROUP, USER
from service.cedar.terms import Change, as_policies
from service.cedar.values import EntityUid, datetime_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from service.cedar.request import AuthorizationRequest
    from service.cedar.statement import Effect
    from service.cedar.terms import Path, Term
    from service.cedar.values import Value

MOST_CANDIDATES: Final = 24
"""Permits that are looked at to find those which say nearly yes: each has some five terms."""
NEAREST: Final = 3
"""Permits of which a refusal tells what they would take."""
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Met:
    """A term with what it met.

    Attributes:
        holds: whether it held.
        values: what it reads, as text; ``None``: there is no such value.
        changes: who can make it come out otherwise.
    """

    words: str
    condition: str
    holds: bool
    values: Mapping[str, str | None]
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One policy, and what would make it say otherwise.

    Attributes:
        policy: its name.
        applies: whether it applied: then it is one of those that decided.
        terms: of one that applied, all: it applies no more once one of them comes out otherwise. Of
            one that did not, those that kept it from applying: it applies once none does.
    """

    policy: str
    effect: Effect
    applies: bool
    terms: tuple[Met, ...]

    def json(self) -> dict[str, Any]:
        """As it is answered."""
        return {
            "policy": self.policy,
            "effect": self.effect,
            "applies": self.applies,
            "changes_if": "one" if self.applies else "all",
            "conditions": [
                {
                    "words": term.words,
                    "condition": term.condition,
                    "holds": term.holds,
                    "values": dict(term.values),
                    "may_change": [str(change) for change in term.changes],
                }
                for term in self.terms
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A policy that can apply to the action, with its terms."""

    policy: str
    effect: Effect
    terms: tuple[Term, ...]


def explained(
    candidates: Sequence[Candidate],
    request: AuthorizationRequest,
    entities: cedarpy.Entities,
    *,
    name: Callable[[EntityUid], EntityUid],
) -> tuple[Explained, ...]:
    """What each candidate meets, in their order.

    Args:
        candidates: with terms of the same tenant as the request.
        request: with all its entities.
        entities: the same for the engine.
        name: of an entity, as people know it.
    """
    keys = {
        (index, number): f"{index}.{number}"
        for index, candidate in enumerate(candidates)
        for number in range(len(candidate.terms))
    }
    bodies = {keys[index, number]: candidates[index].terms[number].body for index, number in keys}
    policies = cedarpy.PolicySet.from_json_str(json.dumps(as_policies(bodies)))
    answer = cedarpy.is_authorized(request.json(), policies, entities)
    held = frozenset(answer.diagnostics.reasons)
    values = _Values(request, name)
    return tuple(
        _of_candidate(
            candidate,
            [keys[index, number] in held for number in range(len(candidate.terms))],
            values,
        )
        for index, candidate in enumerate(candidates)
    )


def nearest(permits: Iterable[Explained]) -> tuple[Explained, ...]:
    """Those that lack least, at most ``NEAREST``; none if one applies."""
    found = sorted(permits, key=lambda one: (sum(map(_weight, one.terms)), one.policy))
    return () if any(one.applies for one in found) else tuple(found[:NEAREST])


def _weight(term: Met) -> int:
    # Who somebody is changes less easily than what is asked, and when.
    return 3 if {Change.PEOPLE, Change.OPERATOR} & set(term.changes) else 1


def _of_candidate(candidate: Candidate, held: Sequence[bool], values: _Values) -> Explained:
    fits = [holds is term.applies for term, holds in zip(candidate.terms, held, strict=True)]
    applies = all(fits)
    return Explained(
        policy=candidate.policy,
        effect=candidate.effect,
        applies=applies,
        terms=tuple(
            Met(
                words=term.words,
                condition=term.condition,
                holds=holds,
                values={".".join(path): values.text(path) for path in term.reads},
                changes=term.changes,
            )
            for term, holds, fit in zip(candidate.terms, held, fits, strict=True)
            if applies or not fit
        ),
    )


class _Values:
    """What a request has under each path."""

    def __init__(
        self, request: AuthorizationRequest, name: Callable[[EntityUid], EntityUid]
    ) -> None:
        self._request = request
        self._entities = {entity.uid: entity for entity in request.entities}
        self._name = name

    def text(self, path: Path) -> str | None:
        """What stands there, in words."""
        variable, *names = path
        if variable == "context":
            return self._in(self._request.context, names)
        uid = {"principal": self._request.principal, "resource": self._request.resource}.get(
            variable
        )
        return None if uid is None else self._of(uid, names)

    def _of(self, uid: EntityUid, names: Sequence[str]) -> str | None:
        entity = self._entities.get(uid)
        match names:
            case ["groups"]:
                return ", ".join(sorted(one.id for one in self._above(uid))) or None
            case ["id"]:
                return self._name(uid).id
            case ["tags", tag]:
                return None if entity is None else entity.tags.get(tag)
            case _:
                return None if entity is None else self._in(entity.attributes, names)

    def _in(self, members: Mapping[str, Value], names: Sequence[str]) -> str | None:
        found = members.get(names[0])
        if len(names) == 1 or found is None:
            return None if found is None else self._shown(found)
        if isinstance(found, EntityUid):
            return self._of(found, names[1:])
        # A record, of which a path goes on.
        return self._in(found, names[1:]) if hasattr(found, "get") else None  # type: ignore[arg-type]

    def _above(self, uid: EntityUid) -> Iterable[EntityUid]:
        seen: dict[EntityUid, None] = {}
        todo = [uid]
        while todo:
            entity = self._entities.get(todo.pop())
            for parent in entity.parents if entity else ():
                if parent not in seen:
                    seen[parent] = None
                    todo.append(parent)
        return [self._name(one) for one in seen if one.type in (GROUP, DEVICE_GROUP)]

    def _shown(self, value: Value) -> str:  # noqa: PLR0911 - one per member of the union
        match value:
            case bool():
                return "true" if value else "false"
            case datetime():
                return datetime_text(value)
            case timedelta():
                return _clock(value)
            case EntityUid():
                return self._name(value).id if value.type in (GROUP, USER) else value.id
            case tuple():
                return ", ".join(self._shown(item) for item in value)
            case str() | int() | ipaddress.IPv4Address() | ipaddress.IPv6Address():
                return str(value)
            case _:
                return ", ".join(f"{name}={self._shown(item)}" for name, item in value.items())


def _clock(duration: timedelta) -> str:
    """``22:00``; an offset to the west has a sign before it."""
    sign = "-" if duration < timedelta() else ""
    hours, rest = divmod(abs(duration), _HOUR)
    return f"{sign}{hours:02}:{rest // _MINUTE:02}"
