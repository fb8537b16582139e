"""What a benchmark returns: our figure beside a reference of the same run; how to compare them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        ours: our figure (median), in ``unit``.
        reference: the figure it is compared with (median), in ``unit``; None when the target is
            absolute.
        ratio: how the two compare (median over rounds, each round's own ratio); None without a
            reference.
        unit: of ``ours`` and ``reference``.
        target: in words, e.g. ``>= 1.8x``.
        met: whether the target is met by the median.
        rounds: how often it was measured, interleaved.
        note: the worst round, what the reference is, conditions.
    """

    name: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    unit: str
    target: str
    met: bool
    rounds: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A row that was not measured: said plainly, never passed over.

    Attributes:
        name: what was not measured.
        why: what is missing and how to get it, e.g. ``apt-get install nginx``.
    """

    name: str
    why: str


def compare(
    *,
    name: str,
    ours: Sequence[float],
    reference: Sequence[float],
    unit: str,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> Row:
    """The row of two series that were measured in turns; the ratio is ours / reference.

    It is taken round by round.

    Args:
        name: what was measured.
        ours: one figure for each round.
        reference: likewise, of the same rounds.
        unit: of both.
        at_least: the ratio's target when more is better.
        at_most: the ratio's target when less is better.
        note: goes after the worst ratio.

    Raises:
        ValueError: series of different length or empty, or not exactly one target.
    """
    if not ours or len(ours) != len(reference) or (at_least is None) == (at_most is None):
        raise ValueError(f"`{name}`: two series of one length and one target are needed")
    ratios = [mine / theirs for mine, theirs in zip(ours, reference, strict=True)]
    middle = median(ratios)
    if at_least is not None:
        worst, met, target = min(ratios), middle >= at_least, f">= {at_least:g}x"
    else:
        worst, met, target = max(ratios), middle <= (at_most or 0.0), f"<= {at_most:g}x"
    return Row(
        name=name,
        ours=median(ours),
        reference=median(reference),
        ratio=middle,
        unit=unit,
        target=target,
        met=met,
        rounds=len(ratios),
        note=f"worst {worst:.2f}x{'; ' if note else ''}{note}",
    )


def interleaved(rounds: int, *measured: Callable[[], float]) -> tuple[list[float], ...]:
    """Measure each in turn, ``rounds`` times, the order reversed each time; one series each."""
    series: tuple[list[float], ...] = tuple([] for _ in measured)
    for number in range(rounds):
        order = range(len(measured)) if number % 2 == 0 else reversed(range(len(measured)))
        for index in order:
            series[index].append(measured[index]())
    return series
