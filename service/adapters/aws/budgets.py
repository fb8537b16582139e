"""Shared buckets in DynamoDB: a row each, and one conditional ``UpdateItem`` to take tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.budgets import Grant
from service.domain.rates import held
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.budgets import Bucket
    from service.domain.rates import Rate
    from service.settings import RecordSettings

_BUDGETS: Final = "the budgets"
_SECOND: Final = 1_000_000
_ROW_SECONDS: Final = 24 * 3600
# Each lost race is another taker's success, so few in a row are lost.
_RACES: Final = 5


@dataclass(frozen=True, kw_only=True)
class DynamoBuckets:
    """Answers ``ports.SharedBuckets``: a tenant's in its own session, the account's in ours.

    A write is repeated whose answer was lost. Tokens are then taken twice and spent once: less is
    let through, never more.
    """

    aws: AwsDoor
    settings: RecordSettings

    @asks(_BUDGETS)
    async def take(
        self,
        bucket: Bucket,
        *,
        tokens: int,
        now: int,
        returned: int = 0,
        last: Grant | None = None,
    ) -> Grant:
        rate, stands = bucket.rate, last.full_at if last else None
        tokens = min(tokens, rate.burst)
        for _ in range(_RACES):
            # What goes back makes no bucket more than full.
            fills = stands is None or stands < now + returned * rate.token
            change = (
                _set(now + tokens * rate.token, stands, now)
                if fills
                else _added((tokens - returned) * rate.token, rate, returned, now)
            )
            taken, stands = await self._update(bucket, change, now)
            if taken:
                return Grant(tokens=tokens, full_at=stands)
            there = held(rate, stands - returned * rate.token, now)
            if there < 1:
                return Grant(tokens=0, full_at=stands)
            tokens = min(tokens, there)
        raise UnavailableError(_BUDGETS)

    async def _update(self, bucket: Bucket, change: _Change, now: int) -> tuple[bool, int]:
        """Whether it was changed, and when the bucket is full as it stands then."""
        tenant = bucket.tenant
        table = self.aws.tenant(tenant, "dynamodb") if tenant else self.aws.own("dynamodb")
        values = change.values | {":ttl": now // _SECOND + _ROW_SECONDS}
        try:
            answer = await table.call(
                "UpdateItem",
                TableName=self.settings.commands_table,
                Key={"thing": {"S": bucket.key}, "sk": {"S": "bucket"}},
                UpdateExpression=f"SET full_at = {change.new}, #ttl = :ttl",
                ConditionExpression=change.condition,
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    name: {"N": str(number)} for name, number in values.items()
                },
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except AwsRefusalError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            item = error.members.get("Item", {})
            # A row that went meanwhile is a full bucket.
            return False, int(item["full_at"]["N"]) if "full_at" in item else now - 1
        return True, int(answer["Attributes"]["full_at"]["N"])


@dataclass(frozen=True, kw_only=True)
class _Change:
    """One write of a row: what becomes of ``full_at``, and what must hold before."""

    new: str
    condition: str
    values: dict[str, int]


def _set(full_at: int, stands: int | None, now: int) -> _Change:
    """For a bucket that is full, or will be by what goes back."""
    condition, values = "attribute_not_exists(full_at) OR full_at < :now", {":now": now}
    if stands is not None and stands >= now:
        condition, values = "full_at = :stands", {":stands": stands}
    return _Change(new=":full", condition=condition, values=values | {":full": full_at})


def _added(cost: int, rate: Rate, returned: int, now: int) -> _Change:
    """For any other: whoever comes between, there must be enough."""
    return _Change(
        new="full_at + :cost",
        condition="full_at >= :least AND full_at <= :most",
        values={
            ":cost": cost,
            ":least": now + returned * rate.token,
            ":most": now + rate.span - cost,
        },
    )
