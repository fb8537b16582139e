"""Memory of the service over 200,000 requests a round, each round with 20,000 tokens never seen.

Five rounds are a million requests and 100,000 tokens, and take most of an hour: it runs only where
it is asked for (``python -m tests.benchmarks --only resident_memory``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.benchmarks.measured_service import RecordedPlatform
from tests.benchmarks.rows import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.measured_service import Served
    from tests.benchmarks.rows import Row

IS_LONG: Final = True
_TENANTS: Final = 100
_TOKENS: Final = 20_000  # of each round, all new
_EACH: Final = 10  # requests with each of them
_AT_ONCE: Final = 2_000


def rows(rounds: int) -> Iterator[Row]:
    """The memory after each round beside that after a first one, which fills every cache."""
    with RecordedPlatform.of(_TENANTS) as platform, platform.service() as ours:
        filled = _after_a_round(platform, ours, 0)
        later = [_after_a_round(platform, ours, number + 1) for number in range(rounds)]
    yield compare(
        name=f"memory after {rounds * _TOKENS * _EACH:,} requests of {rounds * _TOKENS:,} tokens",
        ours=[later[-1]],
        reference=[filled],
        unit="MiB",
        at_most=1.05,
        note=f"most {max(later):.0f}; beside that after {_TOKENS * _EACH:,}, which fill the caches",
    )


def _after_a_round(platform: RecordedPlatform, ours: Served, number: int) -> float:
    """MiB, once so many requests were answered."""
    for first in range(0, _TOKENS, _AT_ONCE):
        sent = [
            platform.request(
                "GET", "/v1/devices/press-07", tenant=one % _TENANTS, name=f"{number}-{one}"
            )
            for one in range(first, first + _AT_ONCE)
        ]
        platform.forget()
        ours.send(sent * _EACH)
    return ours.resident_bytes / (1 << 20)
