"""Patterns of AWS's service models, which are Java's, as Python reads them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

_LAST_OF_THE_BASIC_PLANE: Final = 0xFFFF
# Above the basic plane, categories are not told apart: a million characters, a second.
_ABOVE: Final = r"\U00010000-\U0010FFFF"
_ASCII: Final = {
    "ASCII": r"\x00-\x7F",
    "Cntrl": r"\x00-\x1F\x7F",
    "Digit": "0-9",
    "Graph": r"\x21-\x7E",
    "Print": r"\x20-\x7E",
    "Upper": "A-Z",
}
_PROPERTY: Final = re.compile(r"\\p\{(\w+)\}")
# `|(?i)<script>)`: a flag that begins the last alternative of a group and holds to the group's end.
_FLAG_INSIDE: Final = re.compile(r"\|\(\?i\)([^()|]*)\)")
# As UTF-16 writes what is above the basic plane.
_SURROGATES: Final = r"\uD800\uDC00-\uDBFF\uDFFF"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A model's pattern; AWS wants the whole value to match.

    Raises:
        re.error: a construct of Java's that is not known here.
    """
    text = pattern.replace(_SURROGATES, _ABOVE)
    # `[\w-_]`: a dash behind a class stands for itself.
    text = re.sub(r"(\\w)-(?=[^\]])", r"\1\\-", text)
    text = _FLAG_INSIDE.sub(r"|(?i:\1))", text)
    outside: list[str] = []
    depth = position = 0
    for match in _PROPERTY.finditer(text):
        between = text[position : match.start()].replace(r"\[", "").replace(r"\]", "")
        depth += between.count("[") - between.count("]")
        characters = _characters(match[1])
        outside += [text[position : match.start()], characters if depth > 0 else f"[{characters}]"]
        position = match.end()
    return re.compile("".join([*outside, text[position:]]))


def _characters(name: str) -> str:
    """The inside of a character class for a property, e.g. ``L`` (letters) or ``Graph``."""
    if name in _ASCII:
        return _ASCII[name]
    listed = _ranges()[name]
    return listed if name == "C" else listed + _ABOVE


@cache
def _ranges() -> dict[str, str]:
    """General category -> its characters in the basic plane, as ranges."""
    found: dict[str, list[list[int]]] = {}
    for number in range(_LAST_OF_THE_BASIC_PLANE + 1):
        runs = found.setdefault(unicodedata.category(chr(number))[0], [])
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return {
        category: "".join(f"\\u{first:04X}-\\u{last:04X}" for first, last in runs)
        for category, runs in found.items()
    }
