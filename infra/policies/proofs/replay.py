"""Asks Cedar itself whether a counterexample of the prover is one, and writes it for people.

The symbolic compiler may find a request that does not reproduce (cedar-policy/cedar#1799, of tags):
nobody is shown one that Cedar was not asked about.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from service.cedar.values import datetime_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.policies.proofs.asking import Document, Question

_QUIET: Final = frozenset({"Fleet::Action"})


def reproduces(question: Question, document: Document, request: Mapping[str, Any]) -> bool:
    """Whether Cedar evaluates the request as the counterexample says."""
    left = _evaluated(document, question.left, request)
    match question.kind:
        case "implies":
            right = _evaluated(document, question.right, request)
            return _allows(left) and not _allows(right)
        case "never_errors":
            return bool(left.diagnostics.errors)
        case "never_matches":
            return bool(left.diagnostics.reasons)


def _allows(result: cedarpy.AuthzResult) -> bool:
    return result.decision is cedarpy.Decision.Allow


def _evaluated(document: Document, name: str, request: Mapping[str, Any]) -> cedarpy.AuthzResult:
    policies = cedarpy.PolicySet.from_json_str(
        json.dumps({"staticPolicies": document.sets[name], "templates": {}, "templateLinks": []})
    )
    schema = cedarpy.Schema.from_json_str(json.dumps(document.schema))
    # The action groups of the schema, without which no policy speaks of `View`.
    entities = cedarpy.Entities.from_json_str("[]", schema).with_added_json_str(
        json.dumps([one for one in request["entities"] if one["uid"]["type"] not in _QUIET])
    )
    asked = {name: request[name] for name in ("principal", "action", "resource", "context")}
    return cedarpy.is_authorized(asked, policies, entities)


def readable(request: Mapping[str, Any]) -> str:
    """The request in lines: who, what, on what, and what Cedar is told of both."""
    entities = {_key(one["uid"]): one for one in request["entities"]}
    lines = [
        " ".join(
            [
                f"{_uid(request['principal'])} asks {request['action']['id']}",
                f"on {_uid(request['resource'])}",
            ]
        )
    ]
    for role in ("principal", "resource"):
        lines += _entity(role, entities.get(_key(request[role])))
    lines += [f"  context.{name}: {_value(value)}" for name, value in sorted(_of(request))]
    named = {_key(request["principal"]), _key(request["resource"])}
    files = (
        _key(value["__entity"])
        for _, value in _of(request)
        if isinstance(value, dict) and "__entity" in value
    )
    for key in files:
        if key not in named:
            lines += _entity(f"{key[0]} {key[1]!r}", entities.get(key))
    return "\n".join(lines)


def _of(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (request.get("context") or {}).items()


def _key(uid: Mapping[str, str]) -> tuple[str, str]:
    return uid["type"], uid["id"]


def _entity(role: str, entity: Mapping[str, Any] | None) -> Iterator[str]:
    if entity is None:
        return
    if entity["parents"]:
        yield f"  {role} in: {', '.join(sorted(_uid(parent) for parent in entity['parents']))}"
    for name, value in sorted(entity["attrs"].items()):
        yield f"  {role}.{name}: {_value(value)}"
    for name, value in sorted(entity.get("tags", {}).items()):
        yield f"  {role} tag {name}: {_value(value)}"


def _uid(uid: Mapping[str, str]) -> str:
    return f"{uid['type'].removeprefix('Fleet::')} `{uid['id']}`"


def _moment(since_epoch: int) -> str:
    """Milliseconds since 1970 as a moment, where there is a name for it."""
    try:
        return datetime_text(datetime.fromtimestamp(since_epoch / 1000, UTC))
    except (OverflowError, ValueError, OSError):
        return f"{since_epoch} ms after 1970"


def _value(value: Any) -> str:
    match value:
        case {"__entity": uid}:
            return _uid(uid)
        case {
            "__extn": {"fn": "offset", "args": [{"__extn": {"arg": _}}, {"__extn": {"arg": by}}]}
        }:
            return _moment(int(str(by).removesuffix("ms")))
        case {"__extn": {"arg": text}}:
            return str(text)
        case dict():
            return ", ".join(f"{name} {_value(item)}" for name, item in sorted(value.items()))
        case list():
            return ", ".join(_value(item) for item in value) or "none"
        case _:
            return json.dumps(value)
