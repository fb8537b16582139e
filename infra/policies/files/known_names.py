"""Refuses every name and value of a policy that nothing knows, with the nearest that is known.

To Cedar, `has` on an attribute that the schema lacks is simply false, and so is a comparison with a
value that the attribute never has: a forbid with a slip in a name forbids nobody, in silence.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

from infra.policies.files.cedar_text import expression_text, pattern_regex
from infra.policies.files.vocabulary import (
    action_of,
    confirmed,
    leaves,
    listed,
    nearest,
    told,
    unknown_lists,
)
from service.cedar.entities import DEVICE, DEVICE_GROUP, GROUP, USER
from service.cedar.request import ACTION
from service.cedar.terms import UNLESS, WHEN, WORDS_END, clause_bodies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.policies.files.vocabulary import Environment, Lists, Schema, Type
    from service.cedar.statement import Problem, Statement

_COMPARISONS: Final = frozenset({"==", "!=", "contains", "containsAll", "containsAny"})
_WORD: Final = re.compile(r"\w")
# Whose ids are free: a slip in one is found by nobody, unless it is written twice.
_FREE_IDS: Final = frozenset({USER, DEVICE})
_ANNOTATIONS: Final = frozenset({"id", "values", "when", "unless"})
_IN: Final = {GROUP: "principal", DEVICE_GROUP: "resource"}


class KnownNames:
    """Checks the names and values of one statement.

    Args:
        statement: a policy or template.
        schema: what the statement may speak of.
        lists: what the tenant's file, or the base, lists beside the schema.
        environments: the kinds of requests that the statement's scope leaves; all if none is left.
    """

    def __init__(
        self,
        statement: Statement,
        schema: Schema,
        lists: Lists,
        environments: Sequence[Environment],
    ) -> None:
        self._statement, self._schema, self._lists = statement, schema, lists
        asked = environments or schema.environments
        self._roots: dict[str, list[Type]] = {
            "principal": _once(schema.entity(one.principal) for one in asked),
            "resource": _once(schema.entity(one.resource) for one in asked),
            "context": _once(one.context for one in asked),
        }
        self._problems: list[Problem] = []
        self._free: list[tuple[str, str]] = []  # literals without a list, and what they are
        self._maybe: set[str] = set()  # literals whose list is not known here
        self._paired: set[int] = set()  # nodes of literals that were compared with a list
        self.named: set[str] = set()

    def problems(self) -> list[Problem]:
        """All that is not known; ``named`` has the names, of which Cedar's words say no more."""
        est = self._statement.est
        self._annotations(est.get("annotations", {}))
        for variable in ("principal", "action", "resource"):
            self._scope(variable, est[variable])
        for condition in est["conditions"]:
            self._walk(condition["body"])
        self._unconfirmed(list(confirmed(est.get("annotations", {}))))
        return list(dict.fromkeys(self._problems))

    def _annotations(self, annotations: Mapping[str, Any]) -> None:
        for name in set(annotations) - _ANNOTATIONS:
            words = f"`@{name}` means nothing here"
            self._unknown(words, name, _ANNOTATIONS, f"@{name}", has="there are")
        for kind in (WHEN, UNLESS):
            terms = clause_bodies(self._statement.est, kind)
            said = annotations.get(kind)
            told = [one.strip() for one in said.split(WORDS_END)] if said is not None else terms
            if len(told) != len(terms) or not all(told):
                words = (
                    f"`@{kind}` has words for {len(told)} conditions, and there are {len(terms)}: "
                    f"part them by `{WORDS_END}`; a `has` that guards another needs none"
                )
                self._problems.append(self._statement.problem(words, mentions=f"@{kind}("))

    def _scope(self, variable: str, scope: Mapping[str, Any]) -> None:
        if "entity_type" in scope:
            self._entity_type(scope["entity_type"])
        inside = scope.get("in", {})
        named = [scope.get("entity"), inside.get("entity"), *scope.get("entities", ())]
        for uid in filter(None, named):
            self._entity(uid)
            if scope["op"] == "==":
                self._not_equal(variable, uid)

    def _walk(self, node: object) -> None:  # noqa: C901, PLR0912 - one case per operator of Cedar
        if isinstance(node, list):
            for item in cast("list[object]", node):
                self._walk(item)
        if not isinstance(node, dict):
            return
        for operator, operand in cast("dict[str, Any]", node).items():
            match operator:
                case "Value":
                    self._value(node, operand)
                    continue
                case "has" | ".":
                    self._attribute(operand)
                case "hasTag" | "getTag":
                    self._tag(operand)
                case "like":
                    self._pattern(operand)
                case "is":
                    self._entity_type(operand["entity_type"])
                case comparison if comparison in _COMPARISONS:
                    self._compared(operand["left"], operand["right"])
                    if comparison in ("==", "!="):
                        self._equal_entities(operand)
                case "datetime" | "duration" | "ip" | "decimal":
                    continue  # what does not parse, the validator says
                case _:
                    pass
            self._walk(list(operand.values()) if isinstance(operand, dict) else operand)

    def _value(self, node: object, value: Any) -> None:
        if isinstance(value, str):
            if id(node) not in self._paired:
                self._free.append((value, "the text"))
        elif isinstance(value, dict) and "__entity" in value:
            self._entity(value["__entity"])

    # ---- attributes and tags ---------------------------------------------------------------------

    def _attribute(self, operand: Mapping[str, Any]) -> None:
        name, types = operand["attr"], self._types(operand["left"])
        if not types or any(name in self._schema.attributes(of) for of in types):
            return
        path = expression_text(operand["left"])
        known = frozenset[str]().union(*(self._schema.attributes(of) for of in types))
        words = f"the schema has no attribute `{name}` for {self._worded(types, path)}"
        elsewhere = sorted(
            kind
            for kind in self._schema.entity_types
            if name in self._schema.attributes(self._schema.entity(kind))
        )
        beside = f"; {' and '.join(elsewhere)} has one of that name" if elsewhere else ""
        self._unknown(words, name, known, f"{path} has {name}", f"{path}.{name}", name, end=beside)

    def _tag(self, operand: Mapping[str, Any]) -> None:
        types, key = self._types(operand["left"]), operand["right"].get("Value")
        if not types:
            return
        if not isinstance(key, str):
            words = "the name of a tag is written out, so that it can be checked"
            self._add(words, "hasTag", "getTag")
            return
        self._paired.add(id(operand["right"]))
        known = [self._schema.tags(of, self._lists) for of in types]
        if all(tags is not None and key not in tags for tags in known):
            tags = frozenset[str]().union(*filter(None, known))
            where = self._worded(types, expression_text(operand["left"]))
            words, beside = f"the schema has no tag `{key}` for {where}", ""
            if self._schema.tags_listed(types):
                beside = "; `tags` of the tenant's file lists more"
            self._unknown(words, key, tags, f'"{key}"', end=beside)

    def _types(self, node: Mapping[str, Any]) -> list[Type]:
        """The types that an expression may have; empty where it is not followed."""
        if "Var" in node:
            return self._roots.get(node["Var"], [])
        if "." in node:
            parents = self._types(node["."]["left"])
            found = [self._schema.attributes(of).get(node["."]["attr"]) for of in parents]
            return _once(one for one in found if one is not None)
        if "getTag" in node:
            tags = [self._schema.tag_type(of) for of in self._types(node["getTag"]["left"])]
            return _once(one for one in tags if one is not None)
        return []

    def _worded(self, types: Sequence[Type], path: str) -> str:
        return _or(sorted({self._schema.words(of, path) for of in types}))

    # ---- values ----------------------------------------------------------------------------------

    def _compared(self, *sides: Mapping[str, Any]) -> None:
        compared = [leaf for side in sides for leaf in leaves(side)]
        read = [leaf for leaf in compared if "." in leaf or "getTag" in leaf]
        for leaf in compared:
            if isinstance(leaf.get("Value"), str) and read:
                self._paired.add(id(leaf))
                self._literal(leaf["Value"], read)

    def _pattern(self, operand: Mapping[str, Any]) -> None:
        parts = operand["pattern"]
        shown = "".join("*" if part == "Wildcard" else part["Literal"] for part in parts)
        pattern = pattern_regex(parts)
        self._literal(shown, leaves(operand["left"]), pattern=pattern)

    def _literal(
        self,
        text: str,
        read: Iterable[Mapping[str, Any]],
        *,
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        """Check a literal against the list of each attribute that it is compared with."""
        for leaf in read:
            path, types = expression_text(leaf), self._types(leaf)
            if not types:  # the attribute is said to be unknown already
                self._maybe.add(text)
            for declared in types:
                known, whose = listed(declared, self._lists)
                if known is None and unknown_lists(declared, self._lists):
                    self._maybe.add(text)
                elif known is None:
                    self._free.append((text, f"{path}|{whose}"))
                elif not _among(text, known, pattern):
                    words = f"`{path}` is never `{text}`"
                    mentions = (f'"{text}"', text)
                    self._unknown(words, text, known, *mentions, has=f"{whose} lists")

    def _unconfirmed(self, given: Sequence[str]) -> None:
        needed = {text for text, _ in self._free if _WORD.search(text)}
        for text, path in self._free:
            if text in needed and text not in given:
                self._add(_confirm(text, path, given), f'"{text}"', text)
        for text in given:
            if text not in needed | self._maybe:
                words = (
                    f"`@values` confirms `{text}`, which no attribute without a list is compared"
                )
                needs = ", ".join(sorted(needed)) or "nothing"
                self._add(f"{words} with; to confirm there is {needs}", "@values")

    # ---- entities --------------------------------------------------------------------------------

    def _entity_type(self, name: str) -> None:
        if name not in self._schema.entity_types and name != ACTION:
            words, known = f"the schema has no entity type `{name}`", self._schema.entity_types
            self._unknown(words, name, known, name, has="there are")

    def _entity(self, uid: Mapping[str, str]) -> None:
        kind, name = uid["type"], uid["id"]
        literal = f'{kind}::"{name}"'
        if action_of(uid):
            if name not in self._schema.actions:
                words = f"the schema has no action `{name}`"
                self._unknown(
                    words, name, self._schema.actions, literal, f'"{name}"', name, has="there are"
                )
            return
        if kind not in self._schema.entity_types:
            if kind.endswith("::Action") or kind == "Action":
                self._unknown(f"`{literal}` is no action", ACTION, {ACTION}, kind)
            else:
                self._entity_type(kind)
            return
        # Fail closed: a forbid for a group that nobody, or nothing, is in forbids nothing.
        known, words = {
            GROUP: (self._lists.groups, "group"),
            DEVICE_GROUP: (self._lists.device_groups, "device group"),
        }.get(kind, (None, ""))
        if known is not None and name not in known:
            wrong = f"`{literal}` is no {words} of {self._lists.whose}"
            self._unknown(wrong, name, known, literal, f'"{name}"', name)
        elif kind in _FREE_IDS:
            self._free.append((name, "the id"))

    def _equal_entities(self, operand: Mapping[str, Any]) -> None:
        for one, other in (("left", "right"), ("right", "left")):
            variable = operand[one].get("Var")
            value = operand[other].get("Value")
            if variable and isinstance(value, dict) and "__entity" in value:
                self._not_equal(variable, cast("Any", value)["__entity"])

    def _not_equal(self, variable: str, uid: Mapping[str, str]) -> None:
        """A group is not who asks, nor what is asked about: these are in it."""
        literal = f'{uid["type"]}::"{uid["id"]}"'
        if _IN.get(uid["type"]) == variable:
            itself = (
                f"`{variable} == {literal}` is true of the group itself only, and not of what is"
            )
            alone = f"; for the group alone write `resource is {DEVICE_GROUP} in {literal}`"
            words = f"{itself} in it: write `{variable} in {literal}`"
            self._add(words + (alone if variable == "resource" else ""), literal, uid["id"])
        elif variable == "action" and self._is_group(uid):
            words = f"`{uid['id']}` is a group of actions: write `action in {literal}`"
            self._add(words, literal, uid["id"])

    def _is_group(self, uid: Mapping[str, str]) -> bool:
        asked = {one.action for one in self._schema.environments}
        return action_of(uid) and uid["id"] in set(self._schema.actions) - asked

    # ---- words -----------------------------------------------------------------------------------

    def _unknown(
        self,
        words: str,
        name: str,
        known: Iterable[str],
        *mentions: str,
        has: str = "it has",
        end: str = "",
    ) -> None:
        self.named.add(name)
        self._add(f"{words}{told(name, known, has=has)}{end}", *mentions)

    def _add(self, words: str, *mentions: str) -> None:
        self._problems.append(self._statement.problem(words, mentions=mentions))


def _confirm(text: str, path: str, given: Sequence[str]) -> str:
    path, _, whose = path.partition("|")
    close = nearest(text, given).removeprefix(";")
    listing = f"list it as {whose}, or " if whose else ""
    said = f"`{path}` is compared with" if "." in path else f"{path}"
    return (
        f"{said} `{text}`, of which no list is known: {listing}confirm that it is spelt right, "
        f'with `@values("{text}")` after `@id`{f";{close}" if close else ""}'
    )


def _among(text: str, known: frozenset[str], pattern: re.Pattern[str] | None) -> bool:
    return any(map(pattern.fullmatch, known)) if pattern else text in known


def _once(types: Iterable[Type]) -> list[Type]:
    found: list[Type] = []
    for one in types:
        if one not in found:
            found.append(one)
    return found


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
