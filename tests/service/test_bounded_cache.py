"""A cache that cannot grow: what is used least leaves first, and nothing outlives its end."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service.bounded_cache import BoundedCache, size_of

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_value_ends_at_its_second() -> None:
    """Not a moment later, and it is no longer counted then."""
    now = [0.0]
    cache: BoundedCache[str, int] = BoundedCache(max_entries=2, clock=lambda: now[0])
    cache.put("a", 1, seconds=10)
    now[0] = 9.9
    assert cache.get("a") == 1
    now[0] = 10.0
    assert cache.get("a") is None
    assert len(cache) == 0
    now[0] = 20.0
    cache.put("a", 2, seconds=5)
    now[0] = 24.0
    assert cache.get("a") == 2


def test_the_value_used_longest_ago_leaves_first() -> None:
    """Reading and writing again are uses; the newest value is never the one that leaves."""
    cache: BoundedCache[str, int] = BoundedCache(max_entries=3)
    for name in "abc":
        cache.put(name, 1, seconds=100)
    assert cache.get("a") == 1
    cache.put("b", 2, seconds=100)
    cache.put("d", 1, seconds=100)
    assert len(cache) == 3
    assert [cache.get(name) for name in "abcd"] == [1, 2, None, 1]


def test_a_dropped_value_is_forgotten() -> None:
    """Known or not."""
    cache: BoundedCache[str, int] = BoundedCache(max_entries=1)
    cache.put("a", 1, seconds=100)
    cache.drop("a")
    cache.drop("never")
    assert cache.get("a") is None


def test_values_leave_before_they_take_more_than_they_may() -> None:
    """The longest unused first; what is replaced, dropped or too large for all counts no more."""
    cache: BoundedCache[str, int] = BoundedCache(max_entries=100, max_bytes=10)
    for name in "abc":
        cache.put(name, 1, seconds=100, size=4)
    assert ([cache.get(name) for name in "abc"], cache.bytes) == ([None, 1, 1], 8)
    cache.put("e", 1, seconds=100, size=2)
    assert ([cache.get(name) for name in "bce"], cache.bytes) == ([1, 1, 1], 10), "to the last byte"
    cache.drop("e")
    cache.put("b", 1, seconds=100, size=2)
    assert (cache.get("c"), cache.bytes) == (1, 6)
    assert [cache.size(name) for name in "abc"] == [0, 2, 4]
    cache.drop("c")
    cache.put("d", 1, seconds=100, size=11)
    assert (len(cache), cache.bytes) == (0, 0)


@dataclass(frozen=True)
class Row:
    """Something with a text and a collection."""

    name: str
    members: frozenset[str]


@pytest.mark.parametrize(
    "made",
    [
        lambda number: {"name": f"{number}" * 50, "groups": [f"{number}-{i}" for i in range(50)]},
        lambda number: [{f"{number}": {}} for _ in range(30)],
        lambda number: Row(f"{number}", frozenset(f"{number}-{i}" for i in range(90))),
    ],
)
def test_a_size_is_what_a_value_takes(made: Callable[[int], object]) -> None:
    """As the process itself measures it, a fifth more or less."""
    taken: list[int] = []
    told = 0
    for _ in range(5):
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            values = [made(number) for number in range(300, 500)]
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        taken.append(after - before)
        told = sum(map(size_of, values))
    # Other threads of the process, as that of an embedded cloud, only ever add to it.
    assert 0.8 * min(taken) < told < 1.25 * min(taken)
