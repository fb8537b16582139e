"""Many tenants stamped by one command at AWS's own rates, killed half way: 60 a round, so 300.

It takes most of an hour: it runs only where it is asked for (``python -m tests.benchmarks --only
tenants``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from tests.benchmarks.rows import Row, compare
from tests.infra.plenty_of_tenants import plenty_of_tenants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.infra.plenty_of_tenants import PlentyOfTenants

IS_LONG: Final = True
_TENANTS: Final = 60  # a round
_PARALLEL: Final = 4
_MOST_SECONDS: Final = 10.0


def rows(rounds: int) -> Iterator[Row]:
    """Time per tenant, how it grows, the command's memory, and what a kill leaves to do."""
    number = rounds * _TENANTS
    with (
        tempfile.TemporaryDirectory() as folder,
        plenty_of_tenants(Path(folder), number) as plenty,
    ):
        yield from measured(plenty, parallel=_PARALLEL)


def measured(plenty: PlentyOfTenants, *, parallel: int) -> Iterator[Row]:
    """The figures of tenants whose files stand there.

    Args:
        plenty: none of them is stamped.
        parallel: stacks at once.
    """
    number = len(plenty.tenants)
    killed = plenty.release(parallel=parallel, kill_after=number // 2)
    kept = {name: one for name, one in plenty.report.stacks.items() if one.state == "done"}
    resumed = plenty.release(parallel=parallel, resumed=True)
    stacks = plenty.report.stacks
    # What was under way at the kill came to its end by itself, and is only looked at again.
    looked_at = {*resumed.ended[:parallel]}
    order = [name for name in (*killed.ended, *resumed.ended) if name not in looked_at]
    seconds = [stacks[name].seconds for name in order]
    part = max(1, len(seconds) // 5)
    yield Row(
        name=f"seconds per tenant, of {number}, {parallel} at once",
        ours=median(seconds),
        unit="s",
        target=f"<= {_MOST_SECONDS:g} s",
        met=median(seconds) <= _MOST_SECONDS,
        rounds=1,
        note=f"AWS's rates; {_places(seconds)}; worst {max(seconds):.1f}",
    )
    yield _grows("the last fifth's seconds per tenant beside the first's", seconds, part, 1.2)
    yield _grows(
        "memory that the command holds", [*killed.memory, *resumed.memory], 1, 1.1, unit="MB"
    )
    whole = resumed.code == 0 and all(one.state == "done" for one in stacks.values())
    once = all(stacks[name] == one for name, one in kept.items())
    yield Row(
        name=f"tenants done after a kill -9 behind the {number // 2}th",
        ours=sum(one.state == "done" for one in stacks.values()),
        reference=number,
        ratio=sum(one.state == "done" for one in stacks.values()) / number,
        unit="tenants",
        target="all, none twice",
        met=killed.code == -9 and whole and once,
        rounds=1,
    )


def _grows(
    name: str, series: Sequence[float], part: int, at_most: float, *, unit: str = "s"
) -> Row:
    return compare(
        name=name,
        ours=[median(series[-part:])],
        reference=[median(series[:part])],
        unit=unit,
        at_most=at_most,
        note=f"most {max(series):.1f}",
    )


def _places(seconds: Sequence[float]) -> str:
    places = [place for place in (5, 20, 40, 100, 200, len(seconds)) if place <= len(seconds)]
    return ", ".join(f"{seconds[place - 1]:.1f} the {place}th" for place in places)
