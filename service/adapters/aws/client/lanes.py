"""The way of every call onto the line: not to what is cut off, and within a share.

What serves all tenants, like the registry, has a lane of its own for each dependency: no tenant's
calls stand in its way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from service.adapters.aws.client.breaker import Breakers
from service.adapters.aws.client.shares import Share, Shares
from service.errors import OverShareError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from types import TracebackType

    from service.adapters.aws.client.breaker import Attempt
    from service.adapters.aws.client.shares import Place
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

    def tenant(self, tenant_id: str, dependency: str, *, until: float | None = None) -> Way:
        """The way of one call of a tenant, which is made within ``async with``.

        Entering it raises ``OverShareError`` if too many of the tenant's calls wait,
        ``UnavailableError`` if the dependency is cut off for it, ``TimeoutError`` if its turn does
        not come in time.

        Args:
            tenant_id: whose call it is.
            dependency: whom it asks, in our words.
            until: how long it may wait for its turn, by the loop's clock.
        """
        place = self._tenants.place(tenant_id, dependency, until=until)
        return Way(self._breakers, place, tenant_id, dependency)

    def own(self, dependency: str, *, until: float | None = None) -> Way:
        """The same of one call of the service itself; where too many wait it is unavailable."""
        lane = self._own.get(dependency)
        if lane is None:
            lane = self._own[dependency] = Shares(self._own_share, clock=self._clock)
        place = lane.place(_OWN, dependency, until=until)
        return Way(self._own_breakers, place, _OWN, dependency)

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


class Way:
    """One call's way: a place among those in flight, and how it ends told to the breaker."""

    __slots__ = ("_attempt", "_breakers", "_dependency", "_owner", "_place")

    def __init__(self, breakers: Breakers, place: Place, owner: str, dependency: str) -> None:
        self._breakers, self._place = breakers, place
        self._owner, self._dependency = owner, dependency
        self._attempt: Attempt | None = None

    async def __aenter__(self) -> None:
        self._breakers.check(self._owner, self._dependency)
        try:
            await self._place.__aenter__()
        except OverShareError as error:
            if self._owner != _OWN:
                raise
            # No tenant's fault.
            raise UnavailableError(
                error.what, wait_seconds=error.wait_seconds, is_lost=False
            ) from error
        try:
            # It may have been cut off while this one waited.
            self._attempt = self._breakers.call(self._owner, self._dependency)
        except UnavailableError:
            await self._place.__aexit__(None, None, None)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._attempt is not None:
            self._attempt.__exit__(kind, error, trace)
        await self._place.__aexit__(kind, error, trace)
