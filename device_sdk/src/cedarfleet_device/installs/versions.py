"""Which of two versions is later: semantic versioning, with any number of dotted numbers.

Source: Semantic Versioning 2.0.0, item 11. Missing numbers count as 0.
"""

from __future__ import annotations

from typing import TypeAlias

_Part: TypeAlias = tuple[int, int, str]


def later_than(one: str, other: str) -> bool | None:
    """Whether ``one`` is later than ``other``; None: they cannot be compared."""
    first, second = _read(one), _read(other)
    return None if first is None or second is None else first > second


def same(one: str, other: str) -> bool:
    """Whether both are one version, written alike or not; build data counts as well."""
    return one == other or (
        one.partition("+")[2] == other.partition("+")[2]
        and _read(one) is not None
        and _read(one) == _read(other)
    )


def _read(version: str) -> tuple[tuple[int, ...], bool, tuple[_Part, ...]] | None:
    """Numbers, whether it is a release, and the parts of a pre-release; None: no such version."""
    release, dash, pre = version.partition("+")[0].partition("-")
    parts = release.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts) or (dash and not pre):
        return None
    numbers = [int(part) for part in parts]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), not dash, tuple(map(_part, pre.split("."))) if dash else ()


def _part(text: str) -> _Part:
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)
