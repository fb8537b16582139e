"""Probes of the corrections of DynamoDB."""

from __future__ import annotations

import math
import sys
import time
from datetime import UTC, datetime
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


def tables_are_restored_to_a_moment(probed: ProbedCloud) -> bool:
    """A restored table is as it stands now, whichever moment was asked for."""
    client = probed.cloud.client("dynamodb")
    client.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    client.update_continuous_backups(
        TableName="kept", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )

    def put(row: str, value: str) -> None:
        client.put_item(TableName="kept", Item={"id": {"S": row}, "value": {"S": value}})

    put("changed", "old")
    put("deleted", "old")
    moment = math.ceil(time.time())  # DynamoDB is told whole seconds
    while time.time() <= moment:
        time.sleep(0.05)
    put("changed", "new")
    put("made", "new")
    client.delete_item(TableName="kept", Key={"id": {"S": "deleted"}})
    client.restore_table_to_point_in_time(
        SourceTableName="kept",
        TargetTableName="kept-restored",
        RestoreDateTime=datetime.fromtimestamp(moment, UTC),
    )
    rows = client.scan(TableName="kept-restored")["Items"]
    found = {row["id"]["S"]: row["value"]["S"] for row in rows}
    return found != {"changed": "old", "deleted": "old"}
