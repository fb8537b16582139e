"""A token bucket that many processes share: what its row says, and what may be taken of it.

The row is one number, the instant at which the bucket is full again: the *theoretical arrival time*
of the generic cell rate algorithm (source: ITU-T I.371, annex A; as "GCRA" in many rate limiters).
A bucket that is not there is full. Whatever many takers do, in any time ``T`` they are granted at
most ``burst + per_second * T`` tokens, and the skew of their clocks times ``per_second`` more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

_MICROSECONDS: Final = 1_000_000
# A row that is further ahead than its bucket can be was written by a clock that is wrong, or is
# read by one.
_SKEW_MICROSECONDS: Final = 5 * _MICROSECONDS


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


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket.

    Attributes:
        name: of what is taken, e.g. ``requests``.
        rate: of now; another process may still know another one.
        tenant: whose it is; ``None`` for what the whole account shares.
    """

    name: str
    rate: Rate
    tenant: Tenant | None = None

    @property
    def key(self) -> str:
        """Of its row: in the tenant's own partitions, or where no tenant's role reaches."""
        owner = f"{self.tenant.id}--" if self.tenant else ""
        return f"{owner}budget#{self.name}"


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What was taken of a bucket.

    Attributes:
        tokens: as many as asked for, or as there were; 0 of an empty bucket.
        full_at: microseconds since the epoch, by the taker's clock.
    """

    tokens: int
    full_at: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a caller is told of a bucket.

    Attributes:
        bucket: of which.
        granted: whether the caller got its token.
        remaining: tokens left, as far as this process knows.
        wait_seconds: until the next one may be there; 0 if there are some.
    """

    bucket: Bucket
    granted: bool
    remaining: int
    wait_seconds: float


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
