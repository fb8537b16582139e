"""What a policy store holds, and what its decisions see of it: changes show a while later.

Source: Verified Permissions API reference, CreatePolicy (and each other write): "Verified
Permissions is eventually consistent. It can take a few seconds for a new or changed element to
propagate through the service and be visible in the results of other Verified Permissions
operations."
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .records import IdentitySource, Policy, StoredSchema, Template


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """How late decisions see a change.

    Attributes:
        now: seconds on some clock.
        seconds: that it takes, at the time of the change.
    """

    now: Callable[[], float]
    seconds: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All of a store that a decision depends on.

    Attributes:
        revision: counts up with each change.
        policies: by id, in order of creation; likewise ``templates`` and ``sources``.
    """

    revision: int
    schema: StoredSchema | None
    policies: Mapping[str, Policy]
    templates: Mapping[str, Template]
    sources: Mapping[str, IdentitySource]

    def kept(self) -> Contents:
        """The same, which no later change alters."""
        return replace(
            self,
            policies=dict(self.policies),
            templates=dict(self.templates),
            sources=dict(self.sources),
        )


class History:
    """What stood before each change that is not seen yet."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._before: dict[str, list[tuple[float, Contents]]] = {}

    def note(self, store_id: str, before: Contents) -> None:
        """Say, before a change, what it changes."""
        if (seconds := self._visibility.seconds()) > 0:
            self.seen(store_id, before)  # forgets what has been seen meanwhile
            due = self._visibility.now() + seconds
            self._before.setdefault(store_id, []).append((due, before.kept()))

    def seen(self, store_id: str, now: Contents) -> Contents:
        """What decisions see of a store that holds this now."""
        held = self._before.get(store_id, [])
        at = self._visibility.now() if held else 0.0
        while held and held[0][0] <= at:
            held.pop(0)
        return held[0][1] if held else now
