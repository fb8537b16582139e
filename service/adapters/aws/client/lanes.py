"""The way of every call onto the line: not to what is cut off, and within a share.

What serves all tenants, like the registry, has a lane of its own for each dependency: no tenant's
calls stand in its way.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from service.adapters.aws.client.breaker import Breakers
from service.adapters.aws.client.shares import Share, Shares
from service.errors import OverShareError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from random import Random

    from service.settings import AwsSettings

# What all tenants wait for is tried again sooner.
_OWN_MOST_SECONDS: Final = 3.0
_OWN: Final = "the service"
_WAITING_FOR_EACH: Final = 8


class Lanes:
    """Admits calls of tenants and of the service itself; for one event loop.

    Args:
        settings: how many calls there may be.
        clock: seconds, monotonic.
        random: for the jitter of what is cut off.
    """

    def __init__(
        self,
        settings: AwsSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._clock = clock
        share = Share(
            in_all=settings.calls_at_once,
            of_owner=settings.tenant_calls,
            of_each=settings.tenant_calls_of_each,
            waiting=settings.tenant_waiting,
        )
        self._tenants = Shares(share, clock=clock)
        self._breakers = Breakers(clock=clock, random=random)
        own = settings.own_calls
        self._own_share = Share(
            in_all=own, of_owner=own, of_each=own, waiting=own * _WAITING_FOR_EACH
        )
        # As many as there are dependencies in our own text.
        self._own: dict[str, Shares] = {}
        self._own_breakers = Breakers(most_seconds=_OWN_MOST_SECONDS, clock=clock, random=random)

    @asynccontextmanager
    async def tenant(self, tenant_id: str, dependency: str) -> AsyncGenerator[None]:
        """Hold a place for one call of a tenant, which is made inside.

        Args:
            tenant_id: whose call it is.
            dependency: whom it asks, in our words.

        Raises:
            OverShareError: too many of the tenant's calls wait.
            UnavailableError: cut off for this tenant.
        """
        self._breakers.check(tenant_id, dependency)
        async with self._tenants.place(tenant_id, dependency):
            with self._breakers.call(tenant_id, dependency):
                yield

    @asynccontextmanager
    async def own(self, dependency: str) -> AsyncGenerator[None]:
        """Hold a place for one call of the service itself, which is made inside.

        Raises:
            UnavailableError: cut off, or too many calls wait.
        """
        lane = self._own.setdefault(dependency, Shares(self._own_share, clock=self._clock))
        self._own_breakers.check(_OWN, dependency)
        try:
            async with lane.place(_OWN, dependency):
                with self._own_breakers.call(_OWN, dependency):
                    yield
        except OverShareError as error:  # no tenant's fault
            raise UnavailableError(
                error.what, wait_seconds=error.wait_seconds, is_lost=False
            ) from error

    @property
    def open(self) -> int:
        """Calls in flight for tenants."""
        return self._tenants.open

    @property
    def waiting(self) -> int:
        """Calls of tenants that wait for their turn."""
        return self._tenants.waiting

    @property
    def cut_off(self) -> list[tuple[str, str]]:
        """Tenants and dependencies that are cut off; of those that all share, the service's."""
        return self._breakers.open + self._own_breakers.open
