"""A tenant's audit chain as `python -m service verify-audit` reads it, from the rows themselves.

Nothing is decided or spelt anew here: an entry and a link stand in their rows in their one
spelling, which their digests are of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION: Final = 1
_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # source: the ULID specification


@dataclass(frozen=True)
class AuditLines:
    """Reads one tenant's trail.

    Attributes:
        dynamodb: a client of it.
        tenant: its id.
    """

    dynamodb: Any
    tenant: str

    def lines(self) -> Iterator[str]:
        """One export of the whole chain, ended by its `end`."""
        yield _line("export", {"version": _VERSION, "tenant": self.tenant, "first": self._first()})
        entries = links = 0
        for row in self._rows("audit-chain"):
            text = row["link"]["S"]
            for entry in self._entries(json.loads(text)["entries"]):
                yield f'{{"body":{entry},"line":"entry"}}'
                entries += 1
            yield f'{{"body":{text},"line":"link"}}'
            links += 1
            signed = self.dynamodb.get_item(
                TableName=names.AUDIT_TABLE,
                Key={"partition": self._partition("audit-signed"), "sk": row["sk"]},
                ConsistentRead=True,
            ).get("Item")
            if signed is not None:
                yield f'{{"body":{signed["checkpoint"]["S"]},"line":"checkpoint"}}'
        at = int(datetime.now(UTC).timestamp() * 1000)
        yield _line("end", {"entries": entries, "links": links, "next": None, "at": at})

    def _first(self) -> int:
        """Number of the first link that is kept; 1 of a chain that has none."""
        first = next(self._rows("audit-chain"), None)
        return 1 if first is None else int(first["sk"]["S"])

    def _entries(self, named: list[list[str]]) -> Iterator[str]:
        """Texts of a link's entries, in its order; one that is gone is left out, and is missed."""
        ids = [entry_id for entry_id, _ in named]
        if not ids:
            return
        texts: dict[str, str] = {}
        for day in _days(min(ids), max(ids)):
            for row in self._rows(f"audit#{day}", first=min(ids), last=max(ids)):
                if "entry" in row:
                    texts[row["sk"]["S"]] = row["entry"]["S"]
        yield from (texts[entry_id] for entry_id in ids if entry_id in texts)

    def _rows(self, of: str, *, first: str = "0", last: str = "~") -> Iterator[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=names.AUDIT_TABLE,
            KeyConditionExpression="#partition = :own AND sk BETWEEN :first AND :last",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={
                ":own": self._partition(of),
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]

    def _partition(self, of: str) -> dict[str, str]:
        return {"S": f"{names.thing_prefix(self.tenant)}{of}"}


def linked_in(file: Path) -> set[str]:
    """Ids of the entries that the links of an export name."""
    linked: set[str] = set()
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            read = json.loads(line)
            if read["line"] == "link":
                linked |= {entry_id for entry_id, _ in read["body"]["entries"]}
    return linked


def _days(first: str, last: str) -> Iterator[str]:
    """The days of which ids of entries are, oldest first."""
    day, end = _moment(first).date(), _moment(last).date()
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)


def _moment(ulid: str) -> datetime:
    """When an id was drawn: its first ten characters are milliseconds since the epoch."""
    number = 0
    for character in ulid[:10]:
        number = number * 32 + _BASE32.index(character)
    return datetime.fromtimestamp(number / 1000, UTC)


def _line(kind: str, body: dict[str, Any]) -> str:
    return json.dumps({"line": kind, "body": body}, sort_keys=True, separators=(",", ":"))
