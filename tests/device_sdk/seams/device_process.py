"""A device of the breakable copy, in a process of its own: one life for each line that it reads.

A line says where which error is raised, and the how many times that the seam is passed it is
raised; the answers say what became of it, each a line of JSON. Run as a script, with the copy in
front of the path: ``device_process.py CONFIG``.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import os
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ERRORS = {
    "RuntimeError": lambda: RuntimeError("broken on purpose"),
    "OSError": lambda: OSError(5, "broken on purpose"),
    "CancelledError": lambda: asyncio.CancelledError("broken on purpose"),
    "MemoryError": lambda: MemoryError("broken on purpose"),
}


class Plan:
    """What is raised, where, and how often each seam was passed in this life."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin({})

    def begin(self, told: dict[str, Any]) -> None:
        """A new life."""
        with self._lock:
            self._seam, self._at = told.get("seam"), told.get("at", 1)
            self._error = told.get("error", "RuntimeError")
            self.passed: Counter[str] = Counter()
            self.raised = False

    def seam(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """What is called at a seam."""
        with self._lock:
            self.passed[name] += 1
            if name != self._seam or self.passed[name] != self._at:
                return function
            self.raised = True
        error = ERRORS[self._error]()

        def broken(*_: object, **__: object) -> NoReturn:
            raise error

        return broken


class Words(logging.Handler):
    """What the SDK logged in this life."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.subscribed = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.getMessage() == "mqtt.subscribed":
            self.subscribed.set()
        self.said.append(f"{record.getMessage()} {getattr(record, 'fields', {})}")


def answer(**told: Any) -> None:
    """Tell the test."""
    os.write(1, json.dumps(told).encode() + b"\n")


def live(config_file: str, plan: Plan, words: Words, told: dict[str, Any]) -> None:
    """One life: begin, serve until the next line, end."""
    from cedarfleet_device import Agent, DeviceConfig, Result  # noqa: PLC0415 - of the copy

    afterwards: list[str] = []

    def act(command: Any) -> Any:
        command.progress(step="acting")
        return Result(detail={"n": 1}, afterwards=lambda: afterwards.append(command.command_id))

    plan.begin(told)
    agent = None
    try:
        agent = Agent(DeviceConfig.load(config_file), install=lambda _: None)
        agent.command("echo", idempotent=True)(lambda command: command.arguments)
        agent.command("act")(act)
        agent.start()
    except BaseException as error:  # noqa: BLE001 - what a person reads is the test's question
        answer(begun=False, error=f"{type(error).__name__}: {error}")
    else:
        # Before the first subscription ever, the broker keeps nothing for this device.
        words.subscribed.wait(60)
        answer(begun=True)
        sys.stdin.readline()
    ended = "well"
    try:
        if agent is not None:
            agent.close(grace_seconds=5)
    except BaseException as error:  # noqa: BLE001 - as above
        ended = f"{type(error).__name__}: {error}"
    answer(ended=ended, raised=plan.raised, passed=dict(plan.passed), afterwards=len(afterwards))


def main() -> None:
    """Live as often as it is told to."""
    plan = Plan()
    builtins.__seam__ = plan.seam  # pyright: ignore[reportAttributeAccessIssue] - for the copy
    words = Words()
    logger = logging.getLogger("cedarfleet_device")
    logger.addHandler(words)
    logger.setLevel("DEBUG")
    logger.propagate = False
    while line := sys.stdin.readline():
        words.said = []
        live(sys.argv[1], plan, words, json.loads(line))
        answer(said=words.said[-200:])


if __name__ == "__main__":
    main()
