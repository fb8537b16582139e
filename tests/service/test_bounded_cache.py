"""A cache that cannot grow: what is used least leaves first, and nothing outlives its end."""

from __future__ import annotations

from service.bounded_cache import BoundedCache


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
