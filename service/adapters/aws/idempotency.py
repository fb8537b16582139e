"""Creates a record once: a transaction of DynamoDB puts that also claims the caller's idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from service.adapters.aws.client.calls import error_code
from service.errors import ReplayMismatchError

if TYPE_CHECKING:
    from service.domain.records import ReplayKey

_KEY_SECONDS: Final = 24 * 3600


def create_once(
    client: Any,
    *,
    table: str,
    items: list[dict[str, Any]],
    made: str,
    now_ms: int,
    replay: ReplayKey | None,
) -> str:
    """Put ``items`` together, or nothing; answer ``made``, or what was made with the same key before.

    Args:
        client: DynamoDB, of the tenant.
        table: of the items.
        items: none of their keys may exist.
        made: id of what the items record.
        now_ms: milliseconds since the epoch.
        replay: the caller's key, if there is one.

    Raises:
        ReplayMismatchError: the key stands for another request.
    """
    claim = None if replay is None else _claim(replay, made, now_ms)
    puts = [
        {
            "Put": {
                "TableName": table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(thing)",
            }
        }
        for item in (*items, *([claim] if claim else []))
    ]
    try:
        client.transact_write_items(TransactItems=puts)
    except ClientError as error:
        if replay is None or claim is None or error_code(error) != "TransactionCanceledException":
            raise
        key = {"thing": claim["thing"], "sk": claim["sk"]}
        earlier = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        if earlier is None:  # cancelled for another reason
            raise
        if earlier["request"]["S"] != replay.request_digest:
            raise ReplayMismatchError from error
        return earlier["made"]["S"]
    return made


def _claim(replay: ReplayKey, made: str, now_ms: int) -> dict[str, Any]:
    return {
        "thing": {"S": f"{replay.tenant}--replay#{replay.digest}"},
        "sk": {"S": "record"},
        "request": {"S": replay.request_digest},
        "made": {"S": made},
        "ttl": {"N": str(now_ms // 1000 + _KEY_SECONDS)},
    }
