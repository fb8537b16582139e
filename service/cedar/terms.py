"""The terms of a policy: the parts of scope and conditions that must hold for it to apply.

Made of Cedar's JSON form: what stands between ``&&`` is a term of its own, in an ``unless`` what
stands between ``||``. Cedar evaluates each as a policy of its own (see ``explanation``), and writes
it as text. The words of a term are the policy's own: ``@when("first; second")`` has those of the
``when``, ``@unless("first; second")`` those of the ``unless``, in their order. A ``has`` that only
guards another term of the same clause is part of that one, and has no words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cedarpy

from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Path: TypeAlias = tuple[str, ...]
"""What a condition reads, e.g. ``("resource", "criticality")``; of a tag, with its name in it."""
WHEN: Final = "when"
UNLESS: Final = "unless"
WORDS_END: Final = ";"
_ANYTHING: Final = {"op": "All"}
_VARIABLES: Final = ("principal", "resource")
_TAGS: Final = frozenset({"hasTag", "getTag"})
_WITHIN: Final = frozenset({"in", "=="})


class Change(StrEnum):
    """Who can make a term come out otherwise."""

    CALLER = "caller"  # by what the request says
    PEOPLE = "ManagePeople"  # whoever may put people into groups
    TAGS = "SetDeviceTags"
    GROUPS = "SetDeviceGroups"
    FACTS = "ConfigureDevice"
    OPERATOR = "operator"  # of the platform, or of the tenant's stack
    TIME = "time"  # nobody: it comes or goes by itself


_OF_CONTEXT: Final[Mapping[str, Change]] = {
    "now": Change.TIME,
    "token": Change.OPERATOR,
    "members_allowed": Change.FACTS,  # of the group's members
}


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a policy.

    Attributes:
        applies: the policy applies only while the term comes out as this.
        body: in Cedar's JSON form.
        condition: the same as Cedar writes it.
        words: the policy's own, or ``condition`` where it has none.
        reads: what it reads of the request and of what the request is about.
    """

    applies: bool
    body: Mapping[str, Any]
    condition: str
    words: str
    reads: tuple[Path, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Who can make it come out otherwise, in the order of what it reads."""
        return tuple(dict.fromkeys(_change(path) for path in self.reads))


def terms_of(
    policy: Mapping[str, Any], *, name: Callable[[EntityUid], EntityUid] = lambda uid: uid
) -> tuple[Term, ...]:
    """The terms of a policy, scope first; what it says of the action is none.

    Args:
        policy: in Cedar's JSON form, without blanks.
        name: of an entity, as the text of a condition is to name it.

    Raises:
        ValueError: Cedar cannot write a part of it.
    """
    words = policy.get("annotations") or {}
    found = [
        _term(body, applies=True, words=None, name=name)
        for variable in _VARIABLES
        if (body := _of_scope(variable, policy[variable])) is not None
    ]
    for kind, split, applies in ((WHEN, "&&", True), (UNLESS, "||", False)):
        bodies = clause_bodies(policy, kind, split)
        told = [one.strip() for one in str(words.get(kind) or "").split(WORDS_END)]
        # Words that are not as many as the terms would be said of the wrong ones.
        named = told if len(told) == len(bodies) else [""] * len(bodies)
        found += [
            _term(body, applies=applies, words=text, name=name)
            for body, text in zip(bodies, named, strict=True)
        ]
    return tuple(found)


def clause_bodies(
    policy: Mapping[str, Any], kind: str, split: str | None = None
) -> list[dict[str, Any]]:
    """What needs words in all clauses of one kind, in their order."""
    split = split or ("&&" if kind == WHEN else "||")
    return [
        body
        for condition in policy.get("conditions", ())
        if condition["kind"] == kind
        for body in _without_guards(list(_parts(condition["body"], split)))
    ]


def _parts(body: Any, operator: str) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict) and body.keys() == {operator}:
        yield from _parts(body[operator]["left"], operator)
        yield from _parts(body[operator]["right"], operator)
    else:
        yield body


def _without_guards(bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that do not merely ask whether there is what another one reads."""

    def guards(index: int, body: Mapping[str, Any]) -> bool:
        path = _path(body["has"]) if set(body) == {"has"} else None
        return path is not None and any(
            read[: len(path)] == path for one in bodies[index + 1 :] for read in paths_in(one)
        )

    return [body for index, body in enumerate(bodies) if not guards(index, body)]


def _of_scope(variable: str, scope: Mapping[str, Any]) -> dict[str, Any] | None:
    inside = scope.get("in", scope)
    if "entity" not in inside:
        return None
    operator = "==" if scope["op"] == "==" else "in"
    return {
        operator: {
            "left": {"Var": variable},
            "right": {"Value": {"__entity": inside["entity"]}},
        }
    }


def _term(
    body: Mapping[str, Any],
    *,
    applies: bool,
    words: str | None,
    name: Callable[[EntityUid], EntityUid],
) -> Term:
    condition = written(_renamed(body, name))
    return Term(
        applies=applies,
        body=body,
        condition=condition,
        words=words or condition,
        reads=tuple(dict.fromkeys(paths_in(body))),
    )


def _renamed(node: Any, name: Callable[[EntityUid], EntityUid]) -> Any:
    if isinstance(node, list):
        return [_renamed(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"__entity"}:
        return {"__entity": name(EntityUid(**node["__entity"])).json()}
    return {key: _renamed(item, name) for key, item in node.items()}


def written(body: Mapping[str, Any]) -> str:
    """A condition as Cedar writes it.

    Raises:
        ValueError: it is of no form that Cedar knows.
    """
    text = cedarpy.policies_from_json_str(json.dumps(as_policies({"p": body})))
    between = text[text.index("{") + 1 : text.rindex("}")]
    return " ".join(between.split())


def as_policies(bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Cedar's JSON form of a set in which each condition is a permit of its own."""
    return {
        "staticPolicies": {
            name: {
                "effect": "permit",
                "principal": _ANYTHING,
                "action": _ANYTHING,
                "resource": _ANYTHING,
                "conditions": [{"kind": WHEN, "body": body}],
            }
            for name, body in bodies.items()
        },
        "templates": {},
        "templateLinks": [],
    }


def paths_in(node: Any) -> Iterator[Path]:
    """What a part of a condition reads, the longest of each; a group that is asked for, as one."""
    if isinstance(node, list):
        for part in node:
            yield from paths_in(part)
        return
    if not isinstance(node, dict) or "Value" in node:
        return
    for operator, parts in node.items():
        path = _path(parts) if operator in (".", "has") else None
        if path is not None:
            yield path
        elif operator in _TAGS and (tag := parts["right"].get("Value")) is not None:
            yield ("resource", "tags", str(tag))
        elif operator in _WITHIN and parts["left"].keys() == {"Var"}:
            of_groups = operator == "in"
            yield (parts["left"]["Var"], "groups" if of_groups else "id")
            yield from paths_in(parts["right"])
        else:
            yield from paths_in(list(parts.values()) if isinstance(parts, dict) else parts)


def _path(parts: Any) -> Path | None:
    """``context.token.sub`` as a path; ``None`` of what is no chain of names from a variable."""
    left, name = parts["left"], parts["attr"]
    if left.keys() == {"Var"}:
        return (left["Var"], name)
    above = _path(left["."]) if left.keys() == {"."} else None
    return None if above is None else (*above, name)


def _change(path: Path) -> Change:  # noqa: PLR0911 - one per kind of path
    match path:
        case ("principal", *_):
            return Change.PEOPLE
        case ("resource", "tags", *_):
            return Change.TAGS
        case ("resource", "groups", *_):
            return Change.GROUPS
        case ("resource", "id" | "tenant", *_):
            return Change.OPERATOR
        case ("resource", *_):
            return Change.FACTS
        case ("context", name, *_):
            return _OF_CONTEXT.get(name, Change.CALLER)
        case _:
            return Change.CALLER
