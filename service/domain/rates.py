"""How fast a bucket of tokens fills, and what may be taken of it; which budgets a tenant has.

What stands of a bucket is one number, the instant at which it is full again: the *theoretical
arrival time* of the generic cell rate algorithm (source: ITU-T I.371, annex A; "GCRA"). Whatever
many takers do, in any time ``T`` they are granted at most ``burst + per_second * T`` tokens, and
the skew of their clocks times ``per_second`` more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MICROSECONDS: Final = 1_000_000
# What stands further ahead than its bucket can be was written by a clock that is wrong, or is read
# by one.
_SKEW_MICROSECONDS: Final = 5 * _MICROSECONDS


class Budget(StrEnum):
    """What a tenant has a budget of."""

    REQUESTS = "requests"
    COMMANDS = "commands"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast a bucket fills, and how much it holds; both at least 1.

    Attributes:
        per_second: tokens.
        burst: tokens that may be taken at once after a pause.
    """

    per_second: int
    burst: int

    @property
    def token(self) -> int:
        """Microseconds in which one token comes."""
        return _MICROSECONDS // self.per_second

    @property
    def span(self) -> int:
        """Microseconds in which the empty bucket fills."""
        return self.token * self.burst


MOST_PER_SECOND: Final = 10_000
"""The largest budget, and the largest burst: at it a token comes each 100 microseconds."""

# Of a tenant whose row is of an earlier release. All decisions are asked of the tenant's own policy
# store, which answers 200 a second (source: Verified Permissions, "Quotas"): 80 at once, and what
# comes in a second and a half, since processes lease half a second ahead (ADR 0022).
DEFAULT: Final[Mapping[Budget, Rate]] = {
    Budget.REQUESTS: Rate(per_second=80, burst=80),
    Budget.COMMANDS: Rate(per_second=20, burst=20),
}


def held(rate: Rate, full_at: int, now: int) -> int:
    """Whole tokens in the bucket at ``now``, both in microseconds since the epoch."""
    return max(0, rate.span - max(0, full_at - now)) // rate.token


def next_token(rate: Rate, full_at: int, now: int) -> float:
    """Seconds until the bucket holds a token."""
    return max(0, full_at - now - rate.span + rate.token) / _MICROSECONDS


def is_believable(rate: Rate, full_at: int, now: int) -> bool:
    """Whether a bucket of this rate can be as empty as its row says."""
    return full_at - now <= rate.span + _SKEW_MICROSECONDS


def seconds(microseconds: int) -> float:
    """Seconds, for people and timers."""
    return microseconds / _MICROSECONDS


def microseconds(seconds: float) -> int:
    """Whole microseconds."""
    return int(seconds * _MICROSECONDS)
