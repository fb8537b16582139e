"""What a device maker writes for the state: a function for a key, and its values' version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

StateFunction: TypeAlias = Callable[[object], object]
"""Takes the desired value and brings it about; gives what holds now, None: just that.

It may be called again for a value that it was called for: where the power went before the outcome
was written down.
"""


@dataclass(frozen=True, kw_only=True)
class StateHandler:
    """A maker's function for one key.

    Attributes:
        function: takes the desired value.
        version: of the values that it understands; what is asked for in another is refused.
        time_limit_seconds: after which nobody waits for it.
    """

    function: StateFunction
    version: int
    time_limit_seconds: float


class StateHandlers:
    """The handlers of an agent by key."""

    def __init__(self) -> None:
        self._handlers: Final[dict[str, StateHandler]] = {}

    def add(self, key: str, handler: StateHandler) -> None:
        """Register ``handler`` for ``key``.

        Raises:
            ConfigError: no key of a state, no version, or it has a handler.
        """
        if not wire.is_state_key(key):
            raise ConfigError(
                f"`{key}` is no key of a state: a-z, then up to 39 of a-z, 0-9 and `-`"
            )
        if not 0 < handler.version <= wire.MAX_STATE_VERSION:
            raise ConfigError(
                f"the version of `{key}` is {handler.version}, it must be 1 to"
                f" {wire.MAX_STATE_VERSION}"
            )
        if key in self._handlers:
            raise ConfigError(f"the state `{key}` has two handlers")
        self._handlers[key] = handler

    def __iter__(self) -> Iterator[tuple[str, StateHandler]]:
        return iter(self._handlers.items())

    def __bool__(self) -> bool:
        return bool(self._handlers)
