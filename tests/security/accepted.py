"""Which of many tokens prove an identity to the service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.operations.authentication import Authenticate


def accepted(authenticate: Authenticate, tokens: Iterable[str]) -> tuple[int, list[str]]:
    """How many tokens were tried, and those that proved an identity; no other error is let pass."""

    async def sweep() -> tuple[int, list[str]]:
        count, through = 0, list[str]()
        for token in tokens:
            count += 1
            try:
                await authenticate(f"Bearer {token}")
            except UnauthenticatedError:
                continue
            through.append(token)
        return count, through

    return asyncio.run(sweep())
