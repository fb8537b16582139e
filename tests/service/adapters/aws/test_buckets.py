"""Rows of budgets as DynamoDB is asked for them: by whom, and what of a row in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.budgets import DynamoBuckets
from service.domain.budgets import Bucket, Grant
from service.domain.rates import Rate
from service.errors import UnavailableError
from service.settings import RecordSettings
from tests.service.adapters.aws.answered_line import Refusal

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor, Call

NOW = 1_790_000_000_000_000
RATE = Rate(per_second=10, burst=20)


def take(door: AnsweredDoor, tenant: Tenant | None = None) -> Grant:
    """Five tokens of a bucket that is full as far as the taker knows."""
    bucket = Bucket(name="requests", rate=RATE, tenant=tenant)
    buckets = DynamoBuckets(aws=door, settings=RecordSettings())
    return asyncio.run(buckets.take(bucket, tokens=5, now=NOW))


def taken(call: Call) -> dict[str, Any]:
    """What DynamoDB answers to a write that was done."""
    values = call.arguments["ExpressionAttributeValues"]
    return {"Attributes": {"full_at": values.get(":full", {"N": str(NOW)})}}


def test_a_tenants_bucket_is_reached_by_its_own_role(new_door: AnsweredDoor, acme: Tenant) -> None:
    """What the account shares lies where no tenant's role reaches: the service asks itself."""
    new_door.answer = taken
    roles = new_door.line.roles
    for tenant, key, assumed in ((None, "budget#requests", 0), (acme, "acme--budget#requests", 1)):
        before = len(roles)
        granted = take(new_door, tenant)
        assert granted == Grant(tokens=5, full_at=NOW + 5 * RATE.token)
        assert new_door.calls[-1].arguments["Key"]["thing"] == {"S": key}
        assert len(roles) - before == assumed, key


def test_a_row_that_went_meanwhile_is_a_full_bucket(door: AnsweredDoor) -> None:
    """It is written anew, as one that was never there."""
    refused = iter([Refusal("ConditionalCheckFailedException")])
    door.answer = lambda call: next(refused, None) or taken(call)
    assert take(door).tokens == 5
    first, second = (call.arguments["ConditionExpression"] for call in door.calls)
    assert first == second == "attribute_not_exists(full_at) OR full_at < :now"


def test_who_loses_every_race_is_told_so(door: AnsweredDoor) -> None:
    """Nobody asks without end, and nothing is let through (fail closed)."""
    there = {"Item": {"full_at": {"N": str(NOW)}}}
    door.answer = lambda _: Refusal("ConditionalCheckFailedException", 400, there)
    with pytest.raises(UnavailableError, match="budget"):
        take(door)
    assert len(door.calls) == 5
