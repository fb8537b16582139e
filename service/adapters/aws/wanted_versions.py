"""Wanted versions in DynamoDB, beside the batches that carry them out and what devices run.

Rows of the commands table::

    thing                    sk                    written by
    <tenant>--wanted         <package>#<group>     the service; the worker: when the next may begin
    <tenant>--wanted#<wish>  <download>            the worker: a batch, then how its devices ended
    <tenant>--versions       <package>#<device>    the worker: what was delivered to a device, which
                                                   may say later what it runs (`devices`)

A wish stands until it is ended, so its rows have no ``ttl``; nor has what a device runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.conditional_rows import put
from service.domain.downloads import Closing, DeliveryState, Outcome
from service.domain.rollouts import Reach, Window
from service.domain.wanted_versions import Batch, Running, WantedVersion, WishState
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_TABLE: Final = "the commands table"


@dataclass(frozen=True, kw_only=True)
class DynamoWantedVersions:
    """Answers ``ports.WantedVersions`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def of_package(self, tenant: Tenant, package: str) -> tuple[WantedVersion, ...]:
        rows = await _rows(self.aws, self.settings, tenant, "wanted", f"{package}#")
        return tuple(_wish(tenant, row) for row in rows)

    @asks(_TABLE)
    async def every(self, tenant: Tenant) -> tuple[WantedVersion, ...]:
        rows = await _rows(self.aws, self.settings, tenant, "wanted")
        return tuple(_wish(tenant, row) for row in rows)

    @asks(_TABLE)
    async def put(
        self, tenant: Tenant, wish: WantedVersion, *, batch: Batch | None = None
    ) -> WantedVersion | None:
        stored = replace(wish, revision=wish.revision + 1)
        table, calls = self.settings.commands_table, self.aws.tenant(tenant, "dynamodb")
        condition: dict[str, Any] = (
            {
                "ConditionExpression": "revision = :seen",
                "ExpressionAttributeValues": {":seen": {"N": str(wish.revision)}},
            }
            if wish.revision
            else {"ConditionExpression": "attribute_not_exists(thing)"}
        )
        if batch is None:
            done = await put(calls, table, wish_item(stored), **condition)
            return stored if done else None
        taken = {
            "TableName": table,
            "Item": batch_item(tenant, batch),
            "ConditionExpression": "attribute_not_exists(thing)",
        }
        changed = {"TableName": table, "Item": wish_item(stored), **condition}
        try:
            await calls.call("TransactWriteItems", TransactItems=[{"Put": changed}, {"Put": taken}])
        except AwsRefusalError as error:
            # Also if our own attempt was only not confirmed: then the next look finds the batch.
            if error.code != "TransactionCanceledException":
                raise
            return None
        return stored

    @asks(_TABLE)
    async def batches(self, tenant: Tenant, wish_id: str) -> tuple[Batch, ...]:
        rows = await _rows(self.aws, self.settings, tenant, f"wanted#{wish_id}")
        return tuple(_batch(wish_id, row) for row in rows)

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, batch: Batch) -> None:
        await self.aws.tenant(tenant, "dynamodb").call(
            "PutItem", TableName=self.settings.commands_table, Item=batch_item(tenant, batch)
        )


@dataclass(frozen=True, kw_only=True)
class DynamoRunningVersions:
    """Answers ``ports.RunningVersions`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def of_package(self, tenant: Tenant, package: str) -> Mapping[str, Running]:
        rows = await _rows(self.aws, self.settings, tenant, "versions", f"{package}#")
        return {one.device: one for one in map(_running, rows) if one is not None}

    @asks(_TABLE)
    async def every(self, tenant: Tenant) -> tuple[Running, ...]:
        rows = await _rows(self.aws, self.settings, tenant, "versions")
        return tuple(filter(None, map(_running, rows)))

    @asks(_TABLE)
    async def find(self, tenant: Tenant, package: str, device_id: str) -> Running | None:
        key = {"thing": {"S": f"{tenant.id}--versions"}, "sk": {"S": f"{package}#{device_id}"}}
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem", TableName=self.settings.commands_table, Key=key, ConsistentRead=True
        )
        item = found.get("Item")
        return None if item is None else _running(item)

    @asks(_TABLE)
    async def tell(self, tenant: Tenant, running: Running) -> None:
        at = {"N": str(running.at)}
        await put(
            self.aws.tenant(tenant, "dynamodb"),
            self.settings.commands_table,
            {
                "thing": {"S": f"{tenant.id}--versions"},
                "sk": {"S": f"{running.package}#{running.device}"},
                "version": {"S": running.version},
                "at": at,
            },
            ConditionExpression="attribute_not_exists(thing) OR #at < :at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":at": at},
        )


