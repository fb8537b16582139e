"""A device whose power is cut at random moments of its commands' lives."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.wire import CommandMessage

    from infra.local.processes import Child
    from tests.device_sdk.devices import Device, Observer, Tenant
    from tests.device_sdk.mosquitto import Mosquitto

_HANDLERS: Final = """
    journal = os.open({journal!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def work(command):
        os.write(journal, f"begin {{command.command_id}}\\n".encode())
        time.sleep(command.arguments["seconds"])  # work, for a kill to hit
        os.write(journal, f"end {{command.command_id}}\\n".encode())

    agent.command("once")(work)
    agent.command("repeatable", idempotent=True)(work)
"""
_BATCH: Final = 12  # at most so many new commands before each cut
_QUIET_SECONDS: Final = 10.0  # without an end, until what is left is sent again
_PATIENCE: Final = 6  # such times
_LONG_SECONDS: Final = 0.05  # of every fourth handler, on average; the others return at once


class Phase(StrEnum):
    """Where a command stood when the power went, as the device's disk and log tell."""

    UNCONNECTED = "at the broker, and the device not connected"
    UNSTORED = "sent to a connected device and not yet stored"
    WAITING = "waiting"
    RUNNING = "running"
    UNREPORTED = "done but unreported"
    REPORTED = "reported, on its way to the observer"


class KilledDevice:
    """One device and the commands for it.

    Where its broker dies too, what was on its way to it is sent again, as the service does it to a
    device that subscribes (``service/operations/redelivery.py``). An end that the broker took and
    died with reaches no observer; it is in ``unseen``, of which the device's disk says that the end
    was told and acknowledged.

    Args:
        device: its files; its agent is to be run by this object alone, and always from the same
            thread, with which Linux would end it.
        broker: takes the commands.
        observer: sees the states.
        chance: draws commands and moments.
        broker_dies: as above.
    """

    def __init__(
        self,
        device: Device,
        *,
        broker: Tenant | Mosquitto,
        observer: Observer,
        chance: random.Random,
        broker_dies: bool = False,
    ) -> None:
        self._broker_dies = broker_dies
        self.device = device
        self.commands: list[CommandMessage] = []
        self.hits: dict[str, list[Phase]] = {}
        self.cuts = 0
        self.unseen: set[str] = set()
        self._broker = broker
        self._observer = observer
        self._chance = chance
        self._journal = device.folder / "journal"
        self._start_seconds = 0.0

    @property
    def under_way(self) -> int:
        """How many commands were hit on a connected device, before they were reported."""
        return sum(
            not {Phase.UNCONNECTED, Phase.REPORTED}.issuperset(phases)
            for phases in self.hits.values()
        )

    def subscribe(self) -> None:
        """The first session, since nobody keeps commands for a device that never subscribed."""
        with self._run() as agent:
            agent.await_event("mqtt.subscribed", seconds=60)
            self._send(1)
            self._await_finals()
            assert agent.stop() == 0

    def lose_power_until(self, *, hits: int, commands: int, proved: Callable[[], bool]) -> None:
        """Lose power until it hit ``hits`` commands under way, then come back and finish all.

        Args:
            hits: of this device's own commands.
            commands: that it got at least.
            proved: whether the devices together have hit what the test is to show; asked before
                each cut.
        """
        while not proved() or self.under_way < hits or len(self.commands) < commands:
            self._lose_power()
        with self._run() as agent:
            # The last cut may have left nothing over: an agent that is only starting is no proof,
            # and would die of the signal that it cannot take yet.
            self._await_connection(agent)
            self._await_finals()
            assert agent.stop() == 0

    def journal(self) -> Counter[str]:
        """What the handlers wrote: ``begin`` and ``end`` of each command id."""
        return Counter(self._journal.read_text().splitlines())

    def _lose_power(self) -> None:
        chance = self._chance
        with self._run() as agent:
            if chance.random() < 0.2:  # before the connection stands, or just after
                self._send(chance.randint(1, _BATCH))
                time.sleep(chance.uniform(0, 1.2 * self._start_seconds))  # a random moment
            else:
                self._await_connection(agent)
                if chance.random() < 0.7:
                    self._await_finals()  # of what the last cut left over
                self._send(chance.randint(1, _BATCH))
                # A random moment: from 1 ms on, since most steps are short.
                time.sleep(10 ** chance.uniform(-3, -1))
            os.kill(agent.pid, signal.SIGKILL)
            assert agent.stop() == -signal.SIGKILL
        connected = "mqtt.connected" in self._log_file.read_text()
        found, acknowledged = self._examine(self._open(), connected=connected), self._acknowledged()
        for command_id, phase in found.items():
            assert phase is not Phase.UNSTORED or command_id not in acknowledged, command_id
            self.hits.setdefault(command_id, []).append(phase)
        self.cuts += 1

    def _examine(self, command_ids: list[str], *, connected: bool) -> dict[str, Phase]:
        """Read a copy of the device's memory: SQLite would tidy up the original."""
        copy = self.device.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("agent.db", "agent.db-wal"):
            if (found := self.device.folder / "state" / name).exists():
                shutil.copy(found, copy)
        with closing(sqlite3.connect(f"file:{copy}/agent.db?mode=ro", uri=True)) as database:
            stored = dict(database.execute("SELECT command_id, phase FROM inbox"))
            unreported = {row[0] for row in database.execute("SELECT command_id FROM outbox")}

        def phase(command_id: str) -> Phase:
            if (kept := stored.get(command_id)) is None:
                return Phase.UNSTORED if connected else Phase.UNCONNECTED
            if kept == "done":
                return Phase.UNREPORTED if command_id in unreported else Phase.REPORTED
            return Phase(kept)

        return {command_id: phase(command_id) for command_id in command_ids}

    def _send(self, count: int) -> None:
        longest = self._chance.choice([0, _LONG_SECONDS])
        for _ in range(count):
            command = new_command(
                self.device.thing,
                self._chance.choice(["once", "once", "repeatable"]),
                seconds=600,
                arguments={"seconds": self._chance.choice([0, longest])},
            )
            self._broker.send(command)
            self.commands.append(command)

    def _run(self) -> Child:
        self._started = time.monotonic()
        return self.device.run(
            _HANDLERS.format(journal=str(self._journal)), name=self._log_file.stem
        )

    @property
    def _log_file(self) -> Path:
        return self.device.folder / f"run-{self.cuts}.log"

    def _await_connection(self, agent: Child) -> None:
        agent.await_event("mqtt.connected", seconds=60)
        self._start_seconds = time.monotonic() - self._started

    def _await_finals(self) -> None:
        for _ in range(_PATIENCE if self._broker_dies else 0):
            with contextlib.suppress(AssertionError):
                self._observer.await_all(self._open(), seconds=_QUIET_SECONDS)
                return
            phases = self._examine(self._open(), connected=True)
            self.unseen |= {key for key, phase in phases.items() if phase is Phase.REPORTED}
            for each in self.commands:
                if not self._is_final(each.command_id):
                    self._broker.send(each)
        self._observer.await_all(self._open(), seconds=60)

    def _open(self) -> list[str]:
        return [each.command_id for each in self.commands if not self._is_final(each.command_id)]

    def _acknowledged(self) -> set[str]:
        """What the device said, before its power went, that it need not be sent again."""
        told: set[str] = set()
        for line in self._log_file.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the last one may be torn
                each = json.loads(line)
                if each["event"] == "command.acknowledged":
                    told.add(each["command_id"])
        return told

    def _is_final(self, command_id: str) -> bool:
        statuses = self._observer.statuses.get(command_id, ())
        return command_id in self.unseen or any(each.state.is_final for each in statuses)
