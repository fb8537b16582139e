"""A tenant's policies ready to decide in this process, each request by those that can apply to it.

An evaluation takes as long as there are policies. So many are parted by their scope, and a request
is evaluated by those alone whose scope can hold: a policy whose scope does not hold neither decides
nor fails (Cedar language reference, "Authorization": the scope is part of what must be satisfied).
"""

from __future__ import annotations

import copy
import json
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from service.cedar.conformance import Conformance
from service.cedar.entities import USER
from service.cedar.evaluator import evaluation_of
from service.cedar.explanation import MOST_CANDIDATES, Candidate, explained, nearest
from service.cedar.pieces import Piece, filled, holds, named_alone, piece_of, with_ancestors
from service.cedar.reads import Reads, context_members, texts_beside
from service.cedar.request import ACTION, TOKEN
from service.cedar.shared_statements import shared_est
from service.cedar.statement import named_entities
from service.cedar.terms import terms_of
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from service.cedar.decision import Evaluation
    from service.cedar.entities import Entity
    from service.cedar.explanation import Explained
    from service.cedar.policy_set import PolicySet
    from service.cedar.request import AuthorizationRequest
    from service.cedar.statement import Problem, Statement

_SCHEMAS: Final = 8  # of releases that are stamped at once; one has at most 100,000 bytes
_FEW: Final = 64
"""So many policies are evaluated in some 50 microseconds, and take less memory unparted."""
_MAX_CANDIDATES: Final = 256  # policies whose terms are remembered, of one tenant
_MAX_SLICES: Final = 8
"""Parsed sets kept, each of the policies of one kind of request: who asks what, in which line; of
policies that are not parted, one set for each action."""


@dataclass(frozen=True, kw_only=True)
class _Schema:
    """A schema that stands once in the process: releases differ in it, tenants do not.

    Attributes:
        parsed: for the validator.
        conformance: what fits it.
        groups: action -> all groups that it is in, by way of others too.
        user_attributes: what it has of a person's claims.
    """

    parsed: cedarpy.Schema
    conformance: Conformance
    groups: Mapping[str, frozenset[EntityUid]]
    user_attributes: frozenset[str]