async def _rows(
    aws: AwsDoor, settings: RecordSettings, tenant: Tenant, partition: str, prefix: str = ""
) -> list[dict[str, Any]]:
    values = {":thing": {"S": f"{tenant.id}--{partition}"}}
    begins = ""
    if prefix:
        begins, values[":prefix"] = " AND begins_with(sk, :prefix)", {"S": prefix}
    return await aws.tenant(tenant, "dynamodb").rows(
        "Query",
        TableName=settings.commands_table,
        KeyConditionExpression=f"thing = :thing{begins}",
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )


def wish_item(wish: WantedVersion) -> dict[str, Any]:
    """The row of a wish."""
    return {
        "thing": {"S": f"{wish.tenant}--wanted"},
        "sk": {"S": f"{wish.package}#{wish.group}"},
        "wish": {"S": json.dumps(asdict(wish))},
        "revision": {"N": str(wish.revision)},
    }


def batch_item(tenant: Tenant, batch: Batch) -> dict[str, Any]:
    """The row of a batch."""
    return {
        "thing": {"S": f"{tenant.id}--wanted#{batch.wish_id}"},
        "sk": {"S": batch.download_id},
        "version": {"S": batch.version},
        "at": {"N": str(batch.at)},
        "members": {"L": [{"S": one} for one in batch.members]},
        "outcomes": {
            "S": json.dumps({device: asdict(one) for device, one in batch.outcomes.items()})
        },
        "closing": {"S": batch.closing or ""},
        "settled": {"BOOL": batch.settled},
    }


def _wish(tenant: Tenant, row: Mapping[str, Any]) -> WantedVersion:
    """A wish of its row.

    Raises:
        UpstreamError: it is not of its form, or of a later release: fail closed, what its devices
            shall have is not known.
    """
    try:
        found: dict[str, Any] = json.loads(row["wish"]["S"])
        window = found.pop("window")
        read: dict[str, Any] = {
            "tenant": tenant.id,
            "state": WishState.of_row(found["state"]),
            "reach": Reach(**found["reach"]),
            "window": Window(**window) if window else None,
            "revision": int(row["revision"]["N"]),
        }
        return WantedVersion(**{**found, **read})
    except (KeyError, ValueError, TypeError) as error:
        raise UpstreamError("the row of a wanted version is not of its form") from error


def _batch(wish_id: str, row: Mapping[str, Any]) -> Batch:
    closing = row["closing"]["S"]
    outcomes: dict[str, dict[str, Any]] = json.loads(row["outcomes"]["S"])
    return Batch(
        wish_id=wish_id,
        version=row["version"]["S"],
        download_id=row["sk"]["S"],
        at=int(row["at"]["N"]),
        members=tuple(one["S"] for one in row["members"]["L"]),
        outcomes={
            device: Outcome(state=DeliveryState(one["state"]), at=one["at"], reason=one["reason"])
            for device, one in outcomes.items()
        },
        closing=Closing(closing) if closing else None,
        settled=row["settled"]["BOOL"],
    )


def _running(row: Mapping[str, Any]) -> Running | None:
    """What a device runs, or ``None`` for a row that no rule of ours would write."""
    package, _, device = row["sk"]["S"].partition("#")
    try:
        at, version = int(float(row["at"]["N"])), row["version"]["S"]
    except (KeyError, ValueError, OverflowError):
        log.warning("versions.unreadable_row", sk=row["sk"]["S"][:200])
        return None
    if not wire.is_device_id(device):
        return None
    return Running(device=device, package=package, version=version, at=at)
