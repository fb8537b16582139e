"""Keeps a bucket's rate together with every other process, at two writes a second and bucket.

A process leases tokens of the shared bucket, as many as it was asked for in the half second before,
and spends them by itself within half a second. In any time ``T`` all processes together let through
at most ``burst + per_second * (T + LEASE_SECONDS)``, since what is spent in it was leased in it or
half a second before. A process that dies takes its lease with it: less is let through, never more.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.bounded_cache import BoundedCache
from service.domain.budgets import Bucket, Grant, Standing
from service.domain.rates import Rate, held, is_believable, microseconds, next_token, seconds
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.domain.instants import Clock
    from service.ports.budgets import SharedBuckets
    from service.settings import JobSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LEASE_SECONDS: Final = 0.5
_LEASE: Final = microseconds(LEASE_SECONDS)
# A write that takes longer is as good as none: requests wait for it. What it gives can be spent for
# the rest of the lease, if there is any.
_ANSWER_SECONDS: Final = 2.0
# Without the table each process lets a tenth through, of burst and rate: as many tasks as
# autoscaling starts at most (`tasks_max`) then stay within both together.
_LOCAL_SHARE: Final = 10
_AGAIN: Final = microseconds(5)
_FORGOTTEN_SECONDS: Final = 3600.0


class Budgets:
    """Takes tokens for the requests of this process; for one event loop.

    Args:
        shared: the buckets of all processes.
        clock: tells the time.
        max_buckets: buckets remembered; a forgotten one is leased of anew.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        shared: SharedBuckets,
        clock: Clock,
        *,
        max_buckets: int = 4096,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._sleep = sleep
        self._purses: BoundedCache[str, _Purse] = BoundedCache(max_entries=max_buckets)
        self._refused: BoundedCache[bytes, Bucket] = BoundedCache(max_entries=max_buckets)

    async def spend(self, bucket: Bucket) -> Standing:
        """Take one token, or say for how long there is none; never waits for one."""
        purse = self._purses.get(bucket.key) or _Purse()
        self._purses.put(bucket.key, purse, seconds=_FORGOTTEN_SECONDS)
        purse.ask(self._now())
        purse.waiting += 1
        try:
            while not purse.spend(now := self._now()):
                if purse.is_used_up(bucket.rate, now):
                    return purse.standing(bucket, now, granted=False)
                await self._lease(bucket, purse)
            return purse.standing(bucket, now, granted=True)
        finally:
            purse.waiting -= 1

    async def spend_all(self, bucket: Bucket, tokens: int) -> Standing:
        """Take so many tokens: refused at the first, or waits for each of the others.

        Otherwise what needs more of them than the bucket holds would be refused for ever: without
        the table it holds a tenth.
        """
        standing = await self.spend(bucket)
        for _ in range(tokens - 1 if standing.granted else 0):
            while not (standing := await self.spend(bucket)).granted:
                if standing.wait_seconds >= deadline.remaining():
                    return standing
                await self._sleep(standing.wait_seconds)
        return standing

    def remember(self, caller: bytes, bucket: Bucket) -> None:
        """Note that a caller was refused, so that `refusal` can tell it sooner."""
        self._refused.put(caller, bucket, seconds=LEASE_SECONDS)

    def refusal(self, caller: bytes) -> Standing | None:
        """How the bucket of a caller stands who would be refused again; looks at nothing else.

        Args:
            caller: what `remember` was given.
        """
        bucket = self._refused.get(caller)
        purse = self._purses.get(bucket.key) if bucket else None
        if bucket is None or purse is None:
            return None
        now = self._now()
        if purse.tokens or not purse.is_used_up(bucket.rate, now):
            return None
        purse.ask(now)
        return purse.standing(bucket, now, granted=False)

    async def _lease(self, bucket: Bucket, purse: _Purse) -> None:
        """Lease once for all that wait; one that leaves does not cancel the others."""
        # One that has ended gives no more: to wait for it again would wait without end, and let
        # nothing else run meanwhile.
        if purse.leasing is None or purse.leasing.done():
            purse.leasing = deadline.shared(self._leased(bucket, purse))
        await asyncio.shield(purse.leasing)

    async def _leased(self, bucket: Bucket, purse: _Purse) -> None:
        now, rate = self._now(), bucket.rate
        tokens = min(rate.burst, max(purse.waiting, math.ceil(purse.demand)))
        if purse.is_alone(now):
            purse.fill_alone(now, rate)
            return
        try:
            grant = await asyncio.wait_for(
                self._shared.take(
                    bucket, tokens=tokens, now=now, returned=purse.tokens, last=purse.last
                ),
                _ANSWER_SECONDS,
            )
        except (UpstreamError, TimeoutError):
            grant = None
        if grant is not None and is_believable(rate, grant.full_at, now):
            purse.fill(now, grant, is_short=grant.tokens < tokens)
            if not _within(now, answered := self._now(), _LEASE):
                # Fail closed: what was leased so long ago is spent no more. Who waited for it waits
                # no second time: the next answer may be as late.
                log.warning("budget.late", bucket=bucket.key)
                purse.fill_alone(answered, rate)
                purse.last = grant
            return
        # Fail closed, to a share so small that all processes together stay within the rate.
        log.warning("budget.alone", bucket=bucket.key, answered=grant is not None)
        purse.alone_since = now
        purse.fill_alone(now, rate)

    def _now(self) -> int:
        return microseconds(self._clock().timestamp())


