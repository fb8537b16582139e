"""What stood before each change that is not seen yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from infra.local.cloud.limits.enforcing import Limits
    from infra.local.cloud.limits.rows import Delay


class History:
    """The eyes of a service that sees changes late, each by the same delay.

    Args:
        limits: clock and pace.
        delay: after which a change is seen.
    """

    def __init__(self, limits: Limits, delay: Delay) -> None:
        self._limits, self._delay = limits, delay
        self._before: dict[Hashable, list[tuple[float, Any]]] = {}

    def changed(self, key: Hashable, before: Any) -> None:
        """Note a change, with a copy of what stood before it (None: nothing)."""
        due = self._limits.clock.now() + self._limits.seconds(self._delay)
        self._before.setdefault(key, []).append((due, before))

    def seen(self, key: Hashable, now: Any) -> Any:
        """What is seen of something that stands as ``now``."""
        held = self._before.get(key)
        if held is None:
            return now
        at = self._limits.clock.now()
        while held and held[0][0] <= at:
            held.pop(0)
        if not held:
            del self._before[key]
            return now
        return held[0][1]

    def held(self) -> list[Any]:
        """Keys of what has changed and may not be seen yet."""
        return list(self._before)
