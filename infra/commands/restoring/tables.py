"""A shared table as it stood at a moment: restored beside it, compared, and put back row by row.

DynamoDB restores into a new table and never into one that stands (source: DynamoDB developer guide,
"Restore a table in DynamoDB"). So the service goes on with the table that it has, and what is put
back is put back under its eyes: a row that somebody wrote since is never written over unseen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands import shared_rows
from infra.commands.account import Belongings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.commands.account import Account

TABLES: Final = {
    "tenants": names.TENANTS_TABLE,
    "devices": names.DEVICES_TABLE,
    "commands": names.COMMANDS_TABLE,
    "audit": names.AUDIT_TABLE,
}
_BESIDE: Final = "-restored-"
_TTL: Final = "ttl"
_POLL_SECONDS: Final = 5.0


class RestoreError(Exception):
    """The moment, or the table, is not one that can be restored; says what is."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The moments to which a table can be restored, in UTC."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, kw_only=True)
class Differs:
    """A row that is not as it was.

    Attributes:
        key: of the row, in DynamoDB's form.
        then: as it was at the moment; none: it was made since.
        now: as it stands; none: it is gone.
    """

    key: dict[str, Any]
    then: dict[str, Any] | None
    now: dict[str, Any] | None

    @property
    def how(self) -> str:
        """`gone`, `made` or `changed`, since the moment."""
        if self.now is None:
            return "gone"
        return "made" if self.then is None else "changed"

    @property
    def shown(self) -> str:
        """The key for people, e.g. `acme--devices press-07`."""
        return " ".join(str(next(iter(value.values()))) for value in self.key.values())


@dataclass(kw_only=True)
class PutBack:
    """What became of the rows: how many of each, and the keys that somebody changed meanwhile."""

    written: int = 0
    left: int = 0
    expired: int = 0
    in_the_way: list[str] = field(default_factory=list[str])


def window(account: Account, table: str) -> Window:
    """Since when and until when.

    Raises:
        RestoreError: recovery is off.
    """
    told = account.client("dynamodb").describe_continuous_backups(TableName=table)
    recovery = told["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RestoreError(f"{table}: point-in-time recovery is off: nothing can be restored")
    return Window(
        earliest=recovery["EarliestRestorableDateTime"].astimezone(UTC),
        latest=recovery["LatestRestorableDateTime"].astimezone(UTC),
    )


def restore(
    account: Account,
    table: str,
    at: datetime,
    *,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Restore beside the table, and wait until the new one can be read.

    A moment of the last minutes is waited for (source: DynamoDB API reference,
    PointInTimeRecoveryDescription: "typically 5 minutes before the current time").

    Args:
        account: where it stands.
        table: its name.
        at: with an offset; AWS restores to whole seconds.
        say: told of what is waited for.
        pause: waits so many seconds.

    Returns:
        The new table's name. It has no `ttl`, no recovery, no protection and no tags (source: as
        the module's): nothing but this command may use it.

    Raises:
        RestoreError: recovery is off, or the moment is too early or has not come yet.
    """
    at = at.replace(microsecond=0)
    known, now = window(account, table), datetime.now(UTC)
    if not known.earliest <= at <= now:
        raise RestoreError(
            f"{table}: can be restored to any moment from {_text(known.earliest)} to "
            f"{_text(known.latest)}, not to {_text(at)}"
        )
    if (known := window(account, table)).latest < at:
        seconds = (at - known.latest).total_seconds()
        say(f"waiting: AWS restores to {_text(known.latest)} so far, {seconds:.0f} s too early")
    while window(account, table).latest < at:
        pause(_POLL_SECONDS)
    target = f"{table}{_BESIDE}{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    client = account.client("dynamodb")
    client.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=target, RestoreDateTime=at
    )
    while client.describe_table(TableName=target)["Table"]["TableStatus"] != "ACTIVE":
        say(f"waiting: {target} is being made")
        pause(_POLL_SECONDS)
    return target


def compared(
    account: Account, table: str, restored: str, *, tenant: str | None = None
) -> Iterator[Differs]:
    """Each row that is otherwise than it was; both tables are read whole.

    Args:
        account: where they stand.
        table: as it stands.
        restored: as it was.
        tenant: of whose rows alone; none: of all.
    """
    then, now = (
        {
            _hashed(key): (key, row)
            for key, row in shared_rows.keyed(account, one)
            if tenant is None or shared_rows.is_of(Belongings(tenant=tenant), key, row)
        }
        for one in (restored, table)
    )
    for each in sorted(then.keys() | now.keys()):
        (key, _) = then.get(each) or now[each]
        before, after = (side[each][1] if each in side else None for side in (then, now))
        if before != after:
            yield Differs(key=key, then=before, now=after)


def put_back(
    account: Account, table: str, differing: Iterator[Differs], *, changed: bool
) -> PutBack:
    """Write rows as they were; what was made since stays.

    A row is written only if it still is as it was compared: what the service wrote meanwhile stays,
    and is named. A row whose `ttl` has passed is over and stays gone.

    Args:
        account: where the table stands.
        table: that is written.
        differing: as `compared` found them.
        changed: rows that are otherwise now too, not only those that are gone.
    """
    done = PutBack()
    client = account.client("dynamodb")
    for one in differing:
        if one.then is None or (one.now is not None and not changed):
            done.left += 1
        elif _is_over(one.then):
            done.expired += 1
        else:
            try:
                client.put_item(TableName=table, Item=one.then, **_as_compared(one))
            except client.exceptions.ConditionalCheckFailedException:
                done.in_the_way.append(one.shown)
            else:
                done.written += 1
    return done


def drop(account: Account, restored: str) -> None:
    """Delete a table that `restore` made.

    Raises:
        RestoreError: it is none of those: no other table is deleted by this command.
    """
    if _BESIDE not in restored or restored.partition(_BESIDE)[0] not in TABLES.values():
        raise RestoreError(f"`{restored}` is no table that was restored: it stays")
    account.client("dynamodb").delete_table(TableName=restored)


def _is_over(row: dict[str, Any]) -> bool:
    return _TTL in row and float(row[_TTL].get("N", "inf")) <= time.time()


def _as_compared(one: Differs) -> dict[str, Any]:
    """The condition that nobody has touched the row since it was compared."""
    if one.now is None:
        first = next(iter(one.key))
        return {
            "ConditionExpression": "attribute_not_exists(#k)",
            "ExpressionAttributeNames": {"#k": first},
        }
    known = [name for name in one.now if name not in one.key]
    absent = [name for name in one.then or {} if name not in one.now]
    if not known and not absent:  # pragma: no cover - two rows of a key alone do not differ
        return {}
    terms = [f"#n{index} = :v{index}" for index in range(len(known))]
    terms += [f"attribute_not_exists(#a{index})" for index in range(len(absent))]
    values = {f":v{index}": one.now[name] for index, name in enumerate(known)}
    return {
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": {
            **{f"#n{index}": name for index, name in enumerate(known)},
            **{f"#a{index}": name for index, name in enumerate(absent)},
        },
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def _hashed(key: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(next(iter(value.values()))) for value in key.values())


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