class Pace:
    """Takes each token of the shared bucket itself, for rates that must hold to the letter.

    Args:
        shared: the buckets of all processes.
        clock: tells the time.
        sleep: waits so many seconds of that time.
    """

    def __init__(
        self,
        shared: SharedBuckets,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._sleep = sleep
        self._last: dict[str, Grant] = {}

    async def wait(self, bucket: Bucket, tokens: int = 1) -> None:
        """Return once so many tokens are taken, however long that takes.

        Raises:
            UnavailableError: the table does not answer; nothing may be done then (fail closed).
        """
        left, rate = tokens, bucket.rate
        while True:
            now = microseconds(self._clock().timestamp())
            last = self._last.get(bucket.key)
            grant = await self._shared.take(bucket, tokens=left, now=now, last=last)
            self._last[bucket.key] = grant
            left -= grant.tokens
            if left <= 0:
                return
            # Until all that is left is there, or as much as the bucket holds.
            more = (min(left, rate.burst) - 1) * rate.token
            await self._sleep(next_token(rate, grant.full_at + more, now))


@dataclass(kw_only=True)
class _Purse:
    """The tokens of one bucket that this process leased and has not spent.

    Attributes:
        tokens: unspent.
        waiting: requests that wait for a token.
        demand: requests of about the last half second, those without a token too.
        asked_at: of the last request, in microseconds since the epoch.
        leased_at: of the last lease.
        is_short: whether it gave less than was asked for.
        alone_since: the table did not answer then.
        alone_full_at: of the bucket that stands in for it.
    """

    tokens: int = 0
    waiting: int = 0
    demand: float = 0.0
    asked_at: int = 0
    leased_at: int = 0
    is_short: bool = False
    last: Grant | None = None
    alone_since: int | None = None
    alone_full_at: int = 0
    leasing: asyncio.Task[None] | None = None

    def ask(self, now: int) -> None:
        past = max(0, now - self.asked_at) / _LEASE
        self.demand = self.demand * math.exp(-past) + 1
        self.asked_at = now

    def spend(self, now: int) -> bool:
        if self.tokens < 1 or not _within(self.leased_at, now, _LEASE):
            return False
        self.tokens -= 1
        return True

    def is_used_up(self, rate: Rate, now: int) -> bool:
        """Whether the bucket gave all that it had a moment ago."""
        return self.is_short and _within(self.leased_at, now, _pause(rate))

    def is_alone(self, now: int) -> bool:
        return self.alone_since is not None and _within(self.alone_since, now, _AGAIN)

    def fill(self, now: int, grant: Grant, *, is_short: bool) -> None:
        self.tokens, self.leased_at, self.last = grant.tokens, now, grant
        self.is_short = is_short

    def fill_alone(self, now: int, rate: Rate) -> None:
        """Fill it of a bucket of this process alone, which is a tenth of the shared one."""
        share = Rate(
            per_second=max(1, rate.per_second // _LOCAL_SHARE),
            burst=max(1, rate.burst // _LOCAL_SHARE),
        )
        tokens = held(share, self.alone_full_at, now)
        self.alone_full_at = max(self.alone_full_at, now) + tokens * share.token
        self.fill(now, Grant(tokens=tokens, full_at=now + rate.span), is_short=True)

    def standing(self, bucket: Bucket, now: int, *, granted: bool) -> Standing:
        rate = bucket.rate
        full_at = self.last.full_at if self.last else now
        remaining = self.tokens + (0 if self.is_short else held(rate, full_at, now))
        wait = 0.0
        if not remaining:
            asks_again = (
                seconds(max(0, self.leased_at + _pause(rate) - now)) if self.is_short else 0.0
            )
            wait = max(asks_again, next_token(rate, full_at, now))
        return Standing(bucket=bucket, granted=granted, remaining=remaining, wait_seconds=wait)


def _pause(rate: Rate) -> int:
    """How long a bucket that gave all is not asked again; a full one would lose what comes."""
    return min(_LEASE, rate.span * 9 // 10)


def _within(since: int, now: int, span: int) -> bool:
    """Whether so little time has passed; of a clock that was set back nobody knows how much has."""
    return 0 <= now - since < span


async def turn_of_jobs(pace: Pace, settings: JobSettings) -> None:
    """Return when one more call of IoT Jobs may be made, of all tasks together."""
    rate = Rate(per_second=settings.jobs_per_second, burst=settings.jobs_per_second)
    await pace.wait(Bucket(name="iot-jobs", rate=rate))
