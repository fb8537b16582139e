"""What tests of commands and store share: commands on a store, runners, a disk that can fail."""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cedarfleet_device.commands.admission import Admission
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.commands.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cedarfleet_device.commands.admission import Runner
    from cedarfleet_device.commands.inbox import Ending, Taken
    from cedarfleet_device.commands.outbox import Outgoing
    from cedarfleet_device.store.store import Store
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


class StoredCommands:
    """Admission, inbox and outbox over one store, at a fixed time.

    Args:
        store: keeps them.
        runner: is given what arrives.
        told: gets states as they come to stand in the outbox.
    """

    def __init__(
        self,
        store: Store,
        *,
        runner: Runner | None = None,
        told: Callable[[Sequence[Outgoing]], None] | None = None,
    ) -> None:
        self.outbox = Outbox(store)
        if told is not None:
            self.outbox.listen(told)
        self.inbox = Inbox(store, clock=lambda: NOW, report=self.outbox.put)
        self.admission = Admission(store, self.inbox, runner=runner, clock=lambda: NOW)


def reported(outbox: Outbox) -> list[tuple[str, str, str]]:
    """Command id, sequence and state of what waits for the cloud."""
    waiting = outbox.outgoing(after=0, limit=1000)
    data = [(each.command_id, json.loads(each.message)) for each in waiting]
    return [(command_id, each["sequence"], each["state"]) for command_id, each in data]


class Disk:
    """Syncs for a store, unless the test says that the disk fails.

    Keeps what a loss of power would leave.

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
class FreeRunner(Decider):
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
