"""Notes which tenants are stamped for the first time, and tells it once they are.

A row of the registry says so from before the first `up` until the event is told, so that one whose
command was killed is told by the next. A tenant that stood before this was known has no row, and is
told of no more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from infra import names
from infra.commands import life_events
from infra.commands.life_events import Happened, LifeEvent
from infra.commands.policies import TABLE

if TYPE_CHECKING:
    from infra.commands.account import Account

_TOLD: Final = "told_at"


class Onboarding:
    """What a run over many stacks knows of their beginnings; may be asked by threads.

    Args:
        account: where the tenants stand.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._table = os.environ.get(TABLE, names.TENANTS_TABLE)
        # Made here: boto3 makes clients in one thread only, and gives them to any.
        self._dynamodb, self._by = account.client("dynamodb"), account.caller
        account.client("events")

    def begin(self, tenant: str) -> None:
        """Before an `up`: note that it is the first, if it is.

        Raises:
            botocore.exceptions.ClientError: AWS refused.
        """
        if self._row(tenant) is not None or self._is_registered(tenant):
            return
        self._dynamodb.put_item(
            TableName=self._table,
            Item={**_key(tenant), "began_at": {"S": life_events.now()}},
        )

    def end(self, tenant: str) -> None:
        """After an `up` that went well: tell that the tenant is onboarded, if it was the first.

        Raises:
            botocore.exceptions.ClientError: AWS refused; the next `up` tells it.
            NotToldError: likewise.
        """
        row = self._row(tenant)
        if row is None or _TOLD in row:
            return
        at = life_events.now()
        life_events.tell(
            self._account,
            LifeEvent(
                happened=Happened.ONBOARDED,
                tenant=tenant,
                at=at,
                by=self._by,
                since=row["began_at"]["S"],
            ),
        )
        self._dynamodb.update_item(
            TableName=self._table,
            Key=_key(tenant),
            UpdateExpression="SET #told = :at",
            ExpressionAttributeNames={"#told": _TOLD},
            ExpressionAttributeValues={":at": {"S": at}},
        )

    def _row(self, tenant: str) -> dict[str, dict[str, str]] | None:
        return self._dynamodb.get_item(
            TableName=self._table, Key=_key(tenant), ConsistentRead=True
        ).get("Item")

    def _is_registered(self, tenant: str) -> bool:
        found = self._dynamodb.query(
            TableName=self._table,
            IndexName=names.TENANTS_BY_TENANT_INDEX,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
        )
        return bool(found["Items"])


def _key(tenant: str) -> dict[str, dict[str, str]]:
    # Without a column `tenant`: the index by it is of the tenants' own rows.
    return {"issuer": {"S": names.onboarding_row(tenant)}}
