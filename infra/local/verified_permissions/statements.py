"""One Cedar statement: parsed once, its scope known, its links written out.

A store keeps statements as text. Cedar's JSON form would carry ids of our own, but its reader
refuses expressions nested deeper than 128 levels, which a plain chain of 60 ``&&`` reaches; text
has no such limit.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import cedarpy

# Brackets in brackets; Cedar's parser overflows the process's stack at about 1000.
MAX_NESTING: Final = 100

_TOKEN: Final = re.compile(
    r'//[^\n\r]*|"(?:\\.|[^"\\])*"|\?(?:principal|resource)\b'
    r"|@\s*[A-Za-z_]\w*|[A-Za-z_]\w*|[()\[\]{}]",
    re.DOTALL,
)
_ENTITY_TYPE: Final = re.compile(r"(?:[_a-zA-Z][_a-zA-Z0-9]*::)*[_a-zA-Z][_a-zA-Z0-9]*")
_PLAIN: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.|@ :/+=,"
)


class StatementError(ValueError):
    """The text is not exactly one Cedar statement; ``str(error)`` are the parser's words."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A parsed statement.

    Attributes:
        kind: a ``template`` has at least one slot.
        effect: ``permit`` or ``forbid``.
        principal: Cedar's JSON form of the scope constraint, e.g. ``{"op": "==", "entity":
            {...}}``; likewise ``action`` and ``resource``.
        slots: where ``?principal`` and ``?resource`` stand in ``text``: start, end, name without
            the question mark.
    """

    text: str
    kind: Literal["static", "template"]
    effect: str
    principal: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    slots: tuple[tuple[int, int, str], ...]

    @property
    def slot_names(self) -> frozenset[str]:
        """``principal``, ``resource``, both or none."""
        return frozenset(name for _, _, name in self.slots)


@lru_cache(maxsize=8192)
def parse(text: str) -> Statement:
    """Read one statement.

    Raises:
        StatementError: no statement, more than one, a syntax error, or nested too deeply.
    """
    head_start, head_end, slots = _scan(text)
    try:
        found = cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        raise StatementError(str(error)) from error
    templates = found.templates()
    if len(found) + len(templates) != 1:
        raise StatementError(f"expected exactly one policy, got {len(found) + len(templates)}")
    try:
        head: dict[str, Any] = json.loads(
            cedarpy.policies_to_json_str(text[head_start:head_end] + ";")
        )
    except ValueError as error:
        # Only a comment between `@` and an annotation named `permit` misleads the scan.
        raise StatementError("the scope of the policy cannot be found") from error
    (scope,) = (head["templates"] or head["staticPolicies"]).values()
    return Statement(
        text=text,
        kind="template" if templates else "static",
        effect=scope["effect"],
        principal=scope["principal"],
        action=scope["action"],
        resource=scope["resource"],
        slots=slots,
    )


def link(
    template: Statement, *, principal: dict[str, str] | None, resource: dict[str, str] | None
) -> str:
    """The static statement that a template is for the given entities (``{"type", "id"}``).

    Raises:
        StatementError: an entity's type is no Cedar name.
    """
    values = {"principal": principal, "resource": resource}
    text, end = "", 0
    for start, stop, name in template.slots:
        entity = values[name]
        assert entity is not None, name  # noqa: S101 - the caller compares the slots first
        text += template.text[end:start] + entity_literal(entity)
        end = stop
    return text + template.text[end:]


def entity_literal(entity: dict[str, str]) -> str:
    r"""An entity as Cedar text: ``Fleet::User::"eu-1_x|a"``; unusual characters become ``\u{...}``.

    Raises:
        StatementError: the type is no Cedar name, and so could carry text of its own into the
            policy.
    """
    if _ENTITY_TYPE.fullmatch(entity["type"]) is None:
        raise StatementError(f"invalid entity type `{entity['type']}`")
    quoted = "".join(c if c in _PLAIN else f"\\u{{{ord(c):x}}}" for c in entity["id"])
    return f'{entity["type"]}::"{quoted}"'


def scope_entity(constraint: dict[str, Any]) -> dict[str, str] | None:
    """The entity that a principal or resource constraint names, if it names one."""
    if constraint["op"] == "is":
        constraint = constraint.get("in", {})
    return constraint.get("entity")


def scope_actions(constraint: dict[str, Any]) -> list[dict[str, str]]:
    """The actions that an action constraint names; none if it names none."""
    if "entities" in constraint:
        return list(constraint["entities"])
    return [constraint["entity"]] if "entity" in constraint else []


def _scan(text: str) -> tuple[int, int, tuple[tuple[int, int, str], ...]]:
    """Where the scope ``permit (...)`` starts and ends, and the slots in it.

    Raises:
        StatementError: there is no scope, or brackets nest too deeply for Cedar's recursive parser.
    """
    depth, start, end = 0, -1, -1
    slots: list[tuple[int, int, str]] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "([{":
            depth += 1
            if depth > MAX_NESTING:
                raise StatementError(f"brackets are nested more than {MAX_NESTING} deep")
        elif word in ")]}":
            depth -= 1
            if depth == 0 and start >= 0 and end < 0:
                end = token.end()
        elif word in ("permit", "forbid") and depth == 0 and start < 0:
            start = token.start()
        elif word[0] == "?" and start >= 0 and end < 0:
            slots.append((token.start(), token.end(), word[1:]))
    if end < 0:
        raise StatementError("unexpected end of input")
    return start, end, tuple(slots)
