"""Threads of the agent go on whatever is raised in them, and every thread of the SDK is one."""

from __future__ import annotations

import ast
import asyncio
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.guard import GuardedThread, failing_threads
from cedarfleet_device.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).parents[2] / "device_sdk" / "src" / "cedarfleet_device"
SECONDS = 30
# Threads that are no loops of the agent's, with what becomes of an error in them.
BARE = {
    "guard.py": "the guard itself",
    "store/store.py": "its errors are given to whoever waits for the change",
    "downloads/range_fetcher.py": "its errors are given to the download that it is a part of",
    "connection/mqtt.py": "a timer, whose function connects",
}
RAISED = (
    RuntimeError("AWS_IO_TLS_CTX_ERROR"),
    OSError(28, "No space left on device"),
    asyncio.CancelledError(),
    MemoryError(),
    KeyboardInterrupt(),
    SystemExit(3),
)


class Events(logging.Handler):
    """What the SDK logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.seen.append((record.getMessage(), getattr(record, "fields", {})))


@pytest.fixture
def events() -> Iterator[Events]:
    """Events logged during the test."""
    handler = Events()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_a_loop_begins_again_after_whatever_was_raised(raised: BaseException, events: Events):
    """It is logged with its place and counted, and the thread ends when its loop returns."""
    failures: list[str] = []
    rounds = 0

    def loop() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise raised

    thread = GuardedThread(
        loop, name="guarded", failed=lambda: failures.append("x"), backoff=Backoff(0.001, 0.001)
    )
    thread.start()
    thread.thread.join(SECONDS)
    assert not thread.is_alive()
    assert rounds == 3
    assert failures == ["x", "x"]
    assert [name for name, _ in events.seen] == ["thread.failed", "thread.failed"]
    _, fields = events.seen[0]
    assert fields["thread"] == "guarded"
    assert fields["error"].startswith(type(raised).__name__)
    assert fields["at"][-1].startswith(__file__)
    assert fields["at"][-1].endswith(" in loop")


def test_a_thread_that_fails_is_named_until_it_does_not():
    """Minutes after its last failure it counts as well; one whose loop ended, at once."""
    failed, go_on = threading.Event(), threading.Event()

    def loop() -> None:
        if not failed.is_set():
            raise MemoryError("no room for it")
        go_on.wait(SECONDS)

    thread = GuardedThread(loop, name="named", failed=failed.set, backoff=Backoff(0.001, 0.001))
    assert "named" not in failing_threads()
    thread.start()
    assert failed.wait(SECONDS)
    assert failing_threads()["named"] == "MemoryError: no room for it"
    assert thread.last_failure is not None
    at, _ = thread.last_failure
    assert "named" in failing_threads(at + 179)
    assert "named" not in failing_threads(at + 181)
    go_on.set()
    thread.join(SECONDS)
    assert "named" not in failing_threads()


@pytest.mark.parametrize("raised", [RuntimeError("full"), asyncio.CancelledError()], ids=repr)
def test_who_is_told_of_a_failure_ends_no_thread(raised: BaseException):
    """Neither whoever counts it, nor a log handler of the maker's that fails itself."""

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - logging's
            raise raised

    handler, rounds, over = Failing(), 0, threading.Event()

    def loop() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise OSError("again")
        over.set()

    def count() -> None:
        raise ValueError("the counter is broken")

    thread = GuardedThread(loop, name="guarded", failed=count, backoff=Backoff(0.001, 0.001))
    LOGGER.addHandler(handler)
    try:
        thread.start()
        assert over.wait(SECONDS)
    finally:
        LOGGER.removeHandler(handler)
        thread.join(SECONDS)


def test_an_end_that_is_asked_for_cuts_the_pause_short():
    """A thread that failed and waits does not hold up the end of the agent."""
    failed = threading.Event()

    def loop() -> None:
        raise RuntimeError("again and again")

    thread = GuardedThread(loop, name="guarded", failed=failed.set, backoff=Backoff(9e5, 9e5))
    thread.start()
    assert failed.wait(SECONDS)
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_thread_that_never_began_is_over():
    """Joining it is harmless: an agent whose start failed is closed all the same."""
    thread = GuardedThread(lambda: None, name="guarded")
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_every_thread_of_the_agent_is_guarded():
    """Found by walking the code: a new bare thread must say here who gets its errors."""
    found: set[str] = set()
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "threading.Thread",
                "Thread",
                "threading.Timer",
                "ThreadPoolExecutor",
            }:
                found.add(file.relative_to(SOURCES).as_posix())
    assert found == set(BARE)
