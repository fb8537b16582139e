"""What passes between the inbox and who runs its commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cedarfleet_device.commands.rows import State
    from cedarfleet_device.wire import CommandMessage, CommandState


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ends without being run."""

    state: CommandState
    reason: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A command that left the queue: to be run now, unless it has an ending."""

    message: CommandMessage
    ending: Ending | None


class Decider(Protocol):
    """Who knows what is to become of a command; asked from any thread, and must not wait."""

    def decide(self, message: CommandMessage, /) -> Ending | None:
        """Whether the command is to run (None) or how it ends."""
        ...

    def may_repeat(self, name: str, /) -> bool:
        """Whether a command of this name may run twice."""
        ...


class Runner(Decider, Protocol):
    """Who runs commands, so that one which arrives while he is free is begun by the change that stores it."""

    def claim(self) -> bool:
        """Whether one is free; he then waits for ``give``."""
        ...

    def give(self, taken: Taken | None) -> None:
        """What the claim was for; None: nothing came of it."""
        ...

    def wake(self) -> None:
        """A command waits."""
        ...


def begin(message: CommandMessage, decider: Decider) -> tuple[Taken, str, State | None]:
    """The command as it leaves the queue, its phase from now on, and the state to report, if any."""
    ending = decider.decide(message)
    taken = Taken(message=message, ending=ending)
    if ending is None:
        return taken, "running", None
    return taken, "done", (ending.state, {"reason": ending.reason})
