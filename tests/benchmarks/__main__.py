"""``make bench``: measure speed; print what was met, what was not, and what was not measured.

Each module of this folder with a function ``rows(rounds)`` is a benchmark, named after its file.
One that says ``IS_LONG`` runs only where it is named.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.table import Table

from infra.local.cloud.limits.enforcing import PACE_VARIABLE, Limits
from tests.benchmarks.rows import Missing, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEFAULT_ROUNDS = 5
_PACE = "1000000"  # speed is that of this program, not of AWS's rates


def benchmarks() -> dict[str, Callable[[int], Iterator[Row | Missing]]]:
    """Every benchmark by name."""
    found: dict[str, Callable[[int], Iterator[Row | Missing]]] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith(("_", "test_")):
            rows = getattr(importlib.import_module(f"tests.benchmarks.{module.name}"), "rows", None)
            if callable(rows):
                found[module.name] = cast("Callable[[int], Iterator[Row | Missing]]", rows)
    return found


def is_long(name: str) -> bool:
    """Whether it takes so long that it runs only where it is named."""
    return getattr(importlib.import_module(f"tests.benchmarks.{name}"), "IS_LONG", False)


def table(results: Sequence[Row]) -> Table:
    """The rows for a terminal."""
    drawn = Table(title="Speed", title_justify="left", show_lines=False)
    for heading in ("what", "ours", "reference", "ratio", "target", "met", "rounds", "note"):
        drawn.add_column(heading, overflow="fold")
    for row in results:
        drawn.add_row(
            row.name,
            f"{row.ours:.4g} {row.unit}",
            "" if row.reference is None else f"{row.reference:.4g} {row.unit}",
            "" if row.ratio is None else f"{row.ratio:.2f}x",
            row.target,
            "yes" if row.met else "NO",
            str(row.rounds),
            row.note,
        )
    return drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 when a target was missed, 2 when nothing could be measured."""
    known = benchmarks()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=sorted(known), help="run this one (may be repeated)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=DEFAULT_ROUNDS,
        help="interleaved rounds (default %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    console = Console(width=None if sys.stdout.isatty() else 200)
    os.environ.setdefault(PACE_VARIABLE, _PACE)
    console.print(f"{Limits().words}.")
    results: list[Row] = []
    missing: list[Missing] = []
    for name in options.only or sorted(known):
        if not options.only and is_long(name):
            missing.append(Missing(name=name, why=f"it is long: ask for it by `--only {name}`"))
            continue
        console.print(f"[bold]{name}[/bold]")
        started = time.monotonic()
        for outcome in known[name](options.rounds):
            if isinstance(outcome, Row):
                results.append(outcome)
                console.print(
                    f"  {outcome.name}: {outcome.ours:.4g} {outcome.unit}, "
                    f"{'met' if outcome.met else 'NOT MET'}"
                )
            else:
                missing.append(outcome)
                console.print(f"  {outcome.name}: not measured: {outcome.why}")
        console.print(f"  {time.monotonic() - started:.0f} s")
    if results:
        console.print(table(results))
    for gap in missing:
        console.print(f"NOT MEASURED {gap.name}: {gap.why}")
    if not results:
        return 2
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
