"""The product's status rule, with a table of the check's own: what it writes of one message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from infra.aws_check.rows import answered, unanswered
from infra.aws_check.sandbox import TAG
from infra.stacks.platform_stack.status_rule import SQL_VERSION, STATUS_SQL

if TYPE_CHECKING:
    from infra.aws_check.device import Device
    from infra.aws_check.rows import Outcome
    from infra.aws_check.sandbox import Sandbox

_COMMAND: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
_TABLE_STANDS_SECONDS: Final = 20
_ROW_STANDS_SECONDS: Final = 5


def ttl_number(sandbox: Sandbox, device: Device) -> Outcome:
    """Report one state as a device does, and read its row."""
    dynamodb: Any = sandbox.calls.client("dynamodb")
    iot: Any = sandbox.calls.client("iot")
    table, rule = sandbox.table, sandbox.rule
    sandbox.leftovers.expect(f"table {table}", lambda: dynamodb.delete_table(TableName=table))
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "thing", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "thing", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        Tags=sandbox.tags,
    )
    sandbox.leftovers.expect(f"rule {rule}", lambda: iot.delete_topic_rule(ruleName=rule))
    iot.create_topic_rule(
        ruleName=rule,
        topicRulePayload={
            "sql": STATUS_SQL,
            "awsIotSqlVersion": SQL_VERSION,
            "description": TAG,
            "actions": [
                {"dynamoDBv2": {"roleArn": sandbox.role(), "putItem": {"tableName": table}}}
            ],
        },
        tags=f"{TAG}={sandbox.id}",
    )
    sandbox.waiting.pause(_TABLE_STANDS_SECONDS)
    state = wire.StatusMessage(
        sequence=1, state=wire.CommandState.SUCCEEDED, at=int(time.time() * 1000)
    )
    device.publish(wire.status_topic(device.thing, _COMMAND), [state.encode()], seconds=10)
    sandbox.waiting.pause(_ROW_STANDS_SECONDS)
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="thing = :thing",
        ExpressionAttributeValues={":thing": {"S": device.thing}},
    )["Items"]
    if not found:
        return unanswered(f"no row {_ROW_STANDS_SECONDS} s after the message")
    kinds = ", ".join(found[0].get("ttl", {"missing": ""}))
    return answered(kinds == "N", f"`ttl` came as {kinds}")