class CompiledPolicies:
    """Evaluates requests of one tenant as its policy store would.

    Attributes:
        policies: ids of all, also of those that can apply to nothing that is asked for.
        size: bytes of text of what can apply; what is parsed takes some times as many.

    Args:
        policies: as the store holds them, with the schema in its JSON form.
        actions: that are asked for; policies that can apply to none of them are left out.
        few: so many policies are not parted.

    Raises:
        ValueError: the schema or a policy does not parse, or is of no form that is known here.
    """

    def __init__(self, policies: PolicySet, *, actions: Iterable[str], few: int = _FEW) -> None:
        try:
            self._schema = _schema_of(policies.schema)
            groups = self._schema.groups
            # A schema of an earlier release lacks what is new: of that the store says no.
            self._asked = {EntityUid(ACTION, one): groups[one] for one in actions if one in groups}
            templates = {name: shared_est(text) for name, text in policies.templates.items()}
            pieces = [
                *(piece_of(name, shared_est(text)) for name, text in policies.static.items()),
                *(
                    piece_of(link.id, filled(templates[link.template], link))
                    for link in policies.links
                ),
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"policies of a form that is not known here: {error!r}") from error
        self._few = few
        self._arranged(pieces)

    def _arranged(self, pieces: Iterable[Piece]) -> CompiledPolicies:
        pieces = sorted(pieces, key=lambda piece: piece.id)
        self.policies = frozenset(piece.id for piece in pieces)
        self._able = {
            action.id: [piece for piece in pieces if holds(piece.action, {action, *above})]
            for action, above in self._asked.items()
        }
        # Whose scope names no principal stands under None. An action that is missing is not parted.
        self._parted: dict[str, dict[EntityUid | None, list[Piece]]] = {}
        for action_id, able in self._able.items():
            if len(able) > self._few:
                by_principal = self._parted[action_id] = defaultdict(list)
                for piece in able:
                    by_principal[named_alone(piece.principal)].append(piece)
        self._slices: OrderedDict[tuple[str, ...], cedarpy.PolicySet] = OrderedDict()
        self._reads: dict[str, Reads | None] = {}
        self._kinds: dict[str, object] = {}
        self._members: dict[str, frozenset[str] | None] = {}
        self._candidates: dict[str, Candidate] = {}
        self._applying = {piece.id: piece for able in self._able.values() for piece in able}
        self.size = sum(len(piece.est) for piece in self._applying.values())
        return self

    def changed(
        self, added: Mapping[str, str], *, without: frozenset[str] = frozenset()
    ) -> CompiledPolicies:
        """The same with policies added, or in the place of those of their ids, or without some.

        Raises:
            ValueError: a policy does not parse.
        """
        left = [one for name, one in self._applying.items() if name not in {*added, *without}]
        pieces = [*left, *(piece_of(name, shared_est(text)) for name, text in added.items())]
        return copy.copy(self)._arranged(pieces)  # noqa: SLF001 - one of this class

    def problems(self, statement: Statement) -> list[Problem]:
        """What Cedar's strict validator says of a statement that is not among these."""
        return statement.validate(self._schema.parsed)

    @property
    def user_attributes(self) -> frozenset[str]:
        """What the schema has of a person's claims, all of them texts."""
        return self._schema.user_attributes

    def reads(self, action: str) -> Reads | None:
        """What the policies that can apply to ``action`` read of a device; ``None``: anything.

        Raises:
            ValueError: the policies are not of this action.
        """
        if action not in self._reads:
            self._reads[action] = Reads.of(json.loads(piece.est) for piece in self._of(action))
        return self._reads[action]

    def named(self, action: str) -> frozenset[EntityUid]:
        """Every entity that the policies which can apply to ``action`` name.

        Raises:
            ValueError: the policies are not of this action.
        """
        return frozenset(
            uid for piece in self._of(action) for uid in named_entities(json.loads(piece.est))
        )

    def texts_beside(self, member: str, actions: Iterable[str]) -> tuple[str, ...]:
        """The texts with which policies of these actions compare a set of the context.

        Raises:
            ValueError: the policies are not of an action.
        """
        pieces = {piece.id: piece for action in actions for piece in self._of(action)}
        found = {
            text
            for piece in pieces.values()
            if member in piece.est
            for text in texts_beside(json.loads(piece.est), member)
        }
        return tuple(sorted(found))

    def evaluate(self, request: AuthorizationRequest) -> Evaluation:
        """What the engine says to one request.

        Args:
            request: with the principal and its groups among the entities.

        Raises:
            ValueError: the request does not fit the schema, or is for another action.
        """
        entities = {entity.uid: entity for entity in request.entities}
        policies = self._slice(request, entities)
        about = entities.pop(request.resource, None)
        if about is None:
            raise ValueError("what is asked of is not among the entities")
        fits = self._schema.conformance
        given = fits.entities(request.action, about, entities.values())
        schema = fits.schema_for(request)
        # What no policy can read the engine need not: it takes as long for a moment as for them.
        seen = self._members_read(request.action) if schema is None else None
        answer = cedarpy.is_authorized(request.asked(seen), policies, given, schema)
        evaluation = evaluation_of(answer)
        if schema is not None:
            fits.fitted(request)
        return evaluation

    def evaluate_all(self, requests: Iterable[AuthorizationRequest]) -> list[Evaluation]:
        """The same of each request.

        Those that are alike but for an action that no policy tells apart are one question, put
        once: a policy sees of an action whether its scope holds, unless it names ``action`` again.

        Args:
            requests: as of ``evaluate``.

        Raises:
            ValueError: a request does not fit the schema, or is for another action.
        """
        put: dict[tuple[object, ...], tuple[AuthorizationRequest, Evaluation]] = {}
        found: list[Evaluation] = []
        for request in requests:
            kind = (self._told_apart(request.action), request.principal, request.resource)
            known = put.get(kind)
            # Fail closed: whether the action takes such a request, the schema says of each form.
            if (
                known is None
                or self._schema.conformance.schema_for(request) is not None
                or known[0].context != request.context
                or known[0].entities != request.entities
            ):
                known = put[kind] = (request, self.evaluate(request))
            found.append(known[1])
        return found

    def _members_read(self, action: str) -> frozenset[str] | None:
        """Members of the context that policies of the action can read; ``None``: all of them."""
        if action not in self._members:
            ests = [json.loads(piece.est) for piece in self._of(action)]
            self._members[action] = context_members(est.get("conditions", ()) for est in ests)
        return self._members[action]

    def _told_apart(self, action: str) -> object:
        """Equal for actions to which the same policies apply, none of which looks at the action."""
        if action not in self._kinds:
            pieces = self._of(action)
            # Once for the scope; a text of that word parts more than it must.
            looks = any(piece.est.count('"action"') > 1 for piece in pieces)
            self._kinds[action] = action if looks else tuple(piece.id for piece in pieces)
        return self._kinds[action]

    def explain(
        self,
        request: AuthorizationRequest,
        evaluation: Evaluation,
        *,
        name: Callable[[EntityUid], EntityUid],
    ) -> tuple[Explained, ...]:
        """Why the engine said that: the policies that decided, and permits that nearly said yes.

        Of a permit that is for another person nothing is told: it would name them.

        Args:
            request: with the principal and its groups among the entities.
            evaluation: what ``evaluate`` said of it.
            name: of an entity of the tenant's pool, as people know it.

        Raises:
            ValueError: the request is for another action, or Cedar cannot write a policy's part.
        """
        entities = {entity.uid: entity for entity in request.entities}
        who = with_ancestors(request.principal, entities)
        what = with_ancestors(request.resource, entities)
        decided: list[Piece] = []
        permits: list[Piece] = []
        for piece in self._of(request.action):
            if piece.id in evaluation.policies:
                decided.append(piece)
            elif not evaluation.allowed and _may_be_told(piece, who) and piece.permits:
                # Those that are for who asks come first, then those for what is asked of.
                permits.append(piece)
        permits.sort(key=lambda one: (not holds(one.principal, who), not holds(one.resource, what)))
        told = [self._candidate(piece, name) for piece in (*decided, *permits[:MOST_CANDIDATES])]
        about = entities.pop(request.resource)
        given = self._schema.conformance.entities(request.action, about, entities.values())
        found = explained(told, request, given, name=name)
        return (*found[: len(decided)], *nearest(found[len(decided) :]))

    def _candidate(self, piece: Piece, name: Callable[[EntityUid], EntityUid]) -> Candidate:
        if (found := self._candidates.get(piece.id)) is None:
            if len(self._candidates) >= _MAX_CANDIDATES:
                self._candidates.clear()
            found = self._candidates[piece.id] = Candidate(
                policy=piece.id,
                effect="permit" if piece.permits else "forbid",
                terms=terms_of(json.loads(piece.est), name=name),
            )
        return found

    def _slice(
        self, request: AuthorizationRequest, entities: Mapping[EntityUid, Entity]
    ) -> cedarpy.PolicySet:
        able = self._of(request.action)
        if (by_principal := self._parted.get(request.action)) is not None:
            who = with_ancestors(request.principal, entities)
            what = with_ancestors(request.resource, entities)
            able = sorted(
                (
                    piece
                    for uid in (None, *who)
                    for piece in by_principal.get(uid, ())
                    if holds(piece.principal, who) and holds(piece.resource, what)
                ),
                key=lambda piece: piece.id,
            )
        key = tuple(piece.id for piece in able)
        found = self._slices.get(key)
        if found is None:
            found = self._slices[key] = _parsed(able)
            if len(self._slices) > max(_MAX_SLICES, len(self._able)):
                self._slices.popitem(last=False)
        else:
            self._slices.move_to_end(key)
        return found

    def _of(self, action: str) -> list[Piece]:
        # Fail closed: a forbid of another action may have been left out.
        if action not in self._able:
            raise ValueError(f"these policies are not of `{action}`")
        return self._able[action]


