"""Processes that lease of one bucket keep its rate together, whatever becomes of one of them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from service import deadline
from service.adapters.memory.budgets import MemoryBuckets
from service.domain.budgets import Bucket, Grant
from service.domain.rates import Rate
from service.operations.budgets import LEASE_SECONDS, Budgets, Pace
from tests.seed import new_seed

RATE = Rate(per_second=40, burst=40)
BUCKET = Bucket(name="requests", rate=RATE)


@dataclass
class SimulatedClock:
    """Time that passes when the test says so."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    passed: float = 0.0

    def __call__(self) -> datetime:
        """The time of now."""
        return self.now + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds


@dataclass
class Cluster:
    """Processes over one table, by one clock; ``granted`` has the second of each token."""

    size: int = 3
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    shared: MemoryBuckets = field(default_factory=MemoryBuckets)
    processes: list[Budgets] = field(default_factory=list[Budgets])
    granted: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.processes = [self.process() for _ in range(self.size)]

    def process(self) -> Budgets:
        """One more, that knows nothing yet."""
        return Budgets(self.shared, self.clock, max_buckets=10, sleep=self.clock.sleep)

    async def ask(self, process: int) -> bool:
        """One request."""
        standing = await self.processes[process].spend(BUCKET)
        if standing.granted:
            self.granted.append(self.clock.passed)
        else:
            assert standing.wait_seconds > 0
        return standing.granted

    async def run(self, seconds: float, per_second: float, chance: random.Random) -> int:
        """Requests that come by chance, at any process; how many there were."""
        asked, until = 0, self.clock.passed + seconds
        while (wait := chance.expovariate(per_second)) + self.clock.passed < until:
            self.clock.passed += wait
            await self.ask(chance.randrange(self.size))
            asked += 1
        self.clock.passed = until
        return asked

    def most_within(self, seconds: float) -> int:
        """The most tokens that were granted in so long a time."""
        first, most = 0, 0
        for last, at in enumerate(self.granted):
            while at - self.granted[first] > seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


@pytest.fixture
def cluster() -> Cluster:
    """Three processes."""
    return Cluster()


def chosen() -> random.Random:
    """A choice that can be made again."""
    return random.Random(new_seed())  # noqa: S311 - no secret is drawn


def bound(seconds: float) -> float:
    """The most that all may let through in so long a time, as the operation says."""
    return RATE.burst + RATE.per_second * (seconds + LEASE_SECONDS)


def test_many_times_the_budget_gets_the_budget(cluster: Cluster) -> None:
    """All of it and, over any time, no more than is said; with two writes a second each."""
    asyncio.run(cluster.run(20, 1000, chosen()))
    assert len(cluster.granted) == pytest.approx(20 * RATE.per_second, rel=0.1)
    for seconds in (0.1, 1, 5, 15):
        assert cluster.most_within(seconds) <= bound(seconds)
    assert cluster.shared.writes <= 2.2 * 20 * cluster.size


def test_who_stays_within_is_never_refused(cluster: Cluster) -> None:
    """At two thirds of the rate each request gets its token, at about two writes a second."""
    asked = asyncio.run(cluster.run(60, RATE.per_second * 2 / 3, chosen()))
    assert len(cluster.granted) == asked
    assert cluster.shared.writes <= 2.5 * 60 * cluster.size


def test_requests_that_come_at_once_lease_once(cluster: Cluster) -> None:
    """Fifteen wait for two writes, and each gets a token."""

    async def at_once() -> list[bool]:
        return list(await asyncio.gather(*(cluster.ask(0) for _ in range(15))))

    assert all(asyncio.run(at_once()))
    assert cluster.shared.writes <= 2


def test_a_process_that_dies_takes_only_its_lease_along(cluster: Cluster) -> None:
    """The others and its successor stay within the bound, and soon get everything again."""
    chance = chosen()
    for _ in range(10):
        asyncio.run(cluster.run(2, 1000, chance))
        cluster.processes[chance.randrange(cluster.size)] = cluster.process()
    for seconds in (0.1, 1, 5):
        assert cluster.most_within(seconds) <= bound(seconds)
    assert len(cluster.granted) >= 20 * RATE.per_second * 0.8


def test_without_the_table_a_small_share_is_let_through(cluster: Cluster) -> None:
    """Ten processes together would stay within the rate; once the table is back, all is as ever."""
    cluster.shared.available = False
    chance = chosen()
    asyncio.run(cluster.run(20, 300, chance))
    alone = len(cluster.granted)
    assert 0 < alone <= (RATE.burst + 20.5 * RATE.per_second) / 10 * cluster.size
    cluster.shared.available = True
    cluster.clock.passed += 6
    asyncio.run(cluster.run(20, 300, chance))
    assert len(cluster.granted) - alone >= 20 * RATE.per_second * 0.9


def test_what_needs_more_than_there_is_waits_for_it(cluster: Cluster) -> None:
    """Without the table the bucket holds a tenth: at the first token one is refused, or not at all.

    Three changes of ten a second were refused for as long as the table was late.
    """
    cluster.shared.available = False
    few = Bucket(name="few", rate=Rate(per_second=10, burst=10))
    standing = asyncio.run(cluster.processes[0].spend_all(few, 12))
    assert standing.granted
    assert 10 <= cluster.clock.passed <= 12
    assert not asyncio.run(cluster.processes[0].spend_all(few, 2)).granted


