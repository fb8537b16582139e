"""Whether this process can serve: asked by anybody, as often as they like, for one probe a second.

The question is public and needs no token, so its cost must not grow with how often it is put.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from service import deadline
from service.errors import UnavailableError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.ports.tenants import TenantRegistry

_AGAIN_SECONDS: Final = 1.0


@dataclass(kw_only=True)
class Readiness:
    """Asks the registry, at most once a second and never twice at once.

    Attributes:
        registry: without which no request can be served.
        now: seconds on a clock that nobody sets.
    """

    registry: TenantRegistry
    now: Callable[[], float]
    _until: float = float("-inf")
    _missing: str | None = None
    _probe: asyncio.Task[None] | None = field(default=None, repr=False)

    async def check(self) -> None:
        """Raise ``UnavailableError`` unless requests can be served."""
        if self._probe is None and self.now() >= self._until:
            self._probe = deadline.shared(self._ask())
        if self._probe is not None:
            await asyncio.shield(self._probe)  # who leaves must not cancel what others wait for
        if self._missing is not None:
            raise UnavailableError(self._missing)

    async def _ask(self) -> None:
        try:
            await self.registry.check()
            self._missing = None
        except UpstreamError:  # a failure is shared as a success is
            self._missing = "the tenant registry"
        finally:
            # From its end: a registry that is slow is not asked at once again.
            self._until, self._probe = self.now() + _AGAIN_SECONDS, None
