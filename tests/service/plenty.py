"""Budgets without an end: what the world takes in a second is a matter of tests of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.budgets import Standing
from service.operations.budgets import Budgets

if TYPE_CHECKING:
    from service.domain.budgets import Bucket


class Plenty(Budgets):
    """As many tokens as a test asks for."""

    async def spend(self, bucket: Bucket) -> Standing:
        """One token."""
        return Standing(bucket=bucket, granted=True, remaining=1, wait_seconds=0)
