"""The policies of a store as one Cedar set, parsed when the store changes, never for a request."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from .schema_shapes import SchemaShapes
from .statements import Statement, link, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .contents import Contents
    from .records import Policy, Template
    from .state import State

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


class CompiledStore:
    """One revision of a store's schema and policies, ready to decide."""

    def __init__(self, contents: Contents) -> None:
        self.revision = contents.revision
        stored = contents.schema
        self.schema = cedarpy.Schema.from_json_str(stored.text) if stored is not None else None
        self.shapes = SchemaShapes(json.loads(stored.text)) if stored is not None else None
        # These are the schema's action entities: without them `action in <group>` would never hold.
        self.actions = cedarpy.Entities.from_json_str("[]", self.schema)
        statements = {
            policy.id: _statement(contents.templates, policy)
            for policy in contents.policies.values()
        }
        self.effects = {policy_id: statement.effect for policy_id, statement in statements.items()}
        self._text = "\n".join(statement.text for statement in statements.values())
        self._ids = tuple(statements)  # Cedar calls the n-th `policy<n>`
        self._order = {policy_id: place for place, policy_id in enumerate(self._ids)}

    @cached_property
    def _policies(self) -> cedarpy.PolicySet:
        """Parsed for the first decision: a store that is only filled reads nothing twice."""
        return cedarpy.PolicySet.from_str(self._text)

    def decide(
        self, request: dict[str, Any], entities: cedarpy.Entities, schema: cedarpy.Schema | None
    ) -> Verdict:
        """Ask Cedar.

        Args:
            request: ``principal``, ``action``, ``resource`` as ``{"type", "id"}`` and ``context``
                as a Cedar record.
            entities: ``actions`` with the request's own entities added.
            schema: validates the request and reads the context by its types; None does neither.

        Raises:
            RequestRejectedError: Cedar's words.
        """
        answer = cedarpy.is_authorized(request, self._policies, entities, schema)
        errors = answer.diagnostics.errors
        if answer.decision is cedarpy.Decision.NoDecision:
            raise RequestRejectedError("; ".join(errors) or "the request could not be read")
        reasons = [
            self._ids[int(reason.removeprefix("policy"))] for reason in answer.diagnostics.reasons
        ]
        if not errors:
            return Verdict(
                allowed=answer.allowed, determining=self._sorted(reasons), errors=(), failed=()
            )
        named = [_NAMED_ERROR.match(text) for text in errors]
        return Verdict(
            allowed=answer.allowed,
            determining=self._sorted(reasons),
            errors=tuple(
                _POSITION.sub(lambda at: f"`{self._ids[int(at[1])]}`", text, count=1)
                for text in errors
            ),
            failed=self._sorted(self._ids[int(match[1])] for match in named if match)
            if all(named)
            else None,
        )

    def _sorted(self, policy_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(policy_ids, key=self._order.__getitem__))


def statement_of(state: State, policy: Policy) -> Statement:
    """A policy's statement; for a link the template's, written out."""
    return _statement(state.templates.get(policy.store, {}), policy)


def _statement(templates: Mapping[str, Template], policy: Policy) -> Statement:
    if policy.statement is not None:
        return parse(policy.statement)
    assert policy.template is not None  # noqa: S101 - a policy has one or the other
    template = parse(templates[policy.template].statement)
    return parse(link(template, principal=policy.principal, resource=policy.resource))
