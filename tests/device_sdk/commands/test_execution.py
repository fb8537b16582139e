"""Handlers run beside a store that fails, closes or takes its time, and what comes afterwards."""

from __future__ import annotations

import asyncio
import errno
import os
import queue
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.clock import Clock
from cedarfleet_device.commands.admission import Admission
from cedarfleet_device.commands.begun import BegunMarks
from cedarfleet_device.commands.executor import Executor
from cedarfleet_device.commands.handlers import Command, Handler, Handlers, Result
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.commands.outbox import Outbox
from cedarfleet_device.commands.time_limits import Run, TimeLimits
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import CommandState, StatusMessage

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cedarfleet_device.commands.handlers import Function
    from cedarfleet_device.commands.outbox import Outgoing
    from cedarfleet_device.store.transaction import Transaction

_SECONDS = 30


@dataclass(kw_only=True)
class ExecutorUnderTest:
    """An executor on a store, without a line to the cloud.

    Attributes:
        parallel: how many handlers run at once.
        await_clock: whether the first commands wait for the cloud's time.
        fails: the disk takes nothing.
        now: seconds since the epoch.
        told: states as they come to stand in the outbox.
        failures: of its threads, that nobody foresaw.
        begun: keeps which commands have begun.
    """

    folder: Path
    parallel: int = 1
    await_clock: bool = False
    fails: bool = False
    now: float = 1e9
    told: queue.SimpleQueue[StatusMessage] = field(
        default_factory=queue.SimpleQueue["StatusMessage"]
    )
    handlers: Handlers = field(default_factory=Handlers)
    failures: list[str] = field(default_factory=list[str])
    begun: BegunMarks | None = None

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "agent.db", sync=self._sync)
        self.outbox = Outbox(self.store)
        self.outbox.listen(self._changed)
        self.inbox = Inbox(self.store, clock=lambda: 0, report=self.outbox.put)
        self.clock = Clock(lambda: self.now)
        self.executor = Executor(
            inbox=self.inbox,
            outbox=self.outbox,
            handlers=self.handlers,
            clock=self.clock,
            parallel=self.parallel,
            await_clock=self.await_clock,
            finished=lambda _: None,
            begun=self.begun,
            failed=lambda: self.failures.append("a thread failed"),
        )
        self.admission = Admission(self.store, self.inbox, runner=self.executor, clock=lambda: 0)

    def start(self, function: Function, *, idempotent: bool = False, limit: float = 60) -> None:
        """Begin, with a handler for ``x`` and its limit in seconds."""
        self.handlers.add(
            "x", Handler(function=function, idempotent=idempotent, time_limit_seconds=limit)
        )
        self.executor.start()

    def final(self) -> StatusMessage:
        """The next final state."""
        while not (told := self.told.get(timeout=_SECONDS)).state.is_final:
            pass
        return told

    def _changed(self, fresh: Sequence[Outgoing]) -> None:
        for each in fresh:
            self.told.put(StatusMessage.decode(each.message))

    def _sync(self, descriptor: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, "the disk does not answer")
        os.fdatasync(descriptor)


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ExecutorUnderTest]:
    """An executor that is not started; its parameter: how many handlers run at once."""
    made = ExecutorUnderTest(folder=tmp_path, parallel=getattr(request, "param", 1))
    yield made
    made.executor.stop(grace_seconds=_SECONDS)
    made.store.close()
    assert made.failures == []


@pytest.fixture
def untold(tmp_path: Path) -> Iterator[ExecutorUnderTest]:
    """An executor that waits for the cloud's time, and is not started."""
    made = ExecutorUnderTest(folder=tmp_path, await_clock=True)
    yield made
    made.executor.stop(grace_seconds=_SECONDS)
    made.store.close()


def _await_sleep(subject: ExecutorUnderTest) -> None:
    """Until its thread waits to be given something; it tells nobody when it does."""
    pause = threading.Event()
    while not subject.executor._free:
        pause.wait(0.001)


def test_a_sleeping_thread_wakes_for_a_command_that_waits(subject: ExecutorUnderTest):
    """Also one that came to wait when no thread was free to claim."""
    subject.start(lambda _: None)
    subject.now = 0
    _await_sleep(subject)
    Admission(subject.store, subject.inbox, runner=None, clock=lambda: 0).receive(
        new_command("acme--a", "x")
    ).result(_SECONDS)
    subject.executor.wake()
    assert subject.final().state is CommandState.SUCCEEDED


