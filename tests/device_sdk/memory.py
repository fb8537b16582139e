"""What the tests of inbox and store share: who decides, who is free, and a disk that can fail."""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.commands.inbox import Inbox
    from cedarfleet_device.commands.running import Ending, Taken
    from cedarfleet_device.wire import CommandMessage

NOW = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Decider:
    """Runs every command.

    Attributes:
        repeats: the names of commands that may run twice.
    """

    repeats: frozenset[str] = frozenset()

    def decide(self, _: CommandMessage) -> Ending | None:
        """Run it."""
        return None

    def may_repeat(self, name: str) -> bool:
        """Whether it is one of those."""
        return name in self.repeats


RUN = Decider()


def reported(inbox: Inbox) -> list[tuple[str, str, str]]:
    """Command id, sequence and state of what waits for the cloud."""
    waiting = inbox.outgoing(after=0, limit=1000)
    data = [(each.command_id, json.loads(each.message)) for each in waiting]
    return [(command_id, each["sequence"], each["state"]) for command_id, each in data]


class Disk:
    """Syncs for a store, unless the test says that the disk fails; keeps what a loss of power would leave.

    A store syncs on its writing thread, so that nothing is written while the copy is made.
    """

    def __init__(self, folder: Path) -> None:
        self.fails = False
        self.attempts = queue.SimpleQueue[bool]()
        self._folder = folder
        self.kept = folder / "kept"
        self._copy()

    def sync(self, descriptor: int) -> None:
        """As ``os.fdatasync``.

        Raises:
            OSError: the disk fails.
        """
        self.attempts.put(not self.fails)
        if self.fails:
            raise OSError(errno.EIO, "the disk does not answer")
        os.fdatasync(descriptor)
        self._copy()

    def _copy(self) -> None:
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        for file in self._folder.glob("agent.db*"):
            if not file.name.endswith("-shm"):  # made anew at the next start
                shutil.copy(file, self.kept)


@dataclass(frozen=True, kw_only=True)
class Free(Decider):
    """A runner that is always free."""

    given: list[Taken | None] = field(default_factory=list["Taken | None"])

    def claim(self) -> bool:
        """Always."""
        return True

    def give(self, taken: Taken | None) -> None:
        """Keep it."""
        self.given.append(taken)

    def wake(self) -> None:
        """Nobody sleeps."""
        raise AssertionError("it was free")
