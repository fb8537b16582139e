"""What a device remembers of each key: what it was asked, and what it answered.

It stands in the device's memory before it is told, so that after a restart, or days offline, the
same answer is given again and nothing is done twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cedarfleet_device.wire import DesiredState, ReportedState, WireError

if TYPE_CHECKING:
    from cedarfleet_device.states.handlers import StateHandlers
    from cedarfleet_device.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """One key: ``reported`` answers ``desired``."""

    desired: DesiredState
    reported: ReportedState


class StateMemory:
    """The keys of a device.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, key: str) -> Remembered | None:
        """What is remembered of a key; None: nothing, or nothing that this release reads.

        Raises:
            StoreError: the store cannot be read.
        """
        text = self._store.note(_name(key))
        if text is None:
            return None
        try:
            held: Any = json.loads(text)
            members = cast("dict[str, Any]", held) if isinstance(held, dict) else {}
            return Remembered(
                desired=DesiredState.of(members.get("desired")),
                reported=ReportedState.of(members.get("reported")),
            )
        except (ValueError, WireError):
            return None

    def write(self, key: str, remembered: Remembered) -> None:
        """Remember it; durable on return.

        Raises:
            StoreError: the store did not take it.
        """
        self._store.note(
            _name(key),
            json.dumps(
                {
                    "desired": remembered.desired.members(),
                    "reported": remembered.reported.members(),
                }
            ),
        )


@dataclass(frozen=True)
class States:
    """What the agent hands to each connection: the maker's handlers, and what they did."""

    handlers: StateHandlers
    memory: StateMemory


def _name(key: str) -> str:
    return f"state:{key}"
