"""Parses statements that differ in their texts alone only once: tenants' differ in nothing else.

The same policy of two tenants names another pool and another tenant, each as a text in quotation
marks. So the texts are taken out, what is left is parsed once, and the texts are put back into what
came of it. Where that could make a difference the statement is parsed as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK: Final = "\N{SECTION SIGN}"
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMMENT_OR_TEXT: Final = re.compile(rf"//[^\n]*|{_TEXT.pattern}")
# A pattern is taken apart as it is parsed, and what is escaped is not what it stands for.
_OWN: Final = re.compile(rf"\blike\b|\\|{_MARK}")
_STATEMENTS: Final = 1024  # parsed ones that are remembered, of all releases and all tenants' own


def shared_est(text: str) -> dict[str, Any]:
    """As ``statement_est``, which parses the first of its kind.

    Raises:
        ValueError: as there.
    """
    said = _COMMENT_OR_TEXT.sub(lambda found: found[0] if found[0][0] == '"' else "", text)
    if _OWN.search(said):
        return statement_est(text)
    marks: dict[str, str] = {}

    def taken_out(found: re.Match[str]) -> str:
        mark = marks.setdefault(found[0][1:-1], f"{_MARK}{len(marks)}{_MARK}")
        return f'"{mark}"'

    rest = _TEXT.sub(taken_out, said)
    try:
        return _put_back(_parsed(rest), {mark: word for word, mark in marks.items()})
    except ValueError:
        # What is wrong is to be said of the statement as it is.
        return statement_est(text)


@lru_cache(maxsize=_STATEMENTS)
def _parsed(text: str) -> dict[str, Any]:
    return statement_est(text)


def _put_back(node: Any, words: Mapping[str, str]) -> Any:
    """The same with the words in their places.

    Raises:
        ValueError: a mark is part of something else.
    """
    match node:
        case str():
            if (word := words.get(node)) is not None:
                return word
            if _MARK in node:
                raise ValueError("a text became a part of another")
            return node
        case dict():
            return {_put_back(name, words): _put_back(item, words) for name, item in node.items()}
        case list():
            return [_put_back(item, words) for item in node]
        case _:
            return node
