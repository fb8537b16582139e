"""Deliveries in DynamoDB: jobs that the service plans, beside ends that an IoT rule writes down.

Rows of the commands table, of one download in one partition::

    thing                    sk                 written by
    <tenant>--download#<id>  record             the service, then the worker
    <tenant>--download#<id>  job#07             the service: its members; the worker: when made
    <tenant>--download#<id>  job#07#<device>    the IoT rule: how it ended there; the worker, of
                                                what no event has told
    <tenant>--download#<id>  job#07r01          the worker: a round, of who is tried again
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.adapters.aws.cursors import seal, token_of
from service.domain.attempts import Attempts, Survey, deliveries, standings, survey_of
from service.domain.downloads import (
    OUTCOMES,
    Delivery,
    DeliveryJob,
    DeliveryState,
    DownloadProgress,
    Outcome,
    counted,
    whole_state,
)
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.downloads import DownloadRecord
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
# Of one transaction, which may have 100 (source: DynamoDB API reference, TransactWriteItems). A
# partition takes 1,000 write units a second, a row of 100 long names 14 in a transaction.
_ROWS_AT_ONCE: Final = 25
_TIMES: Final = ("made_at", "canceled_at", "decided_at")
_SK: Final = re.compile(r"job#(?P<number>\d\d)(?:r(?P<round>\d\d))?(?:#(?P<device>.*))?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class DynamoDeliveries:
    """Answers ``ports.Deliveries`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def plan(
        self, tenant: Tenant, record: DownloadRecord, jobs: Sequence[DeliveryJob]
    ) -> None:
        table, ttl = self.aws.tenant(tenant, "dynamodb"), self._ttl(record)
        for start in range(0, len(jobs), _ROWS_AT_ONCE):
            await table.call(
                "TransactWriteItems",
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self.settings.commands_table,
                            "Item": {
                                **_key(record, f"job#{job.mark}"),
                                "members": {"L": [{"S": member} for member in job.members]},
                                "ttl": ttl,
                            },
                        }
                    }
                    for job in jobs[start : start + _ROWS_AT_ONCE]
                ],
            )

    @asks(_TABLE)
    async def job(
        self, tenant: Tenant, record: DownloadRecord, number: int
    ) -> tuple[DeliveryJob, Mapping[str, Outcome]] | None:
        found = await self.attempts(tenant, record, number)
        return found[0] if found else None

    @asks(_TABLE)
    async def attempts(self, tenant: Tenant, record: DownloadRecord, number: int) -> Attempts:
        rows = await self._rows(tenant, record, f"job#{number:02}")
        return _grouped(rows).get(number, ())

    @asks(_TABLE)
    async def retry(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        return await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.commands_table,
            {
                **_key(record, f"job#{job.mark}"),
                "members": {"L": [{"S": member} for member in job.members]},
                "ttl": self._ttl(record),
            },
            **ABSENT,
        )

    @asks(_TABLE)
    async def of_device(
        self, tenant: Tenant, record: DownloadRecord, device_id: str
    ) -> Delivery | None:
        numbers = [0] if record.jobs == 1 else await self._numbers_of(tenant, record, device_id)
        for number in numbers:
            attempts = await self.attempts(tenant, record, number)
            if attempts and device_id in attempts[0][0].members:
                each = deliveries(record, attempts)
                return next((one for one in each if one.device == device_id), None)
        return None

    async def _numbers_of(
        self, tenant: Tenant, record: DownloadRecord, device_id: str
    ) -> list[int]:
        """Numbers of the jobs that a device is a member of; nobody sends all members here."""
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :jobs)",
            FilterExpression="contains(members, :device)",
            ProjectionExpression="sk",
            ExpressionAttributeValues={
                ":thing": _key(record, "")["thing"],
                ":jobs": {"S": "job#"},
                ":device": {"S": device_id},
            },
            ConsistentRead=True,
        )
        found = [_SK.fullmatch(row["sk"]["S"]) for row in rows]
        return sorted({int(one["number"]) for one in found if one is not None})

    @asks(_TABLE)
    async def made(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        update = "SET made_at = if_not_exists(made_at, :now) REMOVE canceled_at"
        await self._note(tenant, record, job, update, now_ms)

    @asks(_TABLE)
    async def decided(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        await self._note(tenant, record, job, "SET decided_at = :now", now_ms)

    @asks(_TABLE)
    async def canceled(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key=_key(record, f"job#{job.mark}"),
            UpdateExpression="SET canceled_at = if_not_exists(canceled_at, :now)",
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeValues={":now": {"N": str(now_ms)}},
        )

    @asks(_TABLE)
    async def tell(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        table = self.aws.tenant(tenant, "dynamodb")
        for device, outcome in outcomes.items():
            reason = {} if outcome.reason is None else {"reason": {"S": outcome.reason}}
            try:
                await table.call(
                    "PutItem",
                    TableName=self.settings.commands_table,
                    Item={
                        **_key(record, f"job#{job.mark}#{device}"),
                        "state": {"S": outcome.state.upper()},
                        "at": {"N": str(outcome.at)},
                        "ttl": self._ttl(record),
                        **reason,
                    },
                    ConditionExpression="attribute_not_exists(thing)",
                )
            except AwsRefusalError as error:
                # The event was only late: it says more.
                if error.code != "ConditionalCheckFailedException":
                    raise

    @asks(_TABLE)
    async def audited(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        marks = sorted(outcome.mark(device) for device, outcome in outcomes.items())
        if not marks:
            return  # DynamoDB has no empty set
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key=_key(record, f"job#{job.mark}"),
            UpdateExpression="ADD audited :marks",
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeValues={":marks": {"SS": marks}},
        )

    @asks(_TABLE)
    async def survey(self, tenant: Tenant, record: DownloadRecord) -> Survey:
        return survey_of(record, _grouped(await self._rows(tenant, record, "job#")))

    @asks(_TABLE)
    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress:
        scope = f"download:{record.name}"
        number, offset = _position(None if cursor is None else token_of(scope, cursor))
        shown: list[Delivery] = []
        known, after = record.counts, None
        while number < record.jobs and len(shown) < limit:
            attempts = await self.attempts(tenant, record, number)
            if not attempts:
                break
            if record.jobs == 1:
                # All of it is at hand: nobody has to wait for the worker's next look.
                ends = (one.outcome for one in standings(attempts))
                known = Counter(one.state for one in ends if one is not None)
            page = list(deliveries(record, attempts))[offset : offset + limit - len(shown)]
            shown += page
            if offset + len(page) < len(attempts[0][0].members):
                after = f"{number}.{offset + len(page)}"
                break
            number, offset = number + 1, 0
            after = f"{number}.0" if number < record.jobs else None
        counts = counted(record, known) if record.jobs else {}
        return DownloadProgress(
            state=whole_state(record, counts),
            counts=counts,
            deliveries=tuple(shown),
            cursor=seal(scope, after),
        )

    async def _rows(
        self, tenant: Tenant, record: DownloadRecord, prefix: str
    ) -> list[dict[str, Any]]:
        return await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":thing": _key(record, "")["thing"],
                ":prefix": {"S": prefix},
            },
            ConsistentRead=True,
        )

    def _ttl(self, record: DownloadRecord) -> dict[str, str]:
        return {"N": str(record.created_at // 1000 + self.settings.record_seconds)}

    async def _note(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, update: str, now_ms: int
    ) -> None:
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key=_key(record, f"job#{job.mark}"),
            UpdateExpression=update,
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeValues={":now": {"N": str(now_ms)}},
        )


def _key(record: DownloadRecord, sk: str) -> dict[str, Any]:
    return {
        "thing": {"S": f"{record.tenant}--download#{record.download_id}"},
        "sk": {"S": sk},
    }


def _grouped(rows: Sequence[Mapping[str, Any]]) -> dict[int, Attempts]:
    """Rows of jobs, in the order of their keys, by the job's number."""
    jobs: dict[int, dict[int, DeliveryJob]] = {}
    ends: dict[tuple[int, int], dict[str, Outcome]] = {}
    for row in rows:
        key = _SK.fullmatch(row["sk"]["S"])
        if key is None:
            continue  # no row that we or a rule of ours would write
        number, round_ = int(key["number"]), int(key["round"] or 0)
        if not key["device"]:
            jobs.setdefault(number, {})[round_] = _job_of(number, round_, row)
        elif (outcome := _outcome(key["device"], row)) is not None:
            ends.setdefault((number, round_), {})[key["device"]] = outcome
    return {
        number: [(rounds[one], ends.get((number, one), {})) for one in sorted(rounds)]
        for number, rounds in jobs.items()
        if 0 in rounds
    }


def _job_of(number: int, round_: int, row: Mapping[str, Any]) -> DeliveryJob:
    at = {name: int(row[name]["N"]) if name in row else None for name in _TIMES}
    return DeliveryJob(
        number=number,
        round=round_,
        members=tuple(member["S"] for member in row["members"]["L"]),
        made_at=at["made_at"],
        canceled_at=at["canceled_at"],
        decided_at=at["decided_at"],
        audited=_audited(row),
    )


def _audited(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(row.get("audited", {}).get("SS", ()))


def _outcome(device: str, row: Mapping[str, Any]) -> Outcome | None:
    """How it ended, or ``None`` for a row that no rule of ours would write."""
    try:
        state = DeliveryState(row["state"]["S"].lower())
        at = int(float(row["at"]["N"]))
    except (KeyError, ValueError, OverflowError):
        return None
    if state not in OUTCOMES or not wire.is_device_id(device):
        return None
    return Outcome(state=state, at=at, reason=row.get("reason", {}).get("S"))


def _position(token: str | None) -> tuple[int, int]:
    """The job and the member in it with which a page begins.

    Raises:
        InvalidRequestError: the token is not one of ours.
    """
    number, separator, offset = (token or "0.0").partition(".")
    if not (separator and number.isdecimal() and offset.isdecimal()):
        raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page of this list")
    return int(number[:9]), int(offset[:9])
