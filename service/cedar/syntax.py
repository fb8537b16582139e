"""Says of a text that is no Cedar policy what is wrong with it, and in which line.

Cedar's messages have no position, and say what was found rather than what is missing. But its
parser says ``unexpected end of input`` of a text that needs to go on, so the first lexeme that
cannot stand where it stands is the last of the shortest beginning of which it says something else;
and what is missing there is what makes the text parse.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from cedarpy import PolicySet

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEXEME: Final = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"|::|==|!=|<=|>=|&&|\|\||[?@]?\w+|[^\s\w]')
# Brackets in brackets: at about 1000 Cedar's parser overflows the process's stack.
_MAX_NESTING: Final = 100
_NOT_HERE: Final = "unexpected token"
_TOO_EARLY: Final = "unexpected end of input"
_CLOSES: Final = {"(": ")", "{": "}", "[": "]"}
# What other languages, or a word processor, write in the place of Cedar's.
_WRITTEN: Final = {
    "and": "&&",
    "AND": "&&",
    "or": "||",
    "OR": "||",
    "not": "!",
    "NOT": "!",
    "=": "==",
    "True": "true",
    "False": "false",
    "allow": "permit",
    "deny": "forbid",
    "where": "when",
    "#": "//",
    "'": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": '"',
    "\N{RIGHT SINGLE QUOTATION MARK}": '"',
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}
_MISSING: Final = (";", ",", "{", "(", "&&", "when {")
# Cedar's own words, functions and methods (source: Cedar policy language guide, "Grammar
# specification" and "Operators and functions").
_WORDS: Final = (
    *("permit", "forbid", "when", "unless", "principal", "action", "resource", "context"),
    *("in", "is", "has", "like", "if", "then", "else", "true", "false"),
    *("contains", "containsAll", "containsAny", "isEmpty", "hasTag", "getTag"),
    *("ip", "isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange"),
    *("decimal", "lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"),
    *("datetime", "duration", "offset", "durationSince", "toDate", "toTime"),
    *("toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"),
)
_NAMED: Final = re.compile(r"`(\w+)`|: (\w+)$")


def too_deep(text: str) -> tuple[int, str] | None:
    """Line and words if brackets are nested too deeply for Cedar's parser, which must not see it.

    It would end the process.
    """
    depth = 0
    for match in _LEXEME.finditer(text):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if depth > _MAX_NESTING:
            words = f"brackets are nested more than {_MAX_NESTING} deep"
            return _line(text, match.start()), words
    return None


def syntax_error(text: str, words: str) -> tuple[int, str]:
    """The line of what is wrong, and what is missing there, or else Cedar's words.

    Args:
        text: of a file that does not parse, and is not ``too_deep``.
        words: Cedar's message.
    """
    lexemes = [match for match in _LEXEME.finditer(text) if not match[0].startswith("//")]
    for match in lexemes:
        if match[0] == '"':
            return _line(text, match.start()), 'a text begins with `"` that is not closed here'
    if (spelt := _spelt_otherwise(text, lexemes)) is not None:
        return spelt
    at = _first_wrong(text, [match.end() for match in lexemes])
    if at == len(lexemes):
        line = _line(text, max(len(text.rstrip()) - 1, 0))
        missing = _missing_at_the_end(text, lexemes)
        return (line, missing) if missing else _misspelt(text, lexemes, line, words)
    # What should end a policy or an expression is missed only at the word after the next one.
    for repair in (_added, _otherwise):
        for place in (at, at - 1):
            if place >= 0 and (found := repair(text, lexemes, place)) is not None:
                return found
    # A token is unexpected where it stands; what else Cedar names may stand anywhere.
    after = lexemes[max(at - 1, 0) :] if words.startswith(_NOT_HERE) else lexemes
    return _misspelt(text, after, _line(text, lexemes[at].start()), words)


def _misspelt(text: str, lexemes: list[re.Match[str]], line: int, words: str) -> tuple[int, str]:
    """Cedar's words, at the first word of the text that they name, with what it may have meant."""
    named = [one or other for one, other in _NAMED.findall(words)]
    for lexeme in lexemes:
        if lexeme[0] in named:
            near = get_close_matches(lexeme[0].lower(), _WORDS, n=1)
            meant = f"; did you mean `{near[0]}`?" if near and near[0] != lexeme[0] else ""
            return _line(text, lexeme.start()), words + meant
    return line, words


