"""Refuses tokens of who was signed out, disabled or taken out of a group, in every process.

What stands of grants is read with it, and is as old at most.

Cognito keeps no list that its tokens could be held against: what `AdminUserGlobalSignOut` and
`AdminDisableUser` end are refresh tokens and calls of Cognito itself; "Other requests might be
valid until your user's token expires" (Cognito API reference, AdminUserGlobalSignOut). So the
service keeps its own rows, and reads them while requests come.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.domain.instants import milliseconds
from service.domain.revocations import INTENT_MS, SKEW_MS, RunTimeWord, is_revoked
from service.errors import CedarfleetError, TokenFault, UnauthenticatedError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.domain.identities import Principal
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.ports.revocations import RevocationRecords

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_ROWS: Final = "the revocations"
FRESH_SECONDS: Final = 4.0
"""No older word is used, so a revocation ends within that what its tokens may do."""


@dataclass(kw_only=True)
class _Known:
    """What is known of one tenant.

    Attributes:
        word: what was answered last.
        asked_at: when that was asked; seconds of the clock.
        failure: why the last question has no answer.
    """

    word: RunTimeWord = field(default_factory=RunTimeWord)
    asked_at: float = -math.inf
    failure: CedarfleetError | None = None
    asking: asyncio.Task[None] | None = None


class Revocations:
    """Checks tokens against the revocations of their tenants, and makes new ones.

    Nothing runs by itself: a request finds that something is due, and a process asks at most every
    two seconds about a tenant, whoever of it calls.

    Args:
        records: of all processes.
        clock: tells the time that tokens are compared with.
        now: seconds, monotonic.
        max_tenants: remembered; a forgotten one is asked about anew.
    """

    def __init__(
        self,
        records: RevocationRecords,
        clock: Clock,
        *,
        now: Callable[[], float] = time.monotonic,
        max_tenants: int = 4096,
    ) -> None:
        self._records = records
        self._clock = clock
        self._now = now
        self._max_tenants = max_tenants
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, principal: Principal) -> None:
        """Go on only if the caller's token was not revoked, as of at most ``FRESH_SECONDS`` ago.

        Raises:
            UnauthenticatedError: it was.
            UnavailableError: nobody says whether (fail closed).
        """
        word = self._fresh(principal.tenant) or await self.word(principal.tenant)
        tokens = word.tokens
        # Of most tenants nobody was revoked of late.
        if tokens and is_revoked(tokens, principal.subject, principal.issued_at):
            raise UnauthenticatedError("token revoked", TokenFault.REVOKED)

    async def word(self, tenant: Tenant) -> RunTimeWord:
        """What was so of a tenant at most ``FRESH_SECONDS`` ago.

        Raises:
            UnavailableError: nobody says (fail closed).
        """
        known = self._of(tenant)
        age = self._now() - known.asked_at
        if age > FRESH_SECONDS:
            async with deadline.within(_ROWS):
                await asyncio.shield(self._ask(tenant, known))
            # Fail closed: a token that may be revoked is one.
            if known.failure is not None:
                raise known.failure
        elif age > FRESH_SECONDS / 2:
            self._ask(tenant, known)
        return known.word

    async def anew(self, tenant: Tenant) -> RunTimeWord:
        """What is so now.

        Raises:
            UnavailableError: nobody says.
        """
        self.forget(tenant)
        return await self.word(tenant)

    async def around(
        self, tenant: Tenant, subject: str, change: Callable[[], Awaitable[None]]
    ) -> None:
        """Make a change after which no token of before counts.

        It is told first that tokens of now, and of the next half minute, prove nothing: whatever
        is cut off, none of before is taken. Once the change is made, those of after it count.

        Args:
            tenant: whose people or machines are changed.
            subject: ``sub`` of the tokens.
            change: what is done at the pool.
        """
        intent = milliseconds(self._clock()) + INTENT_MS
        await self._records.revoke(tenant, subject, intent)
        self.forget(tenant)
        await change()
        try:
            await self._records.settle(
                tenant, subject, intent=intent, not_before=milliseconds(self._clock()) + SKEW_MS
            )
        except UpstreamError:
            # The change is made: tokens of the next half minute are refused, and no more.
            log.warning("revocations.unsettled", tenant=tenant.id)
        self.forget(tenant)

    async def close(self) -> None:
        """End what is done in the background."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def forget(self, tenant: Tenant) -> None:
        """Ask anew before anything counts: this process has changed something."""
        self._known.pop(tenant.issuer, None)

    def _fresh(self, tenant: Tenant) -> RunTimeWord | None:
        """The word, if it is so new that nobody needs to be asked."""
        known = self._known.get(tenant.issuer)
        if known is None or self._now() - known.asked_at > FRESH_SECONDS / 2:
            return None
        self._known.move_to_end(tenant.issuer)
        return known.word

    def _of(self, tenant: Tenant) -> _Known:
        known = self._known.get(tenant.issuer)
        if known is None:
            known = self._known[tenant.issuer] = _Known()
            if len(self._known) > self._max_tenants:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(tenant.issuer)
        return known

    def _ask(self, tenant: Tenant, known: _Known) -> asyncio.Task[None]:
        if known.asking is None or known.asking.done():
            known.asking = deadline.shared(self._asked(tenant, known))
            self._tasks.add(known.asking)
            known.asking.add_done_callback(self._tasks.discard)
        return known.asking

    async def _asked(self, tenant: Tenant, known: _Known) -> None:
        began = self._now()
        try:
            known.word = await self._records.word(tenant)
        except CedarfleetError as error:
            known.failure = error
            log.warning("revocations.not_asked", tenant=tenant.id, problem=type(error).__name__)
        else:
            known.asked_at, known.failure = began, None
