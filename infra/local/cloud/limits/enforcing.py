"""Holds the rows of the table: on one clock, at one pace, for one account."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.clock import Clock
from infra.local.cloud.limits.counts import COUNTS
from infra.local.cloud.limits.table import RATES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from infra.local.cloud.limits.rows import Count, Delay, Rate

PACE_VARIABLE: Final = "CEDARFLEET_AWS_PACE"
QUOTAS_VARIABLE: Final = "CEDARFLEET_AWS_QUOTAS"


class PaceError(ValueError):
    """The pace is no positive number."""


def pace_from_environment() -> float:
    """How many times as fast as AWS the rehearsal is: 1 where the environment says nothing.

    At 100, 100 times the calls a second are answered, and changes are seen after a hundredth of the
    time. The only place that reads ``CEDARFLEET_AWS_PACE``.

    Raises:
        PaceError: it is no positive number.
    """
    return pace_from(os.environ.get(PACE_VARIABLE, "1"))


def pace_from(text: str) -> float:
    """A pace as it is written.

    Raises:
        PaceError: it is no positive number.
    """
    try:
        pace = float(text)
    except ValueError:
        pace = math.nan
    if not 0 < pace < math.inf:
        raise PaceError(f"{PACE_VARIABLE}={text}: name a positive number, e.g. 100")
    return pace


class QuotasError(ValueError):
    """What quotas are raised to is no list of known ones with their figures."""


def quotas_from(text: str) -> dict[str, int]:
    """The quotas of an account that asked AWS for more: a count's id -> its figure.

    Args:
        text: e.g. ``streams=400,user-pools=2000``; empty: none.

    Raises:
        QuotasError: no such quota is counted here, or the figure is none.
    """
    known = {row.id for row in COUNTS}
    raised: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, figure = part.partition("=")
        if name not in known or not figure.isdecimal():
            raise QuotasError(
                f"{QUOTAS_VARIABLE}: `{part}` is no quota with a figure, as `streams=400` is; "
                f"there are {', '.join(sorted(known))}"
            )
        raised[name] = int(figure)
    return raised


@dataclass
class _Bucket:
    tokens: float
    at: float


class Limits:
    """AWS's limits as they hold here.

    Attributes:
        clock: tests advance it.
        pace: how many times as fast as AWS; see ``pace_from_environment``.
        figures: of each counted row that is held: its id -> the most.
        raised: those of them that stand higher than AWS's; see ``quotas_from``.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        pace: float | None = None,
        raised: Mapping[str, int] | None = None,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.pace = pace_from_environment() if pace is None else pace
        # The only place that reads the variable.
        asked = quotas_from(os.environ.get(QUOTAS_VARIABLE, "")) if raised is None else raised
        self.raised = dict(asked)
        self.figures = {row.id: row.figure for row in COUNTS} | self.raised
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._used_up: set[str] = set()

    @property
    def words(self) -> str:
        """What a program says of its cloud's limits."""
        if self.pace == 1:
            held = "AWS's quotas, rates and delays hold"
        else:
            held = (
                f"AWS's quotas hold; its rates and delays are SCALED: {self.pace:g} times as fast "
                f"({PACE_VARIABLE})"
            )
        if not self.raised:
            return held
        raised = ", ".join(f"{name} {figure}" for name, figure in sorted(self.raised.items()))
        return f"{held}; quotas RAISED: {raised} ({QUOTAS_VARIABLE})"

    def seconds(self, delay: Delay) -> float:
        """How long a change takes here."""
        return delay.figure / self.pace

    def take(self, rate: Rate, key: str = "") -> bool:
        """Whether one more call is answered now; a second's worth may come at once."""
        if rate.id in self._used_up:
            return False
        most, now = rate.figure * self.pace, self.clock.now()
        bucket = self._buckets.setdefault((rate.id, key), _Bucket(most, now))
        # Advancing never takes tokens away, nor does a clock that is set back.
        bucket.tokens = min(most, bucket.tokens + max(0.0, now - bucket.at) * most)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def too_fast(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Rate | None:
        """The rate that a call exceeds, or None; it counts against each of its rates."""
        for rate in _RATES.get((service, operation), ()):
            if not self.take(rate, str(parameters.get(rate.per, "")) if rate.per else ""):
                return rate
        return None

    def too_many(
        self, service: str, operation: str, after: Callable[[str], int]
    ) -> tuple[Count, int] | None:
        """The row that a call would exceed, with what there would be; or None.

        Args:
            service: botocore's name.
            operation: of it.
            after: row id -> how many there would be.
        """
        for count in _COUNTS.get((service, operation), ()):
            most = self.figures.get(count.id)
            if most is not None and (number := after(count.id)) > most:
                return count, number
        return None

    @contextmanager
    def used_up(self, rate: str) -> Generator[None]:
        """Answer no call of a rate for a while: somebody else in the account takes it all."""
        self._used_up.add(rate)
        try:
            yield
        finally:
            self._used_up.discard(rate)

    @contextmanager
    def changed(
        self, *, pace: float | None = None, figures: Mapping[str, int] | None = None
    ) -> Generator[None]:
        """Another pace or other figures for a while, from full buckets: for tests."""
        before = self.pace, dict(self.figures)
        self.pace = self.pace if pace is None else pace
        self.figures |= figures or {}
        self._buckets.clear()
        try:
            yield
        finally:
            self.pace, self.figures = before
            self._buckets.clear()


def _by_operation(rows: tuple[Any, ...]) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        for operation in row.operations:
            found.setdefault((row.service, operation), []).append(row)
    return found


_RATES: Final[Mapping[tuple[str, str], list[Rate]]] = _by_operation(RATES)
_COUNTS: Final[Mapping[tuple[str, str], list[Count]]] = _by_operation(COUNTS)