def _spelt_otherwise(text: str, lexemes: list[re.Match[str]]) -> tuple[int, str] | None:
    """The first lexeme that Cedar writes otherwise, if the text parses with all of them so."""
    foreign = [match for match in lexemes if match[0] in _WRITTEN]
    if not foreign:
        return None
    written, end = "", 0
    for match in foreign:
        written += text[end : match.start()] + _WRITTEN[match[0]]
        end = match.end()
    if not _parses(written + text[end:]):
        return None
    first = foreign[0][0]
    return _line(text, foreign[0].start()), f"`{first}` is written `{_WRITTEN[first]}` in Cedar"


def _added(text: str, lexemes: list[re.Match[str]], place: int) -> tuple[int, str] | None:
    """What makes the text parse if it is added before a lexeme."""
    found = lexemes[place]
    for missing, closes in _candidates(text, lexemes[:place]):
        if _parses(f"{text[: found.start()]} {missing} {text[found.start() :]}"):
            before = lexemes[place - 1].end() - 1 if missing == ";" and place else found.start()
            return _line(text, before), f"`{missing}` is missing before `{found[0]}`{closes}"
    return None


def _otherwise(text: str, lexemes: list[re.Match[str]], place: int) -> tuple[int, str] | None:
    """Whether some expression is missing before a lexeme, or the lexeme is too much."""
    found = lexemes[place]
    if _parses(f"{text[: found.start()]} true {text[found.start() :]}"):
        return _line(text, found.start()), f"something is missing before `{found[0]}`"
    if _parses(text[: found.start()] + text[found.end() :]):
        return _line(text, found.start()), f"`{found[0]}` is too much"
    return None


def _missing_at_the_end(text: str, lexemes: list[re.Match[str]]) -> str:
    opened = _opened(lexemes)
    if opened:
        closing, where = _CLOSES[opened[-1][0]], _line(text, opened[-1].start())
        return f"`{closing}` is missing: `{opened[-1][0]}` of line {where} is never closed"
    return "`;` is missing at the end" if _parses(f"{text}\n;") else ""


def _candidates(text: str, before: list[re.Match[str]]) -> Iterator[tuple[str, str]]:
    """What may be missing, the brackets that are open first, with words for these."""
    opened = _opened(before)
    for count in range(1, len(opened) + 1):
        last = opened[-count]
        closing = "".join(_CLOSES[one[0]] for one in reversed(opened[-count:]))
        where = _line(text, last.start())
        yield closing, f": `{last[0]}` of line {where} is never closed"
    for missing in _MISSING:
        yield missing, ""


def _opened(lexemes: list[re.Match[str]]) -> list[re.Match[str]]:
    opened: list[re.Match[str]] = []
    for match in lexemes:
        if match[0] in _CLOSES:
            opened.append(match)
        elif opened and match[0] == _CLOSES[opened[-1][0]]:
            opened.pop()
    return opened


def _first_wrong(text: str, ends: list[int]) -> int:
    good, bad = 0, len(ends)
    while good < bad:
        middle = (good + bad) // 2
        if _can_go_on(text[: ends[middle]]):
            good = middle + 1
        else:
            bad = middle
    return good


def _can_go_on(beginning: str) -> bool:
    try:
        PolicySet.from_str(beginning)
    except ValueError as error:
        return _TOO_EARLY in str(error)
    return True


def _parses(text: str) -> bool:
    try:
        PolicySet.from_str(text)
    except ValueError:
        return False
    return True


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def without_comments(text: str) -> str:
    """The text with nothing where comments were; lines stay as many."""
    return _LEXEME.sub(lambda found: "" if found[0].startswith("//") else found[0], text)
