"""The buckets that all processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.budgets import Bucket, Grant


class SharedBuckets(Protocol):
    """Token buckets that every process takes from."""

    async def take(
        self,
        bucket: Bucket,
        *,
        tokens: int,
        now: int,
        returned: int = 0,
        last: Grant | None = None,
    ) -> Grant:
        """Take up to so many tokens, in one step that no other taker can come between.

        Args:
            bucket: created full.
            tokens: wanted; at least 1.
            now: microseconds since the epoch.
            returned: tokens that were taken before and stay unspent: they go back.
            last: the caller's last grant of the bucket, which spares a step.
        """
        ...
