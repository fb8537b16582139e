"""Who was signed out, disabled or taken out of a group is refused in time, in every process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service import deadline
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.revocations import INTENT_MS, SKEW_MS, RunTimeWord, is_revoked
from service.errors import OutOfTimeError, TokenFault, UnauthenticatedError, UnavailableError
from service.operations.revocations import FRESH_SECONDS, Revocations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.domain.tenants import Tenant

ACME = MemoryUserPool("acme").tenant
BEGINNING = 1_790_000_000


@dataclass
class Process:
    """One process over records that all share, on a clock that the test moves."""

    records: MemoryRevocations = field(default_factory=MemoryRevocations)
    now: float = BEGINNING

    def __post_init__(self) -> None:
        self.revocations = Revocations(
            self.records, lambda: datetime.fromtimestamp(self.now, UTC), now=lambda: self.now
        )

    async def lets_in(self, issued_at: float, subject: str = "ann") -> bool:
        """Whether a token of then is taken now."""
        try:
            await self.revocations.check(bearer(issued_at, subject))
        except UnauthenticatedError as error:
            return error.fault is not TokenFault.REVOKED
        return True


def bearer(issued_at: float, subject: str = "ann") -> Principal:
    """Whoever has a token of then."""
    return Principal(
        tenant=ACME,
        subject=subject,
        token_use=TokenUse.ID,
        groups=(),
        email=None,
        client_id="client",
        expires_at=2**40,
        claims=VerifiedClaims({"iat": issued_at}),
        token="",
    )


def run(steps: Callable[[Process, Process], Awaitable[None]]) -> None:
    """Play a scenario of two processes over the same records."""

    async def play() -> None:
        one = Process()
        await steps(one, Process(records=one.records))

    asyncio.run(play())


async def nothing() -> None:
    """A change at the pool that is made at once."""


def test_another_process_refuses_within_five_seconds() -> None:
    """What was revoked elsewhere ends once the word is older than it may be, without a restart."""

    async def steps(one: Process, other: Process) -> None:
        assert await other.lets_in(BEGINNING - 60)
        await one.revocations.around(ACME, "ann", nothing)
        assert not await one.lets_in(BEGINNING - 60)
        other.now += FRESH_SECONDS + 0.01
        assert not await other.lets_in(BEGINNING - 60)
        assert await other.lets_in(BEGINNING - 60, "bob")

    run(steps)
    assert FRESH_SECONDS < 5


def test_a_token_of_after_the_change_counts() -> None:
    """Who signs in again is let in; who has a token of the very second needs another one."""

    async def steps(one: Process, _: Process) -> None:
        await one.revocations.around(ACME, "ann", nothing)
        one.now += SKEW_MS / 1000
        assert not await one.lets_in(BEGINNING)
        assert await one.lets_in(BEGINNING + SKEW_MS / 1000)

    run(steps)


def test_a_change_that_is_cut_off_refuses_all_the_same() -> None:
    """Told before it is made: whether the pool did it or not, no token of before counts."""

    async def lost() -> None:
        raise UnavailableError("the user pool")

    async def steps(one: Process, _: Process) -> None:
        with pytest.raises(UnavailableError):
            await one.revocations.around(ACME, "ann", lost)
        assert not await one.lets_in(BEGINNING)
        one.now += INTENT_MS / 1000
        assert not await one.lets_in(BEGINNING)
        assert await one.lets_in(BEGINNING + INTENT_MS / 1000)

    run(steps)


def test_nothing_is_changed_that_could_not_be_told() -> None:
    """Without the record the pool is not asked: a session would go on that somebody ended."""
    made: list[str] = []

    async def change() -> None:
        made.append("change")

    async def steps(one: Process, _: Process) -> None:
        one.records.available = False
        with pytest.raises(UnavailableError):
            await one.revocations.around(ACME, "ann", change)

    run(steps)
    assert made == []


def test_a_later_revocation_is_not_taken_back_by_an_earlier() -> None:
    """Two at once: the one that ends last leaves the other's word, which refuses more."""

    async def steps(one: Process, other: Process) -> None:
        async def meanwhile() -> None:
            other.now += 5
            await other.records.revoke(ACME, "ann", int(other.now * 1000) + INTENT_MS)

        await one.revocations.around(ACME, "ann", meanwhile)
        assert one.records.rows["acme"]["ann"] == int(other.now * 1000) + INTENT_MS

    run(steps)


def test_without_an_answer_nobody_is_let_in() -> None:
    """A word of up to four seconds ago serves; then the request fails, and asks again."""

    async def steps(one: Process, _: Process) -> None:
        assert await one.lets_in(BEGINNING)
        one.records.available = False
        one.now += FRESH_SECONDS
        assert await one.lets_in(BEGINNING)
        one.now += 0.01
        with pytest.raises(UnavailableError):
            await one.lets_in(BEGINNING)
        one.records.available = True
        assert await one.lets_in(BEGINNING)

    run(steps)


def test_many_requests_ask_once() -> None:
    """A hundred requests of a tenant at once, and all of two seconds, cost one question."""

    async def steps(one: Process, _: Process) -> None:
        await asyncio.gather(*(one.lets_in(BEGINNING) for _ in range(100)))
        one.now += FRESH_SECONDS / 2
        await asyncio.gather(*(one.lets_in(BEGINNING) for _ in range(100)))
        assert one.records.asked == 1

    run(steps)


def test_a_token_without_a_moment_counts_as_one_of_before() -> None:
    """Whoever was revoked cannot come with a token that says nothing of when it was made."""
    principal = bearer(0)
    assert is_revoked({"ann": 1}, "ann", principal.issued_at)
    assert not is_revoked({}, "ann", principal.issued_at)


class Slow(MemoryRevocations):
    """Answers once it is let, within the time of the request that asks, as the door to AWS does."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def word(self, tenant: Tenant) -> RunTimeWord:
        """See ``ports.RevocationRecords``."""
        async with deadline.within("the table"):
            await self.may.wait()
        return await super().word(tenant)


def test_a_request_without_time_ends_no_others_question() -> None:
    """The question is shared: who began it goes, and whoever has time still gets the answer."""

    async def play() -> None:
        records = Slow()
        one = Process(records=records)

        async def hurried() -> None:
            deadline.begin(0.01)
            with pytest.raises(OutOfTimeError):
                await one.revocations.check(bearer(BEGINNING))

        first = asyncio.create_task(hurried())
        await asyncio.sleep(0)
        patient = asyncio.create_task(one.lets_in(BEGINNING))
        await first
        records.may.set()
        assert await patient

    asyncio.run(play())


def test_closing_waits_for_what_it_ends() -> None:
    """Nothing is left behind, though the records never answer."""

    class Silent(MemoryRevocations):
        """Answers never."""

        async def word(self, tenant: Tenant) -> RunTimeWord:
            """Wait."""
            del tenant
            return await asyncio.get_running_loop().create_future()

    async def steps() -> int:
        one = Process(records=Silent())
        waiting = asyncio.ensure_future(one.revocations.word(ACME))
        await asyncio.sleep(0)
        await one.revocations.close()
        left = len(asyncio.all_tasks() - {waiting}) - 1
        await asyncio.gather(waiting, return_exceptions=True)
        return left

    assert asyncio.run(steps()) == 0
