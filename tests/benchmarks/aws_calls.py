"""CPU of one call of AWS: through the door, and as boto3 makes it in a pool of threads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import boto3
import uvloop

from service.adapters.aws.client.door import AwsDoor
from service.settings import AwsSettings
from tests.benchmarks.boto3_door import Boto3Door
from tests.benchmarks.measured_service import RecordedPlatform
from tests.benchmarks.rows import Row, compare, interleaved
from tests.service.adapters.aws.answered_line import OWN, FixedCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALLS: Final = 400  # of one figure
_AT_ONCE: Final = 16
_ITEM: Final = {f"column{number}": {"S": "x" * 40} for number in range(12)}
_PUT: Final[dict[str, Any]] = {"TableName": "cedarfleet-audit", "Item": _ITEM}


def rows(rounds: int) -> Iterator[Row]:
    """One write of a dozen columns, sixteen at once, over one loop as the service has it."""
    with (
        RecordedPlatform.of(1) as platform,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        settings = AwsSettings(region="eu-central-1", endpoint_url=platform.url)
        session = boto3.Session(OWN.access_key, OWN.secret_key, OWN.token, region_name="x")
        door = AwsDoor(settings, max_tenants=1, own=FixedCredentials())
        boto = Boto3Door(settings, max_tenants=1, session=session)
        for one in (door, boto):
            runner.run(_put(one))
        ours, theirs = interleaved(
            rounds,
            lambda: runner.run(_put(door)),
            lambda: runner.run(_put(boto)),
        )
        yield compare(
            name="CPU of a call of AWS",
            ours=ours,
            reference=theirs,
            unit="ms",
            at_most=0.33,
            note="beside boto3 in a pool of threads, as it was before the door",
        )
        runner.run(door.close())
        runner.run(boto.close())


async def _put(door: AwsDoor) -> float:
    """Milliseconds of CPU for one call."""
    left = iter(range(_CALLS))

    async def some() -> None:
        for _ in left:
            await door.own("dynamodb").call("PutItem", **_PUT)

    begun = time.process_time()
    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    return (time.process_time() - begun) * 1000 / _CALLS
