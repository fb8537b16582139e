"""Puts a row on a condition: what every row is written by that somebody else may write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import Calls

ABSENT: Final = {"ConditionExpression": "attribute_not_exists(sk)"}


async def put(calls: Calls, table: str, item: dict[str, Any], **condition: Any) -> bool:
    """Whether the row is stored; ``False``: the condition does not hold.

    Args:
        calls: of DynamoDB.
        table: where to.
        item: the whole row.
        **condition: ``ConditionExpression`` and what it names, as of ``PutItem``.
    """
    try:
        await calls.call(
            "PutItem",
            TableName=table,
            Item=item,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **condition,
        )
    except AwsRefusalError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        # A put whose answer was lost is repeated: then the row in the way is this very one.
        return error.members.get("Item") == item
    return True


def at(attribute: str, number: int) -> dict[str, Any]:
    """The condition that the row stands at this version."""
    return {
        "ConditionExpression": f"#{attribute} = :{attribute}",
        "ExpressionAttributeNames": {f"#{attribute}": attribute},
        "ExpressionAttributeValues": {f":{attribute}": {"N": str(number)}},
    }
