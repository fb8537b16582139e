"""The four authorization operations: by principal or by tokens, one request or up to 30."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from . import cedar_values
from .claims import TokenPrincipal, principal, with_token
from .errors import Field, InvalidInputError
from .tokens import Use, VerifiedClaims, verify

if TYPE_CHECKING:
    from .call import Call
    from .policy_sets import CompiledStore
    from .records import PolicyStore

MAX_BATCH: Final = 30
MAX_ENTITIES_OF_KIND: Final = 100  # principals, and resources, in one request's entities
MAX_GROUPS: Final = 99

_USES: Final[tuple[Use, ...]] = ("identityToken", "accessToken")


def is_authorized(call: Call) -> dict[str, Any]:
    """IsAuthorized."""
    store = call.store()
    compiled = call.decider.compiled(call.state, store.id)
    query = _query(call.request, "")
    parsed = call.decider.parsed(compiled, store, _entities(call))
    return call.decider.decide(parsed, query)


def batch_is_authorized(call: Call) -> dict[str, Any]:
    """BatchIsAuthorized: one principal or one resource for all; answers in the order asked."""
    store = call.store()
    compiled = call.decider.compiled(call.state, store.id)
    items = _batch(call)
    queries = [_query(item, f"/requests/{number}") for number, item in enumerate(items)]
    if not (_is_shared(queries, "principal") or _is_shared(queries, "resource")):
        raise InvalidInputError(
            Field("/requests", "All requests must have the same principal or the same resource.")
        )
    entities = _entities(call)
    _check_counts(entities, queries)
    parsed = call.decider.parsed(compiled, store, entities)
    return {
        "results": [
            {"request": item, **call.decider.decide(parsed, query, f"/requests/{number}")}
            for number, (item, query) in enumerate(zip(items, queries, strict=True))
        ]
    }


def is_authorized_with_token(call: Call) -> dict[str, Any]:
    """IsAuthorizedWithToken: the principal is whom the tokens name."""
    store, compiled, who = _recognised(call)
    query = _token_query(call.request, who, compiled, "")
    parsed = call.decider.parsed(compiled, store, _entities_beside(call, who))
    return {
        **call.decider.decide(parsed, query),
        "principal": cedar_values.entity_identifier(who.uid),
    }


def batch_is_authorized_with_token(call: Call) -> dict[str, Any]:
    """BatchIsAuthorizedWithToken: the tokens are checked once."""
    items = _batch(call)
    store, compiled, who = _recognised(call)
    queries = [
        _token_query(item, who, compiled, f"/requests/{number}")
        for number, item in enumerate(items)
    ]
    if len(who.entity["parents"]) > MAX_GROUPS:
        raise InvalidInputError(Field("/", f"The tokens name more than {MAX_GROUPS} groups."))
    entities = _entities_beside(call, who)
    _check_counts(entities, queries)
    parsed = call.decider.parsed(compiled, store, entities)
    return {
        "principal": cedar_values.entity_identifier(who.uid),
        "results": [
            {"request": item, **call.decider.decide(parsed, query, f"/requests/{number}")}
            for number, (item, query) in enumerate(zip(items, queries, strict=True))
        ],
    }


def _recognised(call: Call) -> tuple[PolicyStore, CompiledStore, TokenPrincipal]:
    store = call.store()
    given: dict[Use, str] = {
        use: call.request[use] for use in _USES if call.request.get(use) is not None
    }
    if not given:
        raise InvalidInputError(Field("/", "An identityToken or an accessToken is required."))
    source = next(iter(call.state.seen(store.id).sources.values()), None)
    if source is None:
        raise InvalidInputError(Field("/policyStoreId", "The policy store has no identity source."))
    claims: dict[Use, VerifiedClaims] = {
        use: verify(call, source, token, use) for use, token in given.items()
    }
    compiled = call.decider.compiled(call.state, store.id)
    return store, compiled, principal(source, claims, compiled.shapes)


def _query(item: dict[str, Any], path: str) -> dict[str, Any]:
    _require(item, ("principal", "action", "resource"), path)
    return {
        "principal": cedar_values.entity_uid(item["principal"]),
        "action": cedar_values.action_uid(item["action"]),
        "resource": cedar_values.entity_uid(item["resource"]),
        "context": cedar_values.context(item.get("context"), f"{path}/context"),
    }


def _token_query(
    item: dict[str, Any], who: TokenPrincipal, compiled: CompiledStore, path: str
) -> dict[str, Any]:
    _require(item, ("action", "resource"), path)
    action = cedar_values.action_uid(item["action"])
    context = cedar_values.context(item.get("context"), f"{path}/context")
    return {
        "principal": who.uid,
        "action": action,
        "resource": cedar_values.entity_uid(item["resource"]),
        "context": with_token(context, who, action, compiled.shapes, f"{path}/context"),
    }


def _require(item: dict[str, Any], names: tuple[str, ...], path: str) -> None:
    """The model makes them optional; a decision without them is not defined."""
    missing = [
        Field(f"{path}/{name}", f"{name} is required.") for name in names if item.get(name) is None
    ]
    if missing:
        raise InvalidInputError(*missing)


def _batch(call: Call) -> list[dict[str, Any]]:
    items = call.request["requests"]
    if len(items) > MAX_BATCH:
        raise InvalidInputError(
            Field("/requests", f"At most {MAX_BATCH} requests are allowed, got {len(items)}.")
        )
    return items


def _is_shared(queries: list[dict[str, Any]], part: str) -> bool:
    return all(query[part] == queries[0][part] for query in queries)


def _entities(call: Call) -> list[dict[str, Any]]:
    """The request's entities; actions come from the schema and from nowhere else."""
    entities = cedar_values.entities(call.request.get("entities"))
    for entity in entities:
        kind, _ = cedar_values.required_uid(entity.get("uid"))
        if kind == "Action" or kind.endswith("::Action"):
            raise InvalidInputError(Field("/entities", "Actions cannot be defined in Entities"))
    return entities


def _entities_beside(call: Call, who: TokenPrincipal) -> list[dict[str, Any]]:
    entities = _entities(call)
    for entity in entities:
        kind, _ = cedar_values.required_uid(entity["uid"])
        if kind in who.reserved:
            raise InvalidInputError(
                Field("/entities", f"{who.reserved[kind]} {kind} cannot be defined in Entities")
            )
    return [who.entity, *entities]


def _check_counts(entities: list[dict[str, Any]], queries: list[dict[str, Any]]) -> None:
    kinds: Counter[str] = Counter(
        cedar_values.required_uid(entity["uid"])[0] for entity in entities
    )
    for part in ("principal", "resource"):
        for kind in {query[part]["type"] for query in queries}:
            if kinds[kind] > MAX_ENTITIES_OF_KIND:
                raise InvalidInputError(
                    Field(
                        "/entities",
                        f"More than {MAX_ENTITIES_OF_KIND} entities of the type of a {part}.",
                    )
                )
