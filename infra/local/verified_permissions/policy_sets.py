"""The policies of a store as Cedar wants them: compiled when the store changes, sliced by scope for each request.

A policy whose scope names a principal or resource outside the request's entities cannot match and cannot fail, so it
may be left out: the answer is the same and a decision does not slow down with policies of other people and things.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from .schema_shapes import SchemaShapes
from .statements import Statement, link, parse, scope_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .cedar_values import Uid
    from .records import Policy
    from .state import State

_MAX_SLICES: Final = 256  # kept per store; each holds parsed policies
_POSITION: Final = re.compile(r"`policy(\d+)`")
_NAMED_ERROR: Final = re.compile(r"error while evaluating policy `policy(\d+)`")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What Cedar said of one request, in the store's own policy ids.

    Attributes:
        allowed: Cedar's decision; errors do not change it.
        determining: ids of the policies that made the decision, in order of creation.
        errors: Cedar's words for each policy whose evaluation failed.
        failed: ids of those policies; None when one could not be told from its message.
    """

    allowed: bool
    determining: tuple[str, ...]
    errors: tuple[str, ...]
    failed: tuple[str, ...] | None


class RequestRejectedError(ValueError):
    """Cedar refused the request itself: not well formed, or not as the schema says."""


@dataclass(frozen=True)
class Slice:
    """Policies that may apply to a request; Cedar calls the n-th ``policy<n>``."""

    policies: cedarpy.PolicySet
    ids: tuple[str, ...]


class CompiledStore:
    """One revision of a store's schema and policies, ready to decide."""

    def __init__(self, state: State, store_id: str) -> None:
        self.revision = state.revision(store_id)
        stored = state.schemas.get(store_id)
        self.schema = cedarpy.Schema.from_json_str(stored.text) if stored is not None else None
        self.shapes = SchemaShapes(json.loads(stored.text)) if stored is not None else None
        # These are the schema's action entities: without them `action in <group>` would never hold.
        self.actions = cedarpy.Entities.from_json_str("[]", self.schema)
        self.effects: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._buckets: dict[tuple[Uid | None, Uid | None], list[str]] = {}
        self._principals: set[Uid] = set()
        self._resources: set[Uid] = set()
        for policy in state.policies.get(store_id, {}).values():
            self._add(policy.id, statement_of(state, policy))
        self._order = {policy_id: place for place, policy_id in enumerate(self._texts)}
        self._slices: dict[tuple[tuple[Uid | None, Uid | None], ...], Slice] = {}

    def slice(self, principals: set[Uid], resources: set[Uid]) -> Slice:
        """The policies whose scope can match; each set holds an entity with all its ancestors."""
        wanted: list[Uid | None] = [None, *(self._principals & principals)]
        among: list[Uid | None] = [None, *(self._resources & resources)]
        hits = tuple(pair for p in wanted for r in among if (pair := (p, r)) in self._buckets)
        found = self._slices.get(hits)
        if found is None:
            if len(self._slices) >= _MAX_SLICES:
                self._slices.clear()
            found = self._parsed(policy_id for pair in hits for policy_id in self._buckets[pair])
            self._slices[hits] = found
        return found

    def decide(
        self, request: dict[str, Any], part: Slice, entities: cedarpy.Entities, schema: cedarpy.Schema | None
    ) -> Verdict:
        """Ask Cedar.

        Args:
            request: ``principal``, ``action``, ``resource`` as ``{"type", "id"}`` and ``context`` as a Cedar record.
            part: from ``slice``.
            entities: ``actions`` with the request's own entities added.
            schema: validates the request and reads the context by its types; None does neither.

        Raises:
            RequestRejectedError: Cedar's words.
        """
        answer = cedarpy.is_authorized(request, part.policies, entities, schema)
        errors = answer.diagnostics.errors
        if answer.decision is cedarpy.Decision.NoDecision:
            raise RequestRejectedError("; ".join(errors) or "the request could not be read")
        reasons = [part.ids[int(reason.removeprefix("policy"))] for reason in answer.diagnostics.reasons]
        if not errors:
            return Verdict(allowed=answer.allowed, determining=self._sorted(reasons), errors=(), failed=())
        named = [_NAMED_ERROR.match(text) for text in errors]
        return Verdict(
            allowed=answer.allowed,
            determining=self._sorted(reasons),
            errors=tuple(_POSITION.sub(lambda at: f"`{part.ids[int(at[1])]}`", text, count=1) for text in errors),
            failed=self._sorted(part.ids[int(match[1])] for match in named if match) if all(named) else None,
        )

    def _add(self, policy_id: str, statement: Statement) -> None:
        principal, resource = _uid(scope_entity(statement.principal)), _uid(scope_entity(statement.resource))
        if principal is not None:
            self._principals.add(principal)
        if resource is not None:
            self._resources.add(resource)
        self._buckets.setdefault((principal, resource), []).append(policy_id)
        self._texts[policy_id] = statement.text
        self.effects[policy_id] = statement.effect

    def _parsed(self, policy_ids: Iterable[str]) -> Slice:
        ids = tuple(policy_ids)
        return Slice(cedarpy.PolicySet.from_str("\n".join(self._texts[policy_id] for policy_id in ids)), ids)

    def _sorted(self, policy_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(policy_ids, key=self._order.__getitem__))


def statement_of(state: State, policy: Policy) -> Statement:
    """A policy's statement; for a link the template's, written out."""
    if policy.statement is not None:
        return parse(policy.statement)
    assert policy.template is not None  # noqa: S101 - a policy has one or the other
    template = parse(state.templates[policy.store][policy.template].statement)
    return parse(link(template, principal=policy.principal, resource=policy.resource))


def _uid(entity: dict[str, str] | None) -> Uid | None:
    return (entity["type"], entity["id"]) if entity is not None else None
