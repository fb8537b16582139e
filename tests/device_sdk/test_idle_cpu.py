"""A device that waits costs no power: each of its threads sleeps, whatever it waits for.

A busy loop changes no result, so only the processor's clock shows it. It is read thread by thread:
what else this process does, such as the embedded cloud, does not count.
"""

from __future__ import annotations

import errno
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.clock import Clock
from cedarfleet_device.commands.admission import Admission
from cedarfleet_device.commands.executor import Executor
from cedarfleet_device.commands.handlers import Handler, Handlers
from cedarfleet_device.commands.outbox import Publisher
from cedarfleet_device.errors import CloudError
from cedarfleet_device.store.store import Store

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import StoredCommands

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


WATCHED_SECONDS = 0.8
MOST_PART = 0.06  # of that time; a busy loop takes all that the machine can give


class WaitingDevice:
    """Store, executor and publisher of a device; what each test changes of them is named."""

    def __init__(
        self,
        folder: Path,
        *,
        sync: Callable[[int], object] = lambda _: None,
        publish: Callable[[str, bytes], Future[None]] | None = None,
        online: bool = True,
        await_clock: bool = False,
    ) -> None:
        self.store = Store(folder / "agent.db", sync=sync)
        self.go_on = threading.Event()
        self.running = threading.Event()
        parts = StoredCommands(self.store)
        handlers = Handlers()

        def work(_: object) -> None:
            self.running.set()
            self.go_on.wait(60)

        handlers.add("wait", Handler(function=work, idempotent=True, time_limit_seconds=600.0))
        self.publisher = Publisher(
            outbox=parts.outbox,
            thing="acme--a",
            publish=publish or _accept,
            online=lambda: online,
        )
        self.executor = Executor(
            inbox=parts.inbox,
            outbox=parts.outbox,
            handlers=handlers,
            clock=Clock(),
            parallel=2,
            await_clock=await_clock,
            finished=lambda _: None,
        )
        self.admission = Admission(self.store, parts.inbox, runner=self.executor, clock=Clock())
        self.executor.start()
        self.publisher.start()

    def end(self) -> None:
        """End every thread."""
        self.go_on.set()
        self.executor.stop(grace_seconds=30)
        self.publisher.stop()
        self.store.close()


def _accept(_topic: str, _payload: bytes) -> Future[None]:
    answer: Future[None] = Future()
    answer.set_result(None)
    return answer


def _refuse(_topic: str, _payload: bytes) -> Future[None]:
    answer: Future[None] = Future()
    answer.set_exception(CloudError("quota"))
    return answer


def _never(_topic: str, _payload: bytes) -> Future[None]:
    return Future()


@contextmanager
def waiting(device: WaitingDevice) -> Generator[WaitingDevice]:
    """The device, ended afterwards."""
    try:
        yield device
    finally:
        device.end()


def cpu_seconds() -> dict[str, float]:
    """Processor time of each thread of the device in this process."""
    return {
        f"{each.name} {each.ident}": time.clock_gettime(time.pthread_getcpuclockid(each.ident))
        for each in threading.enumerate()
        if each.name.startswith("cedarfleet-") and each.ident is not None
    }


def busiest() -> tuple[str, float]:
    """The thread of the device that used most of the time watched, and its part of that."""
    before = cpu_seconds()
    threading.Event().wait(WATCHED_SECONDS)  # what is measured is this time, nothing is awaited
    used = {name: at - before.get(name, 0.0) for name, at in cpu_seconds().items()}
    name = max(used, key=lambda each: used[each])
    return name, used[name] / WATCHED_SECONDS


def test_with_nothing_to_do_every_thread_sleeps(tmp_path: Path):
    """After some work, store, executor, time limits and publisher use no processor."""
    with waiting(WaitingDevice(tmp_path)) as device:
        device.store.note("some", "work")
        assert len(cpu_seconds()) >= 5
        name, part = busiest()
        assert part < MOST_PART, name


@pytest.mark.parametrize("publish", [_never, _refuse], ids=["unanswered", "refused"])
@pytest.mark.parametrize("states", [1, 40])
def test_states_that_do_not_go_out_let_the_device_sleep(
    tmp_path: Path, publish: Callable[[str, bytes], Future[None]], states: int
):
    """Without a PUBACK, or refused, one state or more than may be under way, it waits asleep."""
    with waiting(WaitingDevice(tmp_path, publish=publish)) as device:
        _fill_outbox(device, states)
        name, part = busiest()
        assert part < MOST_PART, name


def test_a_device_that_is_offline_sleeps(tmp_path: Path):
    """States that wait for the line are not looked at again and again."""
    with waiting(WaitingDevice(tmp_path, online=False)) as device:
        _fill_outbox(device, 40)
        name, part = busiest()
        assert part < MOST_PART, name


def test_a_device_that_waits_for_the_time_sleeps(tmp_path: Path):
    """Until the cloud has told it, the first commands wait."""
    with waiting(WaitingDevice(tmp_path, await_clock=True)):
        name, part = busiest()
        assert part < MOST_PART, name


def test_a_disk_that_fails_is_tried_again_after_a_rest(tmp_path: Path):
    """While no sync succeeds, the store waits between its tries."""
    fails = threading.Event()

    def sync(_descriptor: int) -> None:
        if fails.is_set():
            raise OSError(errno.EIO, "the disk does not answer")

    with waiting(WaitingDevice(tmp_path, sync=sync)) as device:
        fails.set()
        stored = device.admission.receive(new_command("acme--a", "unknown"))
        name, part = busiest()
        assert part < MOST_PART, name
        fails.clear()
        assert stored.result(timeout=30)


def test_a_store_that_is_gone_is_asked_again_after_a_rest(tmp_path: Path):
    """Whoever looks for a command there and fails does not look again at once."""
    with waiting(WaitingDevice(tmp_path)) as device:
        device.store.close()
        device.executor.wake()
        name, part = busiest()
        assert part < MOST_PART, name


def test_a_running_handler_costs_only_what_it_does(tmp_path: Path):
    """Its time limit is watched, and what comes behind it waits, asleep."""
    with waiting(WaitingDevice(tmp_path)) as device:
        for _ in range(4):
            device.admission.receive(new_command("acme--a", "wait")).result()
        assert device.running.wait(30)
        name, part = busiest()
        assert part < MOST_PART, name


def _fill_outbox(device: WaitingDevice, states: int) -> None:
    """Commands that no handler knows end at once; their states want to go out."""
    for _ in range(states):
        device.admission.receive(new_command("acme--a", "unknown")).result()
