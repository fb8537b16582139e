"""Which kinds of requests a policy's scope leaves, or why it leaves none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.policies.files.vocabulary import Environment, Schema

_ROLES = {"principal": "who asks", "resource": "what is asked about"}


def environments(est: Mapping[str, Any], schema: Schema) -> list[Environment]:
    """The kinds of requests that the scope of a policy in Cedar's JSON form leaves."""
    return [
        one
        for one in schema.environments
        if _action(est["action"], one.action, schema)
        and _entity(est["principal"], one.principal, schema)
        and _entity(est["resource"], one.resource, schema)
    ]


def why_none(est: Mapping[str, Any], schema: Schema) -> str:
    """Why no request fits the scope, if its names are known."""
    asked = [one for one in schema.environments if _action(est["action"], one.action, schema)]
    for variable, role in _ROLES.items():
        types = sorted({str(getattr(one, variable)) for one in schema.environments})
        if not any(_entity(est[variable], kind, schema) for kind in types):
            return f"{role} is never {_wanted(est[variable])}, but {' or '.join(types)}"
    types = sorted({one.resource for one in asked})
    actions = sorted({one.action for one in asked})
    if est["action"].get("entities") == []:
        return "`action in []` names no action"
    if not actions:
        return "its action is a group of actions, which nobody asks for: write `action in`"
    return (
        f"no action that it names is asked of {_wanted(est['resource'])}: "
        f"{', '.join(actions)} {'are' if len(actions) > 1 else 'is'} asked of {' or '.join(types)}"
    )


def _action(scope: Mapping[str, Any], action: str, schema: Schema) -> bool:
    match scope["op"]:
        case "All":
            return True
        case "==":
            return bool(scope["entity"]["id"] == action)
        case _:
            named = scope["entities"] if "entities" in scope else [scope["entity"]]
            return any(one["id"] in schema.actions[action] for one in named)


def _entity(scope: Mapping[str, Any], kind: str, schema: Schema) -> bool:
    if scope.get("entity_type", kind) != kind:
        return False
    for part in (scope, scope.get("in", {})):
        uid = part.get("entity")
        if uid is None:
            continue
        equal = part.get("op") == "=="
        if not (uid["type"] == kind if equal else schema.holds(uid["type"], kind)):
            return False
    return True


def _wanted(scope: Mapping[str, Any]) -> str:
    uid = scope.get("entity") or scope.get("in", {}).get("entity")
    parts = [f"a {scope['entity_type']}"] if "entity_type" in scope else []
    if uid:
        how = "" if scope["op"] == "==" else "in "
        parts.append(f'{how}{uid["type"]}::"{uid["id"]}"')
    return " ".join(parts) or "anything"


def asked_actions(found: Sequence[Environment]) -> list[str]:
    """The actions of some kinds of requests, by name."""
    return sorted({one.action for one in found})
