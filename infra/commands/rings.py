"""A release over many stacks: a canary first, then the others, and a stop at what fails."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.commands import run_report
from infra.commands.run_report import FINISHED, RunReport
from infra.commands.stack_run import DRIFTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from infra.commands.stack_run import Outcome


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far and how fast a run goes.

    Attributes:
        parallel: stacks at once, after the canary.
        failures: so many may fail, beside the canary, before no further stack is begun.
    """

    parallel: int
    failures: int


def planned(
    verb: str, stacks: Sequence[str], *, canary: str | None, engine: str, began_at: str, logs: str
) -> RunReport:
    """A report in which all stacks wait, the canary before the others.

    Args:
        verb: what is to be done.
        stacks: their names, each once.
        canary: one of them; ``None``: the first.
        engine: who stamps, for people.
        began_at: RFC 3339.
        logs: name of the folder of the logs, beside the report.
    """
    first = canary or stacks[0]
    ordered = [first, *(stack for stack in stacks if stack != first)]
    return RunReport(
        verb=verb,
        engine=engine,
        began_at=began_at,
        stacks={
            stack: run_report.StackReport(ring=min(place, 1), log=f"{logs}/{stack}.log")
            for place, stack in enumerate(ordered)
        },
    )


class RingRun:
    """Takes a report from where it stands to its end.

    Args:
        report: what is to be done and what is done.
        file: where it is kept; written before and after each stack.
        once: runs the verb on one stack.
        limits: how far and how fast.
        tell: is told of each stack that begins (``None``) or has ended.
    """

    def __init__(
        self,
        report: RunReport,
        file: Path,
        *,
        once: Callable[[str], Outcome],
        limits: Limits,
        tell: Callable[[str, Outcome | None], None],
    ) -> None:
        self._report, self._file, self._once = report, file, once
        self._limits, self._tell = limits, tell
        self._asked_to_stop = threading.Event()

    def stop(self) -> None:
        """Begin no further stack; what is under way comes to its end."""
        self._asked_to_stop.set()

    def run(self) -> bool:
        """Whether every stack is done.

        A run goes on after the canary only if that went well. A stack that failed before is tried
        again, and one that was under way when its run was killed is brought to its end.
        """
        for stack in self._report.stacks.values():
            if stack.state not in FINISHED:
                stack.state = "waiting"
        self._write()
        for ring in (0, 1):
            waiting = [
                name
                for name, stack in self._report.stacks.items()
                if stack.ring == ring and stack.state == "waiting"
            ]
            self._ring(waiting, failures=self._limits.failures if ring else 0)
            if ring == 0 and self._report.count("failed"):
                break
        return self._report.count("done", "drifted") == len(self._report.stacks)

    def _ring(self, waiting: list[str], *, failures: int) -> None:
        under_way: dict[Future[Outcome], str] = {}
        with ThreadPoolExecutor(max_workers=self._limits.parallel) as pool:
            while waiting or under_way:
                goes_on = (
                    self._report.count("failed") <= failures and not self._asked_to_stop.is_set()
                )
                while goes_on and waiting and len(under_way) < self._limits.parallel:
                    stack = waiting.pop(0)
                    self._report.stacks[stack].state = "running"
                    self._write()
                    self._tell(stack, None)
                    under_way[pool.submit(self._once, stack)] = stack
                if not under_way:
                    return
                ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._ended(under_way.pop(future), future.result())

    def _ended(self, stack: str, outcome: Outcome) -> None:
        entry = self._report.stacks[stack]
        if outcome.went_well:
            entry.state = "drifted" if outcome.code == DRIFTED else "done"
        else:
            entry.state = "failed"
        entry.seconds, entry.said = round(outcome.seconds, 1), list(outcome.said)
        entry.terms, entry.flips = list(outcome.terms), outcome.flips
        self._write()
        self._tell(stack, outcome)

    def _write(self) -> None:
        run_report.write(self._report, self._file)
