"""Print each step as it ends, with what was checked in it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Generator


class StepError(Exception):
    """A step did not happen as it must; the message says what was expected and what came."""


@dataclass
class Step:
    """One step: what was done, what was checked, how long it took."""

    title: str
    checks: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    failed: bool = False

    def check(self, holds: object, what: str) -> None:
        """Note that ``what`` was checked.

        Raises:
            StepError: it does not hold.
        """
        if not holds:
            raise StepError(f"expected: {what}")
        self.checks.append(what)


class Report:
    """The steps of one run."""

    def __init__(self) -> None:
        self.console: Final = Console(highlight=False, soft_wrap=True)
        self.steps: Final[list[Step]] = []

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Time a step and print it when it ends; a failure is printed and goes on up."""
        step = Step(title)
        self.steps.append(step)
        began = time.perf_counter()
        try:
            yield step
        except BaseException:
            step.failed = True
            raise
        finally:
            step.seconds = time.perf_counter() - began
            mark = "[red]✗[/]" if step.failed else "[green]✓[/]"
            self.console.print(f"{mark} {step.title} [dim]{step.seconds:.2f} s[/]")
            for check in step.checks:
                self.console.print(f"    [dim]{check}[/]")