def test_as_many_tokens_are_taken_as_are_needed(cluster: Cluster) -> None:
    """Not one more or less: what is left is for others."""
    few = Bucket(name="few", rate=Rate(per_second=10, burst=10))

    async def left() -> int:
        assert (await cluster.processes[0].spend_all(few, 4)).granted
        number = 0
        while (await cluster.processes[0].spend(few)).granted:
            number += 1
        return number

    assert asyncio.run(left()) == 6


def test_nobody_waits_for_tokens_beyond_the_time_left(cluster: Cluster) -> None:
    """A request whose time is over before the next token is refused."""
    cluster.shared.available = False
    few = Bucket(name="few", rate=Rate(per_second=1, burst=10))

    async def asked() -> bool:
        deadline.begin(0.5)
        return (await cluster.processes[0].spend_all(few, 3)).granted

    assert not asyncio.run(asked())
    assert cluster.clock.passed == 0


def test_a_caller_whose_bucket_is_forgotten_is_asked_for_anew() -> None:
    """Of a bucket that was dropped for others nobody knows that it is used up."""
    clock = SimulatedClock()
    budgets = Budgets(MemoryBuckets(), clock, max_buckets=1)
    few = Bucket(name="few", rate=Rate(per_second=1, burst=1))

    async def scenario() -> None:
        while (await budgets.spend(few)).granted:
            pass
        budgets.remember(b"caller", few)
        assert budgets.refusal(b"somebody else") is None
        assert budgets.refusal(b"caller") is not None
        await budgets.spend(BUCKET)
        assert budgets.refusal(b"caller") is None

    asyncio.run(scenario())


@dataclass(kw_only=True)
class AskedBuckets(MemoryBuckets):
    """A table that notes how many tokens were asked for."""

    asked: list[int] = field(default_factory=list[int])

    async def take(
        self,
        bucket: Bucket,
        *,
        tokens: int,
        now: int,
        returned: int = 0,
        last: Grant | None = None,
    ) -> Grant:
        """As ever."""
        self.asked.append(tokens)
        return await super().take(bucket, tokens=tokens, now=now, returned=returned, last=last)


def test_who_was_refused_counts_for_the_next_lease() -> None:
    """A process leases for all that come to it, also for those that it has turned away."""
    clock, shared = SimulatedClock(), AskedBuckets()
    budgets = Budgets(shared, clock, max_buckets=10)

    async def scenario() -> None:
        while (await budgets.spend(BUCKET)).granted:
            pass
        budgets.remember(b"caller", BUCKET)
        for _ in range(200):
            assert budgets.refusal(b"caller") is not None
        clock.passed += LEASE_SECONDS
        shared.asked.clear()
        await budgets.spend(BUCKET)

    asyncio.run(scenario())
    assert shared.asked == [RATE.burst]


def test_who_comes_alone_leases_one_token() -> None:
    """What a process leases and does not spend is missing elsewhere."""
    clock, shared = SimulatedClock(), AskedBuckets()
    budgets = Budgets(shared, clock, max_buckets=10)
    for _ in range(3):
        assert asyncio.run(budgets.spend(BUCKET)).granted
        clock.passed += 3600
    assert shared.asked == [1, 1, 1]


@dataclass(kw_only=True)
class LateBuckets(MemoryBuckets):
    """A table that answers when a lease is over already."""

    clock: SimulatedClock

    async def take(
        self,
        bucket: Bucket,
        *,
        tokens: int,
        now: int,
        returned: int = 0,
        last: Grant | None = None,
    ) -> Grant:
        """As ever, and then time passes."""
        grant = await super().take(bucket, tokens=tokens, now=now, returned=returned, last=last)
        await asyncio.sleep(0)
        await self.clock.sleep(1.2 * LEASE_SECONDS)
        return grant


@pytest.mark.timeout(20)
def test_a_late_answer_holds_up_nobody(cluster: Cluster) -> None:
    """Whenever a request comes, also just as the answer does: it ends, with the small share."""
    cluster.shared = LateBuckets(clock=cluster.clock)
    cluster.processes = [cluster.process()]

    async def after(steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await cluster.ask(0)

    async def several() -> None:
        await asyncio.gather(*(after(steps) for steps in range(20) for _ in range(5)))

    for _ in range(10):
        asyncio.run(several())
    assert cluster.shared.writes <= 20
    alone = (RATE.burst + cluster.clock.passed * RATE.per_second) / 10
    assert 0 < len(cluster.granted) <= alone + 1


def test_a_row_of_a_wrong_clock_is_not_believed(cluster: Cluster) -> None:
    """Who wrote it was an hour ahead: not an hour without service, but the small share."""
    asyncio.run(cluster.ask(0))
    cluster.shared.rows[BUCKET.key] += 3600 * 1_000_000
    cluster.clock.passed += 2
    assert asyncio.run(cluster.ask(1))


def test_a_clock_that_is_set_back_locks_nobody_out(cluster: Cluster) -> None:
    """What was leased in what is the future by now is leased anew."""
    asyncio.run(cluster.run(2, 2000, chosen()))
    cluster.shared.rows.clear()
    cluster.clock.passed -= 3600
    assert asyncio.run(cluster.ask(0))


def test_a_pace_is_kept_to_the_letter() -> None:
    """Two workers that take each token of the table: never more than burst and rate."""
    clock, shared = SimulatedClock(), MemoryBuckets()
    bucket = Bucket(name="jobs", rate=Rate(per_second=5, burst=5))
    workers = [Pace(shared, clock, sleep=clock.sleep) for _ in range(2)]

    async def work() -> None:
        for number in range(55):
            await workers[number % 2].wait(bucket)

    asyncio.run(work())
    assert clock.passed == pytest.approx(10, abs=0.1)
