"""Probes of the corrections of DynamoDB."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud

ROWS = 100


def conditions_of_keys_are_read_once(probed: ProbedCloud) -> bool:
    """The condition of a query is parsed for each row that it is asked of."""
    client = probed.cloud.client("dynamodb")
    keys = {"thing": "HASH", "sk": "RANGE"}
    client.create_table(
        TableName="rows",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
    )
    for number in range(ROWS):
        item = {"thing": {"S": "one"}, "sk": {"S": f"row#{number:03}"}}
        client.put_item(TableName="rows", Item=item)

    # The emulator imports a service at its first request, which the table was.
    emulated: Any = sys.modules["ministack.services.dynamodb"]

    def asked(condition: str, value: str) -> int:
        return client.query(
            TableName="rows",
            KeyConditionExpression=f"thing = :thing AND {condition}",
            ExpressionAttributeValues={":thing": {"S": "one"}, ":sk": {"S": value}},
        )["Count"]

    def parsed(text: str, *rest: Any) -> Any:
        nonlocal times
        times += "begins_with(sk, :sk)" in text  # other probes ask meanwhile
        return parse(text, *rest)

    for _ in range(2):  # the first is read by the emulator
        found = asked("begins_with(sk, :sk)", "row#01"), asked("sk > :sk", "row#089")
        if found != (10, 10):
            raise AssertionError(found)
    times, parse = 0, emulated._tokenize
    emulated._tokenize = parsed
    try:
        asked("begins_with(sk, :sk)", "row#01")
    finally:
        emulated._tokenize = parse
    return times > ROWS
