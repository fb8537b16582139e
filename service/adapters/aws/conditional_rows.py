"""Puts a row on a condition: what every row is written by that somebody else may write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import Calls

_KEYS: Final = frozenset({"partition", "sk"})
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


def unchanged(row: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that the row is this very one, whatever it holds; ``row`` has its keys."""
    names = sorted(row.keys() - _KEYS)
    expression = [f"#row{number} = :row{number}" for number, _ in enumerate(names)]
    named = {f"#row{number}": name for number, name in enumerate(names)}
    values = {f":row{number}": row[name] for number, name in enumerate(names)}
    return {
        "ConditionExpression": " AND ".join(["attribute_exists(sk)", *expression]),
        **({"ExpressionAttributeNames": named} if named else {}),
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def at(attribute: str, number: int) -> dict[str, Any]:
    """The condition that the row stands at this version."""
    return {
        "ConditionExpression": f"#{attribute} = :{attribute}",
        "ExpressionAttributeNames": {f"#{attribute}": attribute},
        "ExpressionAttributeValues": {f":{attribute}": {"N": str(number)}},
    }
