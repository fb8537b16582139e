"""Rows by which records are listed: of each noun of a tenant one partition, in the order of ids.

Rows of the commands table::

    thing                sk             written by
    <tenant>--downloads  <download id>  the service, in one transaction with the record
    <tenant>--commands   <command id>   the same

Such a row says what never changes of its record and lists are filtered by; how the record stands is
read where it stands. An id begins with its time, so a span of time is a span of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.adapters.aws.cursors import seal, token_of
from service.domain.device_filter import MAX_LOOKED_AT
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.adapters.aws.client.door import Calls
    from service.domain.tenants import Tenant

FIRST: Final = "0" * 26
LAST: Final = "Z" * 26
"""Behind every id: one begins with a digit of at most 7 (spec: ulid/spec on GitHub)."""


def listed_item(tenant: Tenant, noun: str, made: str, facts: Mapping[str, str]) -> dict[str, Any]:
    """The row by which a record is listed; the caller adds its end."""
    texts = {name: {"S": text} for name, text in facts.items()}
    return {"thing": {"S": f"{tenant.id}--{noun}"}, "sk": {"S": made}, **texts}


async def newest_first(
    calls: Calls,
    *,
    table: str,
    tenant: Tenant,
    noun: str,
    shows: Callable[[Mapping[str, str]], bool],
    limit: int,
    cursor: str | None,
    is_filtered: bool,
    since: str = FIRST,
    before: str = LAST,
) -> tuple[list[dict[str, str]], str | None]:
    """The rows of one page, and the cursor of the next, if there may be one.

    Args:
        calls: of DynamoDB, as the tenant.
        table: where the rows are.
        tenant: whose they are.
        noun: of the records, in the plural.
        shows: whether a row is wanted, by its texts, ``sk`` the id among them.
        limit: of one page.
        cursor: of the page before.
        is_filtered: whether ``shows`` may say no: then more rows are read at once.
        since: the first id that is wanted.
        before: an id behind the last that is wanted.

    Raises:
        InvalidRequestError: the cursor is not one of this list.
    """
    scope = f"{noun}:{tenant.id}"
    if cursor is not None:
        behind = token_of(scope, cursor)
        if not wire.is_command_id(behind):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        before = min(before, behind)
    # DynamoDB refuses a span that ends before it begins.
    if before <= since:
        return [], None
    most = MAX_LOOKED_AT if is_filtered else limit
    found = await calls.rows(
        "Query",
        # One more, which is `before` itself or tells that there is more.
        most=most + 2,
        Limit=most + 2,
        TableName=table,
        KeyConditionExpression="thing = :list AND sk BETWEEN :since AND :before",
        ExpressionAttributeValues={
            ":list": {"S": f"{tenant.id}--{noun}"},
            ":since": {"S": since},
            ":before": {"S": before},
        },
        ConsistentRead=True,
        ScanIndexForward=False,
    )
    rows = [{name: text["S"] for name, text in row.items() if "S" in text} for row in found]
    rows = [row for row in rows if row["sk"] != before]
    shown: list[dict[str, str]] = []
    for number, row in enumerate(rows, start=1):
        if shows(row):
            shown.append(row)
        if number < len(rows) and (len(shown) == limit or number == most):
            return shown, seal(scope, row["sk"])
    return shown, None
