"""Whose credentials a call is signed with: the service's own, and each tenant's role."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import structlog

from service import deadline
from service.adapters.aws.client.failures import AwsCallError, NoAnswerError
from service.adapters.aws.client.signing import AwsCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.domain.tenants import Tenant

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
# AWS's longest for a role assumed by a role (docs: IAM "role chaining").
SESSION_SECONDS: Final = 3600
# As botocore: asked for again a quarter of an hour before they end.
_REFRESH_SECONDS: Final = 15 * 60
_FAILURE_SECONDS: Final = 2.0
# Clocks differ a little: what ends within this is not signed with any more.
_MARGIN_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 60.0


class Refreshing:
    """Credentials that are asked for once for all who wait, and again before they end.

    Who waits shares success and failure, and a failure is remembered for ``_FAILURE_SECONDS`` from
    its end. While there are good ones nobody waits for others.

    Args:
        ask: answers new credentials.
        refresh_after: seconds after which they are asked for again although they have not ended;
            ``None``: only before they end.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[AwsCredentials]],
        *,
        refresh_after: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._refresh_after = refresh_after
        self._clock = clock
        self._held: AwsCredentials | None = None
        self._asked_at = 0.0
        self._failure: AwsCallError | None = None
        self._failed_at = 0.0
        self._flight: asyncio.Task[AwsCredentials] | None = None

    async def get(self) -> AwsCredentials:
        """Credentials that have not ended.

        Raises:
            AwsCallError: nobody gives any.
        """
        held, now = self._held, self._clock()
        if held is not None:
            if not self._is_due(held, now):
                return held
            if held.expires_at is None or now < held.expires_at - _MARGIN_SECONDS:
                self._begin(now)
                return held
        if self._failure is not None and now < self._failed_at + _FAILURE_SECONDS:
            raise self._failure.with_traceback(None)
        flight = self._begin(now)
        if flight is None:
            raise NoAnswerError("credentials ended", is_lost=False)
        # One caller that leaves must not take them from the others.
        return await asyncio.shield(flight)

    def _is_due(self, held: AwsCredentials, now: float) -> bool:
        if held.expires_at is not None and now >= held.expires_at - _REFRESH_SECONDS:
            return True
        return self._refresh_after is not None and now >= self._asked_at + self._refresh_after

    def _begin(self, now: float) -> asyncio.Task[AwsCredentials] | None:
        if self._flight is not None and not self._flight.done():
            return self._flight
        if self._failure is not None and now < self._failed_at + _FAILURE_SECONDS:
            return None
        self._flight = deadline.shared(self._fly())
        # Of a flight that nobody waits for the failure is in the log already.
        self._flight.add_done_callback(lambda flight: flight.cancelled() or flight.exception())
        return self._flight

    async def _fly(self) -> AwsCredentials:
        try:
            made = await self._ask()
        except AwsCallError as error:
            self._failure, self._failed_at = error, self._clock()
            log.warning("aws.no_credentials", error=str(error))
            raise
        self._held, self._failure, self._asked_at = made, None, self._clock()
        return made


class OwnCredentials:
    """The service's own, from botocore's chain of providers, read beside the event loop."""

    def __init__(self) -> None:
        self._found: Any = None
        self._refreshing = Refreshing(self._read, refresh_after=_LOOK_SECONDS)

    async def get(self) -> AwsCredentials:
        """What the service signs with.

        Raises:
            NoAnswerError: there are none.
        """
        return await self._refreshing.get()

    async def _read(self) -> AwsCredentials:
        return await asyncio.get_running_loop().run_in_executor(None, self._look)

    def _look(self) -> AwsCredentials:
        # Imported here: botocore's session costs memory that nothing else needs.
        from botocore.session import get_session  # noqa: PLC0415 - see above

        try:
            if self._found is None:
                self._found = get_session().get_credentials()
            # A provider whose credentials end refreshes them here.
            frozen = None if self._found is None else self._found.get_frozen_credentials()
        # Whatever a provider raises (files, metadata endpoints) is: none now; its text may quote.
        except Exception as error:  # noqa: BLE001 - see above
            raise NoAnswerError(f"no credentials: {type(error).__name__}", is_lost=False) from None
        if frozen is None:
            raise NoAnswerError("no credentials", is_lost=False)
        return AwsCredentials(
            access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token
        )


class TenantCredentials:
    """Each tenant's, of the role that its registry row names.

    Args:
        assume: answers credentials of a tenant's role.
        max_tenants: kept at once; those used longest ago are dropped.
    """

    def __init__(
        self, assume: Callable[[Tenant], Awaitable[AwsCredentials]], *, max_tenants: int
    ) -> None:
        self._assume = assume
        self._max_tenants = max_tenants
        self._tenants: OrderedDict[str, Refreshing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tenants)

    async def get(self, tenant: Tenant) -> AwsCredentials:
        """Credentials that reach nothing but the tenant's things: its role says so, not we.

        Raises:
            AwsCallError: the role cannot be assumed.
        """
        known = self._tenants.get(tenant.role_arn)
        if known is None:
            known = Refreshing(lambda: self._assume(tenant))
            self._tenants[tenant.role_arn] = known
            while len(self._tenants) > self._max_tenants:
                self._tenants.popitem(last=False)
        self._tenants.move_to_end(tenant.role_arn)
        return await known.get()
