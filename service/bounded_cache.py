"""A cache that cannot grow: least recently used entries leave first, and every entry has an end."""

from __future__ import annotations

import math
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})
"""Of these no value holds another."""

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """At most ``max_entries`` values, each for its own number of seconds; for one thread.

    Args:
        max_entries: how many values are kept.
        max_bytes: of all of them together, as far as ``put`` is told their sizes.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries: OrderedDict[K, tuple[float, V, int]] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._clock = clock

    @property
    def bytes(self) -> int:
        """What the values take together, as told."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, unless it is unknown or past its end."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        end, value, _ = entry
        if self._clock() >= end:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def size(self, key: K) -> int:
        """Bytes that the value of ``key`` takes, as told; 0: there is none."""
        entry = self._entries.get(key)
        return entry[2] if entry else 0

    def put(self, key: K, value: V, *, seconds: float, size: int = 0) -> None:
        """Keep ``value`` for ``seconds``.

        Args:
            key: under which it is found.
            value: replaces one of the same key.
            seconds: until its end.
            size: bytes that it takes; one larger than all may be is not kept.
        """
        self.drop(key)
        self._entries[key] = (self._clock() + seconds, value, size)
        self._bytes += size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: K) -> None:
        """Forget a value, known or not."""
        entry = self._entries.pop(key, None)
        self._bytes -= entry[2] if entry else 0


def size_of(value: object) -> int:
    """Bytes that a value of plain data takes with all that it holds; what is shared counts twice.

    Args:
        value: a document of JSON, or a dataclass of texts, numbers and collections of them.
    """
    size = sys.getsizeof(value)
    if type(value) in _PLAIN:
        return size
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return size + sum(size_of(name) + size_of(member) for name, member in members.items())
    if isinstance(value, list | tuple | frozenset):
        return size + sum(map(size_of, cast("Collection[object]", value)))
    if is_dataclass(value):
        return size + sum(size_of(getattr(value, one.name)) for one in fields(value))
    return size
