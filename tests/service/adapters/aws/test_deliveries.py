"""Rows of deliveries and their rounds: the table answers as the twin in memory."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from service.adapters.aws.deliveries import DynamoDeliveries
from service.adapters.memory.downloads import MemoryDeliveries
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.downloads import (
    DeliveryJob,
    DeliveryState,
    DownloadRecord,
    Outcome,
    TargetKind,
    jobs_of,
)
from service.domain.rollouts import PlannedRollout, Reach, Shape
from service.settings import RecordSettings
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant

MEMBERS = tuple(f"d{number:03}" for number in range(103))
SHAPE = Shape(retries=2, retry_minutes=10)
RECORD = DownloadRecord(
    download_id="01JD0000000000000000000000",
    tenant="acme",
    target_kind=TargetKind.GROUP,
    target="all",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=1_790_000_000_000,
    devices=len(MEMBERS),
    rollout=PlannedRollout(
        shape=SHAPE,
        waves=SHAPE.sizes(len(MEMBERS)),
        reach=Reach(targets=len(MEMBERS)),
        requester="boss",
    ),
)


def end(state: DeliveryState, at: int) -> Outcome:
    """An end at this time."""
    return Outcome(state=state, at=at)


async def history(deliveries: Any, tenant: Tenant) -> list[Any]:
    """A download whose devices fail, are tried again, and end; all that can be read of it."""
    seen: list[Any] = []
    first, second = jobs_of(MEMBERS)
    await deliveries.plan(tenant, RECORD, (first, second))
    for job in (first, second):
        await deliveries.decided(tenant, RECORD, job, now_ms=1)
        await deliveries.made(tenant, RECORD, job, now_ms=2)
    failed, done = end(DeliveryState.FAILED, 5), end(DeliveryState.SUCCEEDED, 6)
    await deliveries.tell(tenant, RECORD, first, {"d000": failed, "d001": failed, "d002": done})
    await deliveries.audited(tenant, RECORD, first, {"d000": failed})
    seen.append(await deliveries.survey(tenant, RECORD))
    rounds = DeliveryJob(number=0, round=1, members=("d000", "d001"))
    seen.append(await deliveries.retry(tenant, RECORD, rounds))
    seen.append(await deliveries.survey(tenant, RECORD))
    other = DeliveryJob(number=0, round=1, members=("d001",))
    seen.append(await deliveries.retry(tenant, RECORD, other))
    await deliveries.made(tenant, RECORD, rounds, now_ms=9)
    again = end(DeliveryState.TIMED_OUT, 12)
    await deliveries.tell(tenant, RECORD, rounds, {"d000": again, "d001": done})
    await deliveries.audited(tenant, RECORD, rounds, {"d000": again})
    await deliveries.canceled(tenant, RECORD, rounds, now_ms=20)
    seen += [
        await deliveries.survey(tenant, RECORD),
        await deliveries.job(tenant, RECORD, 0),
        [*await deliveries.attempts(tenant, RECORD, 0)],
        [*await deliveries.attempts(tenant, RECORD, 7)],
        await deliveries.of_device(tenant, RECORD, "d000"),
        await deliveries.of_device(tenant, RECORD, "d102"),
    ]
    page = await deliveries.progress(tenant, RECORD, limit=200, cursor=None)
    return [*seen, page.deliveries]


def test_rounds_are_read_as_in_memory(embedded_cloud: EmbeddedCloud) -> None:
    """Surveys, attempts, a device's part and the page; of two rounds of a number one is stored."""
    name = f"deliveries-{uuid.uuid4().hex}"
    keys = (("thing", "HASH"), ("sk", "RANGE"))
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    settings, tenant = RecordSettings(commands_table=name), MemoryUserPool("acme").tenant
    table = DynamoDeliveries(aws=RootDoor(embedded_cloud), settings=settings)
    stored = asyncio.run(history(table, tenant))
    assert stored == asyncio.run(history(MemoryDeliveries(), tenant))
    assert [one for one in stored if isinstance(one, bool)] == [True, False]
    last = stored[4]
    assert last.counts == {DeliveryState.TIMED_OUT: 1, DeliveryState.SUCCEEDED: 2}
    assert (last.again[0].devices, last.again[0].at) == (1, 12 + 600_000)
    assert last.unaudited == {0}
