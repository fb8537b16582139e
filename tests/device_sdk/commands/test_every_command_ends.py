"""How commands end while disks fail and fill up, processes die, and messages come twice."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from cedarfleet_device.clock import Clock
from cedarfleet_device.commands.admission import Admission
from cedarfleet_device.commands.executor import Executor
from cedarfleet_device.commands.handlers import Handler, Handlers
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.commands.outbox import Outbox, Publisher
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import CommandState, StatusMessage

from tests.device_sdk.devices import new_command
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.commands.handlers import Command
    from cedarfleet_device.store.transaction import Transaction
    from cedarfleet_device.wire import CommandMessage

_PROCESSES: Final = (4, 20)  # one after the other, bounded and in full
_COMMANDS: Final = 24  # new ones in each process, and in each round of the last
_CALM_ROUNDS: Final = 4
_LIMITS: Final = {"once": 10.0, "again": 10.0, "once-brief": 0.02, "again-brief": 0.02}  # seconds
_SECONDS: Final = 30.0


@dataclass(kw_only=True)
class History:
    """What an onlooker knows of all processes of the device.

    Attributes:
        lock: held while anything becomes visible; a process that ended under it shows nothing more.
        begun: command ids, once for each begin of a handler.
        returned: ids whose handler came to its end.
        told: of each id, sequence and state, in order.
        acknowledged: ids that the broker will not send again.
        kept_from: ids whose store failed.
        broken: promises, in words.
    """

    lock: threading.Condition = field(default_factory=threading.Condition)
    begun: Counter[str] = field(default_factory=Counter[str])
    returned: set[str] = field(default_factory=set[str])
    told: dict[str, list[tuple[int, CommandState]]] = field(
        default_factory=dict[str, list[tuple[int, CommandState]]]
    )
    acknowledged: set[str] = field(default_factory=set[str])
    kept_from: set[str] = field(default_factory=set[str])
    broken: list[str] = field(default_factory=list[str])


class DeviceProcess:
    """One process of the device, from its start to its end, on the files in ``folder``."""

    def __init__(self, history: History, folder: Path, *, parallel: int) -> None:
        self.history = history
        self.folder = folder
        self.kept = folder.with_name(f"{folder.name}-kept")
        self.over = False
        self.failing = 0  # so many syncs from now on fail
        self.arrived: dict[str, int] = {}  # in which order, of those that came here first
        self.begun: list[str] = []
        self._store = Store(folder / "agent.db", sync=self._sync)
        outbox = Outbox(self._store)
        inbox = Inbox(self._store, clock=Clock(), report=outbox.put)
        self._publisher = Publisher(
            outbox=outbox, thing="acme--a", publish=self._publish, online=lambda: not self.over
        )
        handlers = Handlers()
        for name, limit in _LIMITS.items():
            again = name.startswith("again")
            handlers.add(
                name, Handler(function=self._work, idempotent=again, time_limit_seconds=limit)
            )
        self._executor = Executor(
            inbox=inbox,
            outbox=outbox,
            handlers=handlers,
            clock=Clock(),
            parallel=parallel,
            await_clock=False,
            finished=lambda _: None,
        )
        self._admission = Admission(self._store, inbox, runner=self._executor, clock=Clock())
        inbox.recover(again=self._executor.may_repeat)
        self._executor.start()
        self._publisher.start()

    def receive(self, message: CommandMessage, *, first: bool) -> None:
        """A message of the broker."""
        if first:
            self.arrived[message.command_id] = len(self.arrived)

        def settled(done: Future[bool]) -> None:
            with self.history.lock:
                if self.over:
                    return
                if done.exception() is not None:
                    self.history.kept_from.add(message.command_id)
                elif message.command_id not in self._phases():
                    self.history.broken.append(
                        f"{message.command_id} was acknowledged and is not on the disk"
                    )
                else:
                    self.history.acknowledged.add(message.command_id)
                self.history.lock.notify_all()

        self._admission.receive(message).add_done_callback(settled)

    def limit_disk(self, *, full: bool) -> None:
        """Leave no room, or plenty."""

        def change(transaction: Transaction) -> None:
            pages = (
                transaction.database.execute("PRAGMA page_count").fetchone()[0]
                if full
                else 1_000_000
            )
            transaction.database.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        limiting = self._store.submit(change)
        while not full and limiting.exception(_SECONDS) is not None:  # it fell with its neighbours
            limiting = self._store.submit(change)

    def stop(self) -> None:
        """As a program that is told to end and has no time."""
        self._executor.stop(grace_seconds=0.01)
        self._publisher.stop()
        self._store.close()
        with self.history.lock:
            self.over = True

    def cut(self, into: Path, *, power: bool) -> None:
        """End in this instant.

        ``into`` gets what is then on the disk, of a process that died or after a power loss.
        """
        done = threading.Event()

        def instant(
            _: Transaction,
        ) -> None:  # on the writing thread: nobody writes while it is copied
            with self.history.lock:
                if not self.over:
                    self.over = True
                    _copy(self.kept if power else self.folder, into)
                    done.set()

        for _ in range(100):
            self._store.submit(instant)
            if done.wait(
                0.3
            ):  # else it fell with its neighbours, before its turn, since the disk was full
                break
        assert done.is_set()
        self.stop()

    def _sync(self, descriptor: int) -> None:
        if self.failing > 0:
            self.failing -= 1
            raise OSError(errno.EIO, "the disk does not answer")
        os.fdatasync(descriptor)
        with self.history.lock:  # nobody reads the former copy
            shutil.rmtree(self.kept, ignore_errors=True)
            _copy(self.folder, self.kept)

    def _phases(self) -> dict[str, str]:
        """By command id, of what would be found after a loss of power."""
        with closing(sqlite3.connect(self.kept / "agent.db")) as database:
            return dict(database.execute("SELECT command_id, phase FROM inbox"))

    def _work(self, command: Command) -> None:
        key = command.command_id
        with self.history.lock:
            if self.over:
                return
            self.history.begun[key] += 1
            self.begun.append(key)
            if command.name.startswith("once") and self._phases().get(key) != "running":
                self.history.broken.append(
                    f"{key} began and a loss of power would not leave it running"
                )
        time.sleep(command.arguments["seconds"])  # work
        if command.arguments["raises"]:
            raise RuntimeError("as it was told")
        with self.history.lock:
            if not self.over:
                self.history.returned.add(key)

    def _publish(self, topic: str, payload: bytes) -> Future[None]:
        status = StatusMessage.decode(payload)
        answer: Future[None] = Future()
        with self.history.lock:
            if not self.over:
                states = self.history.told.setdefault(topic.split("/")[-2], [])
                states.append((status.sequence, status.state))
                self.history.lock.notify_all()
                answer.set_result(None)
        return answer


def _copy(folder: Path, into: Path) -> None:
    into.mkdir()
    for file in folder.glob("agent.db*"):
        if not file.name.endswith("-shm"):  # made anew at the next start
            shutil.copy(file, into)


def _some_command(chance: random.Random, *, quick: bool) -> CommandMessage:
    name = chance.choice(["once", "again"] if quick else list(_LIMITS))
    longest = 2 * _LIMITS[name] if name.endswith("brief") else 0.15
    return new_command(
        "acme--a",
        name,
        seconds=chance.choice([0.01, 600, 600, 600, 600, 600]),
        arguments={
            "seconds": 0
            if quick
            else chance.choice(
                [0, 0, chance.uniform(0, longest), _LIMITS[name] if longest < 0.1 else 0.005]
            ),
            "raises": chance.random() < 0.1,
            "much": "x" * chance.choice([10, 10_000]),
        },
    )


@pytest.mark.soak
@pytest.mark.parametrize("parallel", [1, 2])
def test_every_command_meets_one_true_end(
    tmp_path: Path,
    parallel: int,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
):
    """One end each, none begun twice that must not be, no promise that a power loss breaks."""
    chance = random.Random(new_seed())  # noqa: S311 - moments, not secrets
    history = History()
    sent: dict[str, CommandMessage] = {}
    ends = Counter[str]()
    processes = faults(*_PROCESSES)
    ways = [way for _ in range(processes) for way in chance.sample(("stop", "kill", "power"), 3)]
    folder = tmp_path / "0"
    folder.mkdir()
    for number in range(1, processes + 1):
        process = DeviceProcess(history, folder, parallel=parallel)
        last = number == processes
        _send_round(process, sent, chance, calm=False)
        for _ in range(
            _CALM_ROUNDS if last else 0
        ):  # nobody may sleep on now, nor begin out of turn
            _send_round(process, sent, chance, calm=True)
            _await(
                history,
                lambda: (
                    all(_end(history, each) for each in sent)
                    and sent.keys() <= history.acknowledged
                ),
                sent,
            )
        folder = tmp_path / str(number)
        way = "stop" if last else ways[number - 1]
        ends[way] += 1
        if way == "stop":
            process.stop()
            folder = process.folder
        else:
            process.cut(folder, power=way == "power")
        if parallel == 1:
            places = [
                process.arrived[each]
                for each in process.begun
                if each in process.arrived.keys() - history.kept_from
            ]
            assert places == sorted(places)
    assert ends["kill"]
    assert ends["power"]
    told = ", ".join(f"{count} by {way}" for way, count in ends.items())
    record_property("faults", f"{len(sent)} commands in {processes} processes, ended {told}")
    assert history.broken == []
    with closing(sqlite3.connect(folder / "agent.db")) as database:
        assert dict(database.execute("SELECT phase, count(*) FROM inbox GROUP BY phase")) == {
            "done": len(sent)
        }
        assert database.execute("SELECT count(*) FROM outbox").fetchone()[0] == 0
    for key, message in sent.items():
        _check_end(history, key, once=message.name.startswith("once"), cuts=ends["power"])


def _send_round(
    process: DeviceProcess, sent: dict[str, CommandMessage], chance: random.Random, *, calm: bool
) -> None:
    """The broker sends what it has no PUBACK of, then new messages, some twice, and old ones."""
    if calm:
        process.failing = 0
    for key in sent.keys() - process.history.acknowledged:
        process.receive(sent[key], first=False)
    moments = Counter(chance.choices(range(_COMMANDS), k=0 if calm else 3))
    full = chance.randrange(2 * _COMMANDS)
    for index in range(_COMMANDS):
        process.failing += moments[index]
        if not calm and index in (full, full + 4):
            process.limit_disk(full=index == full)
        message = _some_command(chance, quick=calm)
        sent[message.command_id] = message
        process.receive(message, first=True)
        while chance.random() < 0.2:
            process.receive(chance.choice(list(sent.values())), first=False)
        time.sleep(chance.choice([0, 0, 0.002, 0.02]))  # a random moment
    process.limit_disk(full=False)


def _end(history: History, key: str) -> bool:
    return any(state.is_final for _, state in history.told.get(key, ()))


def _await(history: History, holds: Callable[[], bool], sent: dict[str, CommandMessage]) -> None:
    with history.lock:
        good = history.lock.wait_for(holds, _SECONDS)
        missing = [
            (each.name, history.told.get(key), key in history.acknowledged)
            for key, each in sent.items()
        ]
        assert good, [
            each for each in missing if not each[2] or not each[1] or not each[1][-1][1].is_final
        ]


def _check_end(history: History, key: str, *, once: bool, cuts: int) -> None:
    told = history.told[key]
    ends = {each for each in told if each[1].is_final}
    if once:
        assert history.begun[key] <= 1
    if once or not cuts:  # else the same numbers may tell of another run
        assert len(ends) == 1, told
        firsts = list(dict.fromkeys(told))
        assert [number for number, _ in firsts] == list(range(1, len(firsts) + 1)), told
        assert firsts[-1] in ends, told
    if not history.begun[key]:
        assert {state for _, state in ends} <= {
            CommandState.EXPIRED,
            CommandState.REJECTED,
            CommandState.INTERRUPTED,
        }
    if any(state is CommandState.SUCCEEDED for _, state in ends):
        assert key in history.returned