def test_the_first_commands_meet_the_right_time(untold: ExecutorUnderTest):
    """A command that waited while the device was off begins once the cloud has told the time."""
    begun = threading.Event()
    untold.start(lambda _: begun.set())
    message = new_command("acme--a", "x")
    untold.now = 0
    untold.admission.receive(message).result(_SECONDS)
    assert not begun.wait(0.3)  # proves an absence
    untold.clock.tell(message.issued_at)
    assert untold.final().state is CommandState.SUCCEEDED


def test_progress_is_told_where_it_can_be_sent(subject: ExecutorUnderTest):
    """What is no JSON is left out, and takes nothing from what comes after it."""

    def work(command: Command) -> None:
        command.progress(step=object())
        command.progress(step=1)

    subject.start(work)
    subject.now = 0
    subject.admission.receive(new_command("acme--a", "x"))
    states = [subject.told.get(timeout=_SECONDS)]
    while not states[-1].state.is_final:
        states.append(subject.told.get(timeout=_SECONDS))
    running = [each.detail for each in states if each.state is CommandState.RUNNING]
    assert running == [{"step": 1}]


def test_a_command_that_expired_waiting_for_the_disk_stays_off(subject: ExecutorUnderTest):
    """It left the queue in time, but could not begin before it was durable: it ends EXPIRED."""
    begun: list[Command] = []
    subject.start(begun.append)
    message = new_command("acme--a", "x")
    subject.now = message.issued_at / 1000
    subject.fails = True
    stored = subject.admission.receive(message)
    counts = subject.inbox.counts()  # comes after it
    assert counts.running + counts.waiting == 1
    subject.now = message.expires_at / 1000
    subject.fails = False
    assert stored.result(_SECONDS)
    assert subject.final().state is CommandState.EXPIRED
    assert begun == []


def test_afterwards_waits_until_the_end_is_durable(subject: ExecutorUnderTest):
    """A reboot before that would be followed by the same command, and so by the next reboot."""
    rebooted = threading.Event()
    subject.start(lambda _: Result(afterwards=rebooted.set), idempotent=True)
    subject.now = 0
    subject.fails = True
    subject.admission.receive(new_command("acme--a", "x"))
    assert subject.told.get(timeout=_SECONDS).state is CommandState.SUCCEEDED
    assert not rebooted.wait(0.2)  # proves an absence
    subject.fails = False
    subject.outbox.sent([each.position for each in subject.outbox.outgoing(after=0, limit=10)])
    assert rebooted.wait(_SECONDS)


def test_what_was_not_kept_has_no_afterwards(subject: ExecutorUnderTest):
    """A command that a full disk did not take comes again: it must not reboot each time."""
    rebooted = threading.Event()
    subject.start(lambda _: Result(afterwards=rebooted.set), idempotent=True)
    subject.now = 0

    def fill(transaction: Transaction) -> None:
        pages = transaction.database.execute("PRAGMA page_count").fetchone()[0]
        transaction.database.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    subject.store.do(fill)
    _await_sleep(subject)
    stored = subject.admission.receive(
        new_command("acme--a", "x", arguments={"much": "x" * 100_000})
    )
    assert stored.exception(_SECONDS) is not None
    subject.executor.stop(grace_seconds=_SECONDS)
    assert not rebooted.is_set()


def test_afterwards_still_happens_as_the_agent_stops(subject: ExecutorUnderTest):
    """The end is durable and is told at the next start, so that nothing is gained by waiting on.

    The thread ends.
    """
    rebooted = threading.Event()
    subject.start(lambda _: Result(afterwards=rebooted.set))
    subject.now = 0
    subject.admission.receive(new_command("acme--a", "x"))
    subject.final()
    subject.executor.stop(grace_seconds=_SECONDS)
    assert rebooted.is_set()


@pytest.mark.parametrize(
    "raised", [RuntimeError, asyncio.CancelledError, MemoryError, KeyboardInterrupt, SystemExit]
)
def test_what_afterwards_raises_stops_no_later_command(
    subject: ExecutorUnderTest, raised: type[BaseException]
):
    """With one thread for all handlers, the next command is run as if nothing had been."""

    def afterwards() -> None:
        raise raised

    subject.start(lambda _: Result(afterwards=afterwards))
    subject.now = 0
    for _ in range(2):
        subject.admission.receive(new_command("acme--a", "x"))
        assert subject.final().state is CommandState.SUCCEEDED
        # Told to the cloud: now it happens.
        subject.outbox.sent([each.position for each in subject.outbox.outgoing(after=0, limit=10)])


