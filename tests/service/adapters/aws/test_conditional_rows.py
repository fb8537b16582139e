"""A row is put on a condition, and a put that is repeated finds its own row in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.client.failures import AwsRefusalError
from service.adapters.aws.conditional_rows import ABSENT, at, put, unchanged
from tests.service.adapters.aws.answered_line import Refusal

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

ITEM = {"partition": {"S": "acme--devices"}, "sk": {"S": "press-07#facts"}, "version": {"N": "2"}}


@pytest.mark.parametrize(
    ("there", "stored"),
    [(ITEM, True), (ITEM | {"version": {"N": "3"}}, False), (None, False)],
    ids=["its own", "another's", "none"],
)
def test_a_row_in_the_way_is_told_apart(
    door: AnsweredDoor, acme: Tenant, there: dict[str, Any] | None, stored: object
) -> None:
    """Its own row means that the answer to an earlier attempt was lost: it is stored."""
    members = {} if there is None else {"Item": there}
    door.answer = lambda _: Refusal("ConditionalCheckFailedException", members=members)
    calls = door.tenant(acme, "dynamodb")
    assert asyncio.run(put(calls, "rows", ITEM, **at("version", 1))) is stored
    [asked] = door.calls
    assert asked.arguments["ExpressionAttributeValues"] == {":version": {"N": "1"}}
    assert asked.arguments["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_a_row_is_stored_or_refused_for_another_reason(door: AnsweredDoor, acme: Tenant) -> None:
    """Only a condition that does not hold is an answer; any other refusal is one."""
    calls = door.tenant(acme, "dynamodb")
    assert asyncio.run(put(calls, "rows", ITEM, **ABSENT))
    door.answer = lambda _: Refusal("AccessDeniedException", 403)
    with pytest.raises(AwsRefusalError):
        asyncio.run(put(calls, "rows", ITEM, **ABSENT))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"sk": {"S": "s"}}, {"ConditionExpression": "attribute_exists(sk)"}),
        (
            {"sk": {"S": "s"}, "state": {"S": "a"}, "at": {"N": "1"}},
            {
                "ConditionExpression": "attribute_exists(sk) AND #row0 = :row0 AND #row1 = :row1",
                "ExpressionAttributeNames": {"#row0": "at", "#row1": "state"},
                "ExpressionAttributeValues": {":row0": {"N": "1"}, ":row1": {"S": "a"}},
            },
        ),
    ],
)
def test_a_row_is_unchanged_in_all_that_it_holds(
    row: dict[str, Any], expected: dict[str, Any]
) -> None:
    """DynamoDB refuses names and values that are empty."""
    assert unchanged(row) == expected
