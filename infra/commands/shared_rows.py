"""A tenant's rows in the tables that all tenants share, found by reading each table whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.commands.account import Account, Belongings

_COLUMN: Final = "tenant"
_TABLES: Final = "cedarfleet-"  # what all names of `infra/names.py` begin with


def rows(account: Account, table: str, belongings: Belongings) -> Iterator[dict[str, Any]]:
    """Keys of the tenant's rows of one table, in DynamoDB's form.

    The whole table is read, a read unit for each 8 KB: keys of commands and downloads are ids that
    nobody lists, and a row that no list knows is what is searched for.
    """
    for key, row in keyed(account, table):
        if is_of(belongings, key, row):
            yield key


def whole_rows(account: Account, table: str, belongings: Belongings) -> Iterator[dict[str, Any]]:
    """The tenant's rows themselves, as ``rows`` finds them."""
    for key, row in keyed(account, table):
        if is_of(belongings, key, row):
            yield row


def keyed(account: Account, table: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Key (the partition first) and row of everything in a table, in DynamoDB's form."""
    described = account.client("dynamodb").describe_table(TableName=table)["Table"]
    schema = sorted(described["KeySchema"], key=lambda key: key["KeyType"])
    for row in account.pages("dynamodb", "scan", "Items", TableName=table, ConsistentRead=True):
        yield {key["AttributeName"]: row[key["AttributeName"]] for key in schema}, row


def is_of(belongings: Belongings, key: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether a row is the tenant's: by its partition, or, in the registry, by its column."""
    partition = str(next(iter(key.values())).get("S", ""))
    return (
        belongings.has(partition)
        or belongings.is_in(partition)
        or row.get(_COLUMN, {}).get("S") == belongings.tenant
    )


def tables(account: Account) -> list[str]:
    """The platform's tables, which all tenants share."""
    listed = account.pages("dynamodb", "list_tables", "TableNames")
    return [table for table in listed if table.startswith(_TABLES)]
