"""What a tenant has that a smaller tier does not: counted before anything is changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.stacks.config.limits import FEATURES, Feature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.commands.account import Account
    from infra.stacks.config.tiers import Tier

MOST: Final = 10_000
"""So many are counted, and no list is read further; of more it is said that there are more."""
_OVER: Final = frozenset({"ended", "revoked", "revoking"})
# Feature -> partition of the commands table in which what was made of it stands, and what it is.
# A campaign is over by itself; what is under way goes on.
_KEPT: Final[dict[Feature, tuple[str, str]]] = {
    "machines": ("machines", "machines of the API"),
    "wanted-versions": ("wanted", "wanted versions"),
    "webhooks": ("webhooks", "webhooks"),
}
_FORGOTTEN: Final = {
    "telemetry_days": (names.TELEMETRY_PREFIX, "files of telemetry"),
    "device_log_days": (names.LOGS_PREFIX, "logs of devices"),
}


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What goes, or stands without more of it to come.

    Attributes:
        forgotten: what S3 deletes within days, in words.
        closed: what stays and works, while no other can be made, in words.
    """

    forgotten: tuple[str, ...]
    closed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.forgotten or self.closed)


def of(
    account: Account, tenant: str, bucket: str, *, before: Tier, after: Tier, now: datetime
) -> Loss:
    """What a tenant would lose.

    Args:
        account: where it stands.
        tenant: its id.
        bucket: of its files.
        before: what it gets now.
        after: what it would get.
        now: from which days are counted.

    Raises:
        botocore.exceptions.ClientError: AWS refused; nobody knows then what would be lost.
    """
    return Loss(
        forgotten=tuple(_forgotten(account, bucket, before, after, now)),
        closed=tuple(_closed(account, tenant, before, after)),
    )


def _forgotten(
    account: Account, bucket: str, before: Tier, after: Tier, now: datetime
) -> Iterator[str]:
    for key, (prefix, what) in _FORGOTTEN.items():
        days: int = getattr(after, key)
        if days < getattr(before, key):
            listed = account.pages(
                "s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix
            )
            yield from _older(listed, days, now, what)
    if after.artifact_days < before.artifact_days:
        listed = account.pages("s3", "list_object_versions", "Versions", Bucket=bucket)
        replaced = (
            one
            for one in listed
            if not one["IsLatest"]
            and not one["Key"].startswith((names.TELEMETRY_PREFIX, names.LOGS_PREFIX))
        )
        # S3 counts from when it was replaced, which is later: no fewer are told than go.
        yield from _older(replaced, after.artifact_days, now, "replaced versions of files")


def _older(listed: Iterable[Any], days: int, now: datetime, what: str) -> Iterator[str]:
    begin = now - timedelta(days=days)
    count = sum(1 for _ in islice((one for one in listed if one["LastModified"] < begin), MOST))
    if count:
        shown = f"more than {count}" if count == MOST else str(count)
        yield f"{shown} {what} older than {days} days"


def _closed(account: Account, tenant: str, before: Tier, after: Tier) -> Iterator[str]:
    for feature in FEATURES:
        if feature in after.features or feature not in before.features or feature not in _KEPT:
            continue
        partition, what = _KEPT[feature]
        rows = account.pages(
            "dynamodb",
            "query",
            "Items",
            TableName=names.COMMANDS_TABLE,
            KeyConditionExpression="thing = :own",
            ExpressionAttributeValues={":own": {"S": f"{tenant}--{partition}"}},
            ConsistentRead=True,
        )
        if count := sum(_state(row) not in _OVER for row in rows):
            yield f"{count} {what}"


def _state(row: dict[str, Any]) -> str:
    """Of a row of any of them; that of a wish stands in its own JSON."""
    if "wish" in row:
        return str(json.loads(row["wish"]["S"]).get("state"))
    return str(row.get("state", {}).get("S"))


def now() -> datetime:
    """In UTC."""
    return datetime.now(UTC)
