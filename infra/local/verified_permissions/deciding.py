"""Decides requests against a store's compiled policies, for all authorization operations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import cedarpy

from .cedar_values import check_ancestors, parents_by_entity
from .errors import Field, InvalidInputError
from .key_ring import KeyRing
from .policy_sets import CompiledStore, RequestRejectedError, Verdict

if TYPE_CHECKING:
    from .records import PolicyStore, StoredSchema
    from .state import State

ForbidErrors = Literal["deny", "skip"]
RequestValidation = Literal["store", "lenient"]

_KEPT_STORES: Final = 100  # compiled ones; the least recently used go


@dataclass(frozen=True, kw_only=True)
class ParsedEntities:
    """The entities of one request, parsed by Cedar once for all its decisions.

    Attributes:
        schema: with which the entities were read, and requests are to be.
        strict: whether a request that does not fit the schema is refused; otherwise it is decided
            without the schema.
    """

    compiled: CompiledStore
    entities: cedarpy.Entities
    schema: cedarpy.Schema | None
    strict: bool


class Decider:
    """Holds the compiled stores.

    Args:
        forbid_errors: what becomes of an ALLOW while the evaluation of a ``forbid`` failed:
            ``deny`` turns it into a DENY; ``skip`` leaves it, as Cedar and AWS do.
        request_validation: ``store`` refuses requests that do not fit the schema of a STRICT store;
            ``lenient`` never.
    """

    def __init__(
        self,
        *,
        forbid_errors: ForbidErrors = "deny",
        request_validation: RequestValidation = "store",
    ) -> None:
        self.key_ring = KeyRing()
        self._forbid_errors = forbid_errors
        self._request_validation = request_validation
        self._compiled: dict[str, CompiledStore] = {}
        self._schemas: dict[str, tuple[StoredSchema, cedarpy.Schema]] = {}

    def compiled(self, state: State, store_id: str) -> CompiledStore:
        """The store's policies, as decisions of this moment see them."""
        contents = state.seen(store_id)
        found = self._compiled.pop(store_id, None)
        if found is None or found.revision != contents.revision:
            found = CompiledStore(contents)
        self._compiled[store_id] = found  # last is most recently used
        if len(self._compiled) > _KEPT_STORES:
            del self._compiled[next(iter(self._compiled))]
        return found

    def schema(self, state: State, store_id: str) -> cedarpy.Schema | None:
        """The store's parsed schema, if it has one: what checks a policy sees it at once."""
        stored, found = state.schemas.get(store_id), self._schemas.pop(store_id, None)
        if stored is None:
            return None
        if found is None or found[0] is not stored:
            found = stored, cedarpy.Schema.from_json_str(stored.text)
        self._schemas[store_id] = found
        if len(self._schemas) > _KEPT_STORES:
            del self._schemas[next(iter(self._schemas))]
        return found[1]

    def parsed(
        self, compiled: CompiledStore, store: PolicyStore, entities: list[dict[str, Any]]
    ) -> ParsedEntities:
        """Parse the entities of a request; they are in Cedar's JSON and hold no actions.

        Raises:
            InvalidInputError: Cedar's words, when they are malformed or do not fit the schema; or
                one has too many ancestors.
        """
        check_ancestors(parents_by_entity(entities))
        text = json.dumps(entities)
        strict = store.mode == "STRICT" and self._request_validation == "store"
        attempts = (
            [compiled.schema] if strict or compiled.schema is None else [compiled.schema, None]
        )
        for last, schema in zip((*[False] * (len(attempts) - 1), True), attempts, strict=True):
            try:
                read = (
                    compiled.actions.with_added_json_str(text, schema)
                    if entities
                    else compiled.actions
                )
            except ValueError as error:
                if last:
                    raise InvalidInputError(
                        Field("/entities", _entities_refused(text, schema))
                    ) from error
            else:
                return ParsedEntities(
                    compiled=compiled, entities=read, schema=schema, strict=strict
                )
        raise AssertionError

    def decide(
        self, parsed: ParsedEntities, request: dict[str, Any], path: str = ""
    ) -> dict[str, Any]:
        """The decision on one request in Cedar's JSON, as the API answers it.

        Raises:
            InvalidInputError: the request does not fit the schema.
        """
        try:
            verdict = _verdict(parsed, request)
        except RequestRejectedError as error:
            raise InvalidInputError(Field(path or "/", f"{error}")) from error
        return self._answer(parsed.compiled, verdict)

    def _answer(self, compiled: CompiledStore, verdict: Verdict) -> dict[str, Any]:
        allowed, determining = verdict.allowed, verdict.determining
        if allowed and verdict.errors and self._forbid_errors == "deny":
            failed = verdict.failed
            forbids = (
                None
                if failed is None
                else tuple(name for name in failed if compiled.effects[name] == "forbid")
            )
            # Fail closed: also when it cannot be told whose error it is.
            if forbids is None or forbids:
                allowed, determining = False, forbids or ()
        return {
            "decision": "ALLOW" if allowed else "DENY",
            "determiningPolicies": [{"policyId": policy_id} for policy_id in determining],
            "errors": [{"errorDescription": text} for text in verdict.errors],
        }


def _verdict(parsed: ParsedEntities, request: dict[str, Any]) -> Verdict:
    if parsed.strict or parsed.schema is None:
        return parsed.compiled.decide(request, parsed.entities, parsed.schema)
    try:
        # The schema also says how plain JSON in the context is to be read, so it is tried first.
        return parsed.compiled.decide(request, parsed.entities, parsed.schema)
    except RequestRejectedError:
        return parsed.compiled.decide(request, parsed.entities, None)


def _entities_refused(text: str, schema: cedarpy.Schema | None) -> str:
    """Why Cedar does not read these entities, which a handle does not say."""
    nobody = {"type": "Nobody", "id": ""}
    answer = cedarpy.is_authorized(
        {"principal": nobody, "action": nobody, "resource": nobody}, "", text, schema
    )
    words = "; ".join(answer.diagnostics.errors)
    return words.partition(f"{text}: ")[2] or words or "The entities cannot be read."
