"""Reads one policy file: its statement, its name and reason, and the line of what is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from cedarpy import Schema, policies_to_json_str, validate_policies

from service.cedar.binding import UNTIL
from service.cedar.syntax import syntax_error, too_deep, without_comments
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Effect = Literal["permit", "forbid"]

_QUOTED: Final = re.compile(r"`([^`]+)`")
_FOR_POLICY: Final = re.compile(r"for policy `policy\d+`, ")
_UNSAFE: Final = re.compile(
    r"unable to guarantee safety of access to "
    r"(?:optional attribute `(?P<name>\w+)`|tag `(?P<tag>.+?)`)"
)
_ANY_TIME: Final = 'datetime("2000-01-01T00:00:00Z")'


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: ``line`` counts from 1, and is 0 where the whole file is meant."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.words}" if self.line else f"{self.file}: {self.words}"
        )


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One parsed policy or template.

    Attributes:
        file: as shown in errors.
        text: the file's text.
        est: Cedar's JSON form of the policy.
        is_template: whether it has a slot.
    """

    file: str
    text: str
    est: dict[str, Any]
    is_template: bool

    @property
    def id(self) -> str:
        """The ``@id`` annotation, empty if there is none."""
        return str(self.est.get("annotations", {}).get("id") or "")

    @property
    def effect(self) -> Effect:
        """``permit`` or ``forbid``."""
        return "permit" if self.est["effect"] == "permit" else "forbid"

    @property
    def why(self) -> str:
        """The comment of the first line, empty if there is none."""
        first = self.text.partition("\n")[0].strip()
        return first.removeprefix("//").strip() if first.startswith("//") else ""

    @property
    def needs_until(self) -> bool:
        """Whether the grant's end is to be written in."""
        return UNTIL in self.text

    @property
    def first_line(self) -> int:
        """Where the statement begins, after comments and annotations."""
        begins = (
            number
            for number, line in _code_lines(self.text)
            if line.lstrip().startswith(self.effect)
        )
        return next(begins, 1)

    def entities(self) -> Iterator[EntityUid]:
        """Every entity that the statement names."""
        yield from named_entities(self.est)

    def problem(self, words: str, *, mentions: str | Sequence[str] = ()) -> Problem:
        """Something wrong with this statement, at the first line that has a text of ``mentions``.

        The texts are looked for in their order, each as a whole word before as a part of one.
        """
        sought = (mentions,) if isinstance(mentions, str) else mentions
        return Problem(file=self.file, line=self._line_of(sought), words=words)

    def validate(self, schema: Schema) -> list[Problem]:
        """What Cedar's strict validator says."""
        checked = self.text.replace(UNTIL, _ANY_TIME)
        problems: list[Problem] = []
        for error in validate_policies(checked, schema).errors:
            words = _FOR_POLICY.sub("", error.error)
            # of `kind` on entity type `Fleet::Device` the first is what was written
            mentions = next((found for found in _QUOTED.findall(words) if found in self.text), "")
            problems.append(self.problem(words + self._asked_before(words), mentions=mentions))
        return problems

    def _asked_before(self, words: str) -> str:
        """What a policy that reads something optional has to ask first, as it writes that."""
        if (unsafe := _UNSAFE.match(words)) is None:
            return ""
        name, tag = unsafe["name"], unsafe["tag"]
        for read in re.finditer(rf"([\w.]+)\.{name or 'getTag'}\b", self.text):
            asked = f"{read[1]} has {name}" if name else f"{read[1]}.hasTag({tag})"
            if asked not in self.text:
                return f": ask `{asked} &&` before it"
        return ""

    def _line_of(self, mentions: Sequence[str]) -> int:
        lines = list(_code_lines(self.text))
        for sought in filter(None, mentions):
            whole = re.compile(rf"(?<![\w-]){re.escape(sought)}(?![\w-])")
            for finds in (whole, re.compile(re.escape(sought))):
                for number, line in lines:
                    if finds.search(line):
                        return number
        return self.first_line


def parse(file: str, text: str) -> Statement | Problem:
    """The one statement of a file, or what is wrong with it."""
    if (found := too_deep(text)) is not None:
        line, words = found
        return Problem(file=file, line=line, words=words)
    try:
        document = json.loads(_json_of(text))
    except ValueError as error:
        line, words = syntax_error(text, str(error))
        return Problem(file=file, line=line, words=words)
    static, templates = document["staticPolicies"], document["templates"]
    if len(static) + len(templates) != 1:
        found = len(static) + len(templates)
        return Problem(file=file, line=0, words=f"one statement a file, found {found}")
    est = next(iter({**static, **templates}.values()))
    return Statement(file=file, text=text, est=est, is_template=bool(templates))


# Each run of a stack, its preview and each check ask for the same few dozen texts.
@lru_cache(maxsize=512)
def _json_of(text: str) -> str:
    return policies_to_json_str(text)


def _code_lines(text: str) -> Iterator[tuple[int, str]]:
    yield from enumerate(without_comments(text).splitlines(), start=1)


def statement_est(text: str) -> dict[str, Any]:
    """Cedar's JSON form of one statement, policy or template.

    Raises:
        ValueError: it does not parse, or is not exactly one.
    """
    document = json.loads(_json_of(text))
    found = [*document["staticPolicies"].values(), *document["templates"].values()]
    if len(found) != 1:
        raise ValueError(f"one statement expected, found {len(found)}")
    return found[0]


def named_entities(node: object) -> Iterator[EntityUid]:
    """Every entity in Cedar's JSON form of a policy."""
    if isinstance(node, dict):
        known: dict[str, Any] = node  # pyright: ignore[reportUnknownVariableType]
        if set(known) == {"type", "id"} and isinstance(known["type"], str):
            yield EntityUid(known["type"], known["id"])
        for value in known.values():
            yield from named_entities(value)
    elif isinstance(node, list):
        for item in node:  # pyright: ignore[reportUnknownVariableType]
            yield from named_entities(item)
