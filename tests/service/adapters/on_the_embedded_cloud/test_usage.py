"""Usage through real processes: the worker counts a day, a manager and an operator read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra import names
from service.domain.instants import new_ulid
from service.domain.work import Work, WorkKind
from tests.infra.bus_listener import BusListener
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PATIENCE: Final = 60.0
REBOOT: Final = {"name": "reboot"}
MOVED: Final = 3


def of_a_day(dynamodb: Any, partition: str) -> list[dict[str, Any]]:
    """The rows of a partition of the audit table, which other tests have filled too."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=names.AUDIT_TABLE,
        KeyConditionExpression="#own = :own",
        ExpressionAttributeNames={"#own": "partition"},
        ExpressionAttributeValues={":own": {"S": partition}},
    )
    return [row for page in pages for row in page["Items"]]


def days(deployed: DeployedService) -> list[dict[str, Any]]:
    """What a manager of acme sees."""
    answer = deployed.call("GET", "/v1/usage")
    assert answer.status_code == 200, answer.text
    return answer.json()["days"]


def awaited(deployed: DeployedService) -> Iterator[dict[str, Any]]:
    """The days, once there is one."""
    until = time.monotonic() + PATIENCE
    while not (found := days(deployed)):
        assert time.monotonic() < until, "nobody counted a day"
        time.sleep(0.5)
    yield from found


def scheduled(scheduler: Any) -> dict[str, Any]:
    """The timer of the next day, which the worker sets after it has kept the last one's count."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return scheduler.get_schedule(Name="acme--usage")
        except scheduler.exceptions.ResourceNotFoundException:
            assert time.monotonic() < until, "nobody set the timer again"
            time.sleep(0.1)


@pytest.fixture
def listener(deployed: DeployedService) -> Iterator[BusListener]:
    """Who wants to hear of tenants' usage."""
    begun = BusListener.begin(deployed.setup.cloud)
    yield begun
    begun.end()


def told_of(listener: BusListener, tenant: str) -> list[dict[str, Any]]:
    """What is told of a tenant, once there is something."""
    until, found = time.monotonic() + PATIENCE, list[dict[str, Any]]()
    while not found:
        assert time.monotonic() < until, "nobody told of a day"
        found = [one["detail"] for one in listener.heard() if one["detail"]["tenant"] == tenant]
        time.sleep(0.2)
    return found


def usage(deployed: DeployedService, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m infra tenants usage` as an operator of this cloud."""
    return subprocess.run(
        [sys.executable, "-m", "infra", "tenants", "usage", *words],
        cwd=ROOT,
        env=os.environ | deployed.setup.cloud.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worker_counts_a_day_that_is_over(
    deployed: DeployedService, listener: BusListener
) -> None:
    """The first decision begins it; with entries of yesterday, these are what both sides see."""
    cloud = deployed.setup.cloud
    dynamodb, scheduler = cloud.client("dynamodb"), cloud.client("scheduler")
    sent = deployed.call("POST", "/v1/devices/press-02/commands", json=REBOOT)
    assert sent.status_code == 202, sent.text
    [first] = awaited(deployed)
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    # The day before, where it was counted before midnight.
    assert yesterday.date() - date.fromisoformat(first["day"]) in {timedelta(), timedelta(days=1)}

    # As if the command had been sent yesterday, three times; and the count had not been yet.
    made = [row for row in of_a_day(dynamodb, f"acme--audit#{now.date()}") if "entry" in row]
    [entry] = [
        said
        for said in (json.loads(row["entry"]["S"]) for row in made)
        if said.get("about") == {"command": sent.json()["id"]} and said["kind"] == "decision"
    ]
    at = int(yesterday.timestamp() * 1000)
    for _ in range(MOVED):
        moved = {**entry, "id": new_ulid(at), "at": at}
        dynamodb.put_item(
            TableName=names.AUDIT_TABLE,
            Item={
                "partition": {"S": f"acme--audit#{yesterday.date()}"},
                "sk": {"S": moved["id"]},
                "entry": {"S": json.dumps(moved)},
            },
        )
    for row in of_a_day(dynamodb, "acme--usage"):
        key = {name: row[name] for name in ("partition", "sk")}
        dynamodb.delete_item(TableName=names.AUDIT_TABLE, Key=key)
    scheduled(scheduler)
    scheduler.delete_schedule(Name="acme--usage")
    work = Work(kind=WorkKind.COUNT_USAGE, issuer="", tenant="acme")
    sqs = cloud.client("sqs")
    queue = sqs.get_queue_url(QueueName=names.WORK_QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=work.encode(), MessageGroupId="acme")
    [counted] = awaited(deployed)
    told = {name: counted[name] for name in ("day", "decisions", "commands", "denials")}
    day = yesterday.date().isoformat()
    assert told == {
        "day": day,
        "decisions": MOVED,
        "commands": MOVED,
        "denials": 0,
    }
    assert scheduled(scheduler)["State"] == "ENABLED"
    # By this count, or by the first, if that was still at it.
    assert {one["day"] for one in told_of(listener, "acme")} <= {first["day"], day}
    refused = deployed.call("GET", "/v1/usage", group="operators")
    assert refused.status_code == 403

    done = usage(deployed, "acme", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [line] = [json.loads(one) for one in done.stdout.splitlines()]
    assert {name: line[name] for name in ("tenant", *told)} == {"tenant": "acme", **told}
    table = usage(deployed, "acme").stdout.splitlines()
    assert table[0].split()[:3] == ["tenant", "day", "decisions"]
    assert table[1].split()[:3] == ["acme", day, str(MOVED)]

    key = {
        "partition": {"S": "acme--usage"},
        "sk": {"S": (yesterday - timedelta(days=1)).date().isoformat()},
    }
    of_later = key | {"usage": {"S": json.dumps({"version": 2})}}
    dynamodb.put_item(TableName=names.AUDIT_TABLE, Item=of_later)
    later = usage(deployed, "acme")
    dynamodb.delete_item(TableName=names.AUDIT_TABLE, Key=key)
    assert (later.returncode, later.stdout) == (1, "")
    assert "written by another release" in later.stderr
