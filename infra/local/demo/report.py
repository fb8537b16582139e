"""Print each step as it ends, and all of them in a table at the end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

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

    def table(self) -> Table:
        """Every step with what was checked in it."""
        table = Table(title="What happened", title_justify="left", show_lines=True)
        table.add_column("")
        table.add_column("step")
        table.add_column("checked")
        table.add_column("seconds", justify="right")
        for step in self.steps:
            mark = "[red]failed[/]" if step.failed else "[green]ok[/]"
            table.add_row(mark, step.title, "\n".join(step.checks), f"{step.seconds:.2f}")
        return table
