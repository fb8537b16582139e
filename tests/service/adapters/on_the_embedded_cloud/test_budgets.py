"""Three processes of the service keep one tenant's budget together, in its own rows."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PER_SECOND, BURST, PROCESSES = 1, 30, 3


@pytest.fixture
def processes(deployed: DeployedService) -> Iterator[list[str]]:
    """Processes that have just read that globex has a small budget."""
    dynamodb = deployed.setup.cloud.client("dynamodb")
    table = deployed.setup.stacks["platform"]["tenants_table"]
    row = next(
        one
        for one in dynamodb.scan(TableName=table)["Items"]
        if one.get("tenant") == {"S": "globex"}
    )
    rate = {"per_second": {"S": str(PER_SECOND)}, "burst": {"S": str(BURST)}}
    small = {"M": {"requests": {"M": rate}}}
    dynamodb.put_item(TableName=table, Item=row | {"budgets": small})
    with ExitStack() as begun:
        # What is used up of the small budget would be far ahead of the usual one.
        bucket = {"thing": {"S": "globex--budget#requests"}, "sk": {"S": "bucket"}}
        begun.callback(dynamodb.delete_item, TableName="cedarfleet-commands", Key=bucket)
        begun.callback(dynamodb.put_item, TableName=table, Item=row)
        urls: list[str] = []
        for _ in range(PROCESSES):
            child, url = deployed.setup.start_service()
            begun.callback(child.stop)
            urls.append(url)
        yield urls


def test_three_processes_keep_one_budget(deployed: DeployedService, processes: list[str]) -> None:
    """Each is asked for all of it; together they let it through once, and say when to come again.

    Beside the burst there is what comes meanwhile, and what was leased half a second before.
    """
    headers = {"Authorization": f"Bearer {deployed.token('globex', 'managers')}"}

    def ask(url: str) -> list[httpx.Response]:
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            return [http.get("/v1/me") for _ in range(BURST)]

    # The deployed process of other tests may have left the bucket of globex below its burst.
    begun = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = [one for some in pool.map(ask, processes) for one in some]
    passed = time.monotonic() - begun
    let_through = [one for one in answers if one.status_code == 200]
    refused = [one for one in answers if one.status_code == 429]
    assert len(let_through) + len(refused) == PROCESSES * BURST
    assert 1 <= len(let_through) <= BURST + PER_SECOND * (passed + 0.5)
    assert {one.json()["budget"] for one in refused} == {"requests"}
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
    deployed.call("GET", "/v1/me").raise_for_status()
