"""A shared bucket: the twin and DynamoDB give the same, and two takers never more than there is."""

from __future__ import annotations

import asyncio
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from service.adapters.aws.budgets import DynamoBuckets
from service.adapters.memory.budgets import MemoryBuckets
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.budgets import Bucket, Grant
from service.domain.rates import Rate, held, next_token
from service.settings import RecordSettings
from tests.seed import new_seed
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND
RATE = Rate(per_second=10, burst=20)


@pytest.fixture(scope="module")
def dynamo(embedded_cloud: EmbeddedCloud) -> DynamoBuckets:
    """A table of its own; each test takes of buckets of its own."""
    table, keys = f"budgets-{uuid.uuid4().hex}", {"thing": "HASH", "sk": "RANGE"}
    embedded_cloud.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoBuckets(
        aws=RootDoor(embedded_cloud),
        settings=RecordSettings(commands_table=table),
    )


@dataclass
class Taker:
    """One process that takes of one bucket."""

    buckets: DynamoBuckets | MemoryBuckets
    bucket: Bucket = field(
        default_factory=lambda: Bucket(name=f"requests-{uuid.uuid4().hex}", rate=RATE)
    )
    last: Grant | None = None

    def take(self, tokens: int, *, after: float = 0.0, returned: int = 0) -> int:
        """So many seconds after the beginning."""
        now = NOW + round(after * SECOND)
        self.last = asyncio.run(
            self.buckets.take(
                self.bucket, tokens=tokens, now=now, returned=returned, last=self.last
            )
        )
        return self.last.tokens


@pytest.fixture(params=["memory", "dynamodb"])
def taker(request: pytest.FixtureRequest, dynamo: DynamoBuckets) -> Taker:
    """Both, one after the other."""
    return Taker(dynamo if request.param == "dynamodb" else MemoryBuckets())


def test_a_new_bucket_gives_its_burst_and_no_more(taker: Taker) -> None:
    """It is created full; what is asked beyond it is not given, nor anything of an empty one."""
    assert taker.take(RATE.burst + 1) == RATE.burst
    assert taker.take(1) == 0
    assert taker.last is not None
    assert next_token(RATE, taker.last.full_at, NOW) == pytest.approx(0.1)


def test_it_fills_at_its_rate_and_not_over(taker: Taker) -> None:
    """Half a second later there is half a second's worth; after an hour no more than the burst."""
    taker.take(RATE.burst)
    assert taker.take(100, after=0.5) == 5
    assert taker.take(100, after=3600) == RATE.burst
    assert taker.take(1, after=3600) == 0


def test_two_takers_share_one_bucket(taker: Taker) -> None:
    """A taker that has seen nothing, and one that has seen old things, get what there is."""
    other = Taker(taker.buckets, taker.bucket)
    assert taker.take(15) == 15
    assert other.take(15) == 5
    assert taker.take(15) == 0
    assert other.take(15, after=1) == 10
    assert taker.take(15, after=1.5) == 5


def test_what_stays_unspent_goes_back(taker: Taker) -> None:
    """It may be taken again, and never makes a bucket hold more than its burst."""
    taker.take(RATE.burst)
    assert taker.take(20, returned=8) == 8
    other = Taker(taker.buckets, taker.bucket)
    assert other.take(20) == 0
    assert taker.take(100, after=10, returned=8) == RATE.burst
    assert other.take(20, after=10) == 0


def test_buckets_of_other_names_and_tenants_are_others(taker: Taker) -> None:
    """Each is full, though one is empty."""
    acme = MemoryUserPool("acme").tenant
    taker.take(RATE.burst)
    for other in (
        replace(taker.bucket, name=f"{taker.bucket.name}-2"),
        replace(taker.bucket, tenant=acme),
        replace(taker.bucket, tenant=replace(acme, id="globex")),
    ):
        assert Taker(taker.buckets, other).take(1) == 1


def test_many_at_once_get_no_more_than_there_is(dynamo: DynamoBuckets) -> None:
    """Eight threads take one token each, again and again: together exactly the burst."""
    bucket = Taker(dynamo).bucket
    with ThreadPoolExecutor(8) as pool:
        grants = list(pool.map(lambda _: Taker(dynamo, bucket).take(1), range(RATE.burst + 12)))
    assert sum(grants) == RATE.burst


def test_the_twin_and_dynamodb_give_the_same(dynamo: DynamoBuckets) -> None:
    """Whatever is taken and goes back, by two takers whose clocks differ by some milliseconds."""
    chance = random.Random(new_seed())  # noqa: S311 - no secret is drawn
    memory = MemoryBuckets()
    bucket = Taker(memory).bucket
    pairs = [(Taker(memory, bucket), Taker(dynamo, bucket)) for _ in range(2)]
    after = 0.0
    for _ in range(60):
        after += chance.choice((0, 0.01, 0.3, 3))
        twin, real = chance.choice(pairs)
        wanted = chance.randint(1, 25)
        back = chance.randint(0, twin.last.tokens) if twin.last else 0
        at = after + chance.choice((0, 0.004))
        got = [one.take(wanted, after=at, returned=back) for one in (twin, real)]
        assert got[0] == got[1]
        assert twin.last is not None
        assert real.last is not None
        there = [
            held(RATE, one.full_at, NOW + round(at * SECOND)) for one in (twin.last, real.last)
        ]
        assert there[0] == there[1]
