"""Notes that a tenant moves to another tier, and tells it once its stack is stamped with it.

A row of the registry says so from before the tenant's file changes until the event is told. So a
move whose command was killed is gone on with by the same command, or told by the next `up`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands import life_events
from infra.commands.life_events import Happened, LifeEvent
from infra.commands.policies import TABLE

if TYPE_CHECKING:
    from infra.commands.account import Account

_NOT_TOLD: Final = "attribute_exists(issuer) AND began_at = :began"


@dataclass(frozen=True, kw_only=True)
class Move:
    """A move that has begun.

    Attributes:
        came_from: the tier that was told last; none: the tenant had none.
        to: the tier to be; none: it is to have none.
        began_at: RFC 3339; tells this move from the next.
    """

    came_from: str | None
    to: str | None
    began_at: str


class TierMoves:
    """The moves that have begun in an account; may be asked by threads.

    Args:
        account: where the tenants stand.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._table = os.environ.get(TABLE, names.TENANTS_TABLE)
        self._dynamodb, self._by = account.client("dynamodb"), account.caller

    def of(self, tenant: str) -> Move | None:
        """The move of a tenant that is not told yet.

        Raises:
            botocore.exceptions.ClientError: AWS refused.
        """
        row: dict[str, Any] | None = self._dynamodb.get_item(
            TableName=self._table, Key=_key(tenant), ConsistentRead=True
        ).get("Item")
        if row is None:
            return None
        return Move(
            came_from=row.get("came_from", {}).get("S"),
            to=row.get("to", {}).get("S"),
            began_at=row["began_at"]["S"],
        )

    def begin(self, tenant: str, *, came_from: str | None, to: str | None) -> None:
        """Note a move before anything changes; one to elsewhere that was not told is replaced.

        Raises:
            botocore.exceptions.ClientError: AWS refused.
        """
        row = {**_key(tenant), "began_at": {"S": life_events.now()}}
        if to is not None:
            row["to"] = {"S": to}
        if came_from is not None:
            row["came_from"] = {"S": came_from}
        self._dynamodb.put_item(TableName=self._table, Item=row)

    def note(self, tenant: str, *, came_from: str | None, to: str | None) -> None:
        """Note a move that a file asks for, unless it is noted; of one to elsewhere nobody heard.

        Raises:
            botocore.exceptions.ClientError: AWS refused.
        """
        under_way = self.of(tenant)
        if under_way is not None:
            if under_way.to == to:
                return
            came_from = under_way.came_from
        self.begin(tenant, came_from=came_from, to=to)

    def end(self, tenant: str, *, tier: str | None) -> bool:
        """After an `up` that went well: tell the move to the tier that the file says, if there is.

        Returns:
            Whether a move was told. One back to where it came from, before anybody heard, is not.

        Raises:
            botocore.exceptions.ClientError: AWS refused; the next `up` tells it.
            NotToldError: likewise.
        """
        move = self.of(tenant)
        if move is None or move.to != tier:
            return False
        is_new = move.came_from != move.to
        if is_new:
            came_from = {} if move.came_from is None else {"from": move.came_from}
            to = {} if move.to is None else {"to": move.to}
            event = LifeEvent(
                happened=Happened.TIER_CHANGED,
                tenant=tenant,
                at=life_events.now(),
                by=self._by,
                since=move.began_at,
                more={**came_from, **to},
            )
            life_events.tell(self._account, event)
        # Refused: somebody else told it too, or has begun the next move meanwhile.
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=_key(tenant),
                ConditionExpression=_NOT_TOLD,
                ExpressionAttributeValues={":began": {"S": move.began_at}},
            )
        return is_new


def _key(tenant: str) -> dict[str, Any]:
    # Without a column `tenant`: the index by it is of the tenants' own rows.
    return {"issuer": {"S": names.tier_move_row(tenant)}}
