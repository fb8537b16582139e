"""Creates a record once: a transaction of puts that also claims the caller's idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError
from service.errors import IdempotencyMismatchError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import Calls
    from service.domain.idempotency import IdempotencyKey

_KEY_SECONDS: Final = 24 * 3600


async def create_once(
    calls: Calls,
    *,
    table: str,
    items: list[dict[str, Any]],
    made: str,
    now_ms: int,
    key: IdempotencyKey | None,
) -> str:
    """Put ``items`` together, or nothing; answer ``made``, or what the same key made before.

    Args:
        calls: of DynamoDB, as the tenant.
        table: of the items.
        items: none of their keys may exist.
        made: id of what the items record.
        now_ms: milliseconds since the epoch.
        key: the caller's, if there is one.

    Raises:
        IdempotencyMismatchError: the key stands for another request.
    """
    claim = None if key is None else _claim(key, made, now_ms)
    puts: list[dict[str, Any]] = [
        {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(thing)"}
        for item in items
    ]
    if claim is not None:
        # DynamoDB deletes a row "within a few days" of its `ttl`: until then it must not count
        # (source: DynamoDB, "Using time to live").
        puts.append(
            {
                "TableName": table,
                "Item": claim,
                "ConditionExpression": "attribute_not_exists(thing) OR #ttl < :now",
                "ExpressionAttributeNames": {"#ttl": "ttl"},
                "ExpressionAttributeValues": {":now": {"N": str(now_ms // 1000)}},
            }
        )
    try:
        await calls.call("TransactWriteItems", TransactItems=[{"Put": put} for put in puts])
    except AwsRefusalError as error:
        if key is None or claim is None or error.code != "TransactionCanceledException":
            raise
        claimed = {"thing": claim["thing"], "sk": claim["sk"]}
        found = await calls.call("GetItem", TableName=table, Key=claimed, ConsistentRead=True)
        earlier = found.get("Item")
        # Without a claim the transaction was cancelled for another reason.
        if earlier is None:
            raise
        if earlier["request"]["S"] != key.request_digest:
            raise IdempotencyMismatchError from error
        return earlier["made"]["S"]
    return made


def _claim(key: IdempotencyKey, made: str, now_ms: int) -> dict[str, Any]:
    # Stored since release 0.1.0 under `replay`: a row of today must be found by either release.
    return {
        "thing": {"S": f"{key.tenant}--replay#{key.digest}"},
        "sk": {"S": "record"},
        "request": {"S": key.request_digest},
        "made": {"S": made},
        "ttl": {"N": str(now_ms // 1000 + _KEY_SECONDS)},
    }