@lru_cache(maxsize=_SCHEMAS)
def _schema_of(text: str) -> _Schema:
    declared: dict[str, Any] = json.loads(text)["Fleet"]
    parsed = cedarpy.Schema.from_json_str(text)
    _check_token(declared["commonTypes"]["RequestContext"])
    return _Schema(
        parsed=parsed,
        conformance=Conformance(parsed, declared),
        groups=_groups_of_actions(declared["actions"]),
        user_attributes=_texts(declared["entityTypes"]["User"]["shape"]),
    )


def _parsed(pieces: Iterable[Piece]) -> cedarpy.PolicySet:
    static = ",".join(f"{json.dumps(piece.id)}:{piece.est}" for piece in pieces)
    return cedarpy.PolicySet.from_json_str(
        f'{{"staticPolicies":{{{static}}},"templates":{{}},"templateLinks":[]}}'
    )


def _may_be_told(piece: Piece, who: Iterable[EntityUid]) -> bool:
    """Whether a policy names no other person than who asks."""
    est = json.loads(piece.est)
    return all(uid.type != USER or uid in who for uid in named_entities(est))


def _groups_of_actions(actions: Mapping[str, Any]) -> dict[str, frozenset[EntityUid]]:
    def above(action: str) -> set[str]:
        direct = {member["id"] for member in actions[action].get("memberOf") or ()}
        return direct.union(*map(above, direct))

    return {
        action: frozenset(EntityUid(ACTION, group) for group in above(action)) for action in actions
    }


def _check_token(context: Mapping[str, Any]) -> None:
    """Refuse a schema that has more of an access token than is put into a request here.

    Raises:
        ValueError: what else it has, which the policy store would fill in.
    """
    unknown = context["attributes"]["token"]["attributes"].keys() - TOKEN
    if unknown:
        raise ValueError(f"the schema's `token` has {', '.join(sorted(unknown))}")


def _texts(shape: Mapping[str, Any]) -> frozenset[str]:
    """The attributes of a record, all of which must be texts.

    Raises:
        ValueError: one is something else, which nobody here knows how to make of a claim.
    """
    attributes: dict[str, Any] = shape["attributes"]
    for name, declared in attributes.items():
        if declared.get("type") not in ("String", "EntityOrCommon") or (
            declared.get("name", "String") not in ("String", "__cedar::String")
        ):
            raise ValueError(f"the schema's attribute `{name}` of a user is no text")
    return frozenset(attributes)
