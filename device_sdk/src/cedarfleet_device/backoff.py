"""Jittered exponential back-off: how long to wait before the next try."""

from __future__ import annotations

from random import SystemRandom
from typing import Final, Protocol

_EVEN: Final = (0.5, 1.0)


class Random(Protocol):
    """The one draw that the jitter needs; tests pass a seeded ``random.Random``."""

    def uniform(self, a: float, b: float, /) -> float:
        """Any number from ``a`` to ``b``."""
        ...


class Backoff:
    """Pauses whose bound doubles with each try that fails.

    The pauses are drawn, since a fleet that lost the same server must not come back at the same
    instant.

    Args:
        first: seconds, bound of the first pause.
        longest: seconds, largest bound.
        jitter: smallest and largest part of the bound that a pause may be.
        chance: draws the part.
    """

    def __init__(
        self,
        first: float,
        longest: float,
        *,
        jitter: tuple[float, float] = _EVEN,
        chance: Random | None = None,
    ) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._chance = chance or SystemRandom()
        self._bound = min(first, longest)

    def next_pause(self) -> float:
        """Seconds to wait before the next try."""
        pause = self._bound * self._chance.uniform(*self._jitter)
        self._bound = min(2 * self._bound, self._longest)
        return pause

    def reset(self) -> None:
        """A try succeeded: the next pause is a first one again."""
        self._bound = min(self._first, self._longest)
