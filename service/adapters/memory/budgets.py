"""A twin of the shared buckets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.budgets import Grant
from service.domain.rates import held
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.budgets import Bucket


@dataclass(kw_only=True)
class MemoryBuckets:
    """Rows by key; ``writes`` counts the calls, ``available = False`` makes them fail."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    writes: int = 0
    available: bool = True

    async def take(
        self,
        bucket: Bucket,
        *,
        tokens: int,
        now: int,
        returned: int = 0,
        last: Grant | None = None,
    ) -> Grant:
        if not self.available:
            raise UnavailableError("the budgets")
        self.writes += 1
        rate = bucket.rate
        full_at = self.rows.get(bucket.key, now)
        if full_at > now:
            full_at = max(now, full_at - returned * rate.token)
        granted = min(tokens, held(rate, full_at, now))
        if granted:
            self.rows[bucket.key] = full_at = max(full_at, now) + granted * rate.token
        return Grant(tokens=granted, full_at=full_at)