def test_a_store_that_closes_ends_the_wait_for_afterwards(subject: ExecutorUnderTest):
    """Nobody knows then what is durable: the function is not called, and the thread ends."""
    rebooted = threading.Event()
    subject.start(lambda _: Result(afterwards=rebooted.set), idempotent=True)
    subject.now = 0
    subject.fails = True
    subject.admission.receive(new_command("acme--a", "x"))
    subject.final()
    subject.executor.stop(grace_seconds=0)
    subject.store.close()
    subject.executor.stop(grace_seconds=_SECONDS)
    assert not rebooted.is_set()


def test_a_limit_that_nobody_can_enforce_now_is_tried_again(tmp_path: Path):
    """Where no thread can be started the run goes on, and other limits still hold."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    refusals = ["first"]

    def late(run: Run) -> None:
        asked.put(run.command.name)
        if refusals and refusals.pop():
            raise RuntimeError("can't start new thread")

    limits = TimeLimits(lasts=lambda _: None, late=late)
    limits.start()
    runs = [run_of(name, limit) for name, limit in (("first", 0.01), ("endless", 1e12))]
    with ExitStack() as stack:
        stack.callback(limits.stop)
        for run in runs:
            limits.begin(run)
            stack.callback(limits.end, run)
        assert [asked.get(timeout=_SECONDS)] == ["first"]
        assert limits.end(runs[1])
        second = run_of("second", 0.01)
        limits.begin(second)
        assert sorted(asked.get(timeout=_SECONDS) for _ in range(2)) == ["first", "second"]
        assert not limits.end(runs[0])


@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # from Python 3.12 on: what is tested
def test_a_forked_child_hangs_on_no_lock_of_the_agent(subject: ExecutorUnderTest):
    """It may have been forked while another thread held one.

    Its report goes nowhere, and it ends.
    """
    held, ended = threading.Event(), queue.SimpleQueue[int]()

    def fork(command: Command) -> None:
        held.wait(_SECONDS)
        child = os.fork()
        if child == 0:
            command.progress(step=1)
            return
        for _ in range(100 * _SECONDS // 2):
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                ended.put(child)
                return
            command.stopped.wait(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    subject.start(fork)
    subject.now = 0
    subject.admission.receive(new_command("acme--a", "x")).result(_SECONDS)
    with subject.store._order:
        held.set()
        assert ended.get(timeout=_SECONDS) > 0


@pytest.mark.parametrize("subject", [2], indirect=True)
def test_a_name_is_refused_until_its_late_handlers_return(subject: ExecutorUnderTest):
    """Two of them were running: that one has returned does not free the name."""
    gates = queue.SimpleQueue[threading.Event]()

    def dawdle(_: Command) -> None:
        gate = threading.Event()
        gates.put(gate)
        gate.wait(_SECONDS)

    subject.start(dawdle, limit=0.05)
    subject.now = 0
    for _ in range(2):
        subject.admission.receive(new_command("acme--a", "x"))
    first, second = gates.get(timeout=_SECONDS), gates.get(timeout=_SECONDS)
    ends = [subject.final() for _ in range(2)]
    assert [each.state for each in ends] == [CommandState.FAILED] * 2
    threads = [thread for threads in subject.executor._stuck.values() for thread in threads]
    for gate in (second, first):
        subject.admission.receive(new_command("acme--a", "x"))
        assert subject.final().state is CommandState.REJECTED
        alive = sum(thread.is_alive() for thread in threads)
        gate.set()
        pause = threading.Event()
        while sum(thread.is_alive() for thread in threads) == alive:
            pause.wait(0.001)


def run_of(name: str, limit: float) -> Run:
    """A run of a handler with this limit, in seconds."""
    command = Command(
        command_id="0" * 26,
        name=name,
        arguments={},
        issued_at=0,
        expires_at=1,
        report=lambda _: None,
    )
    return Run(
        command=command,
        handler=Handler(function=lambda _: None, idempotent=False, time_limit_seconds=limit),
    )


@pytest.mark.parametrize("idempotent", [True, False])
def test_what_must_not_run_twice_is_marked_before_it_runs(tmp_path: Path, *, idempotent: bool):
    """A process that starts while it runs finds the mark; what may be repeated needs none."""
    marks = BegunMarks(tmp_path / "begun", boot="b")
    marks.start()
    subject = ExecutorUnderTest(folder=tmp_path, begun=marks)

    def function(command: Command) -> dict[str, bool]:
        found = BegunMarks(tmp_path / "begun", boot="b")
        return {"never_began": found.never_began(command.command_id)}

    try:
        subject.start(function, idempotent=idempotent)
        subject.admission.receive(new_command("acme--press-07", "x"))
        assert subject.final().detail == {"never_began": idempotent}
    finally:
        subject.executor.stop(grace_seconds=_SECONDS)
        subject.store.close()
        marks.close()
    assert subject.failures == []
