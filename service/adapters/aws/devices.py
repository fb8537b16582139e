"""Devices in DynamoDB: facts that the service writes, beside rows that IoT rules write of events.

Rows of the devices table, all of a tenant in one partition and those of one device together, since
`#` sorts before every character of an id::

    partition            sk                          written by
    <tenant>--devices    <device>#facts              the service
    <tenant>--devices    <device>#enrolment#<id>     the service: a registration, and how far it is
    <tenant>--devices    <device>#born#<thing id>    an IoT rule: a thing of this name was made
    <tenant>--devices    <device>#gone#<thing id>    an IoT rule: it was deleted
    <tenant>--devices    <device>#retired#<id>      the service: facts as they were, who, when
    <tenant>--devices    <device>#connected          an IoT rule: its client came
    <tenant>--devices    <device>#disconnected       an IoT rule: its client went
    <tenant>--devices    <device>#versions           an IoT rule: what it said of its versions
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import structlog
from cedarfleet_device import wire

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put, unchanged
from service.adapters.aws.cursors import seal, token_of
from service.adapters.aws.enrolment_rows import enrolment_of
from service.adapters.aws.groups import DynamoGroups
from service.cedar.device_facts import DEVICE_FACTS
from service.domain.device_filter import EVERY_DEVICE, MAX_LOOKED_AT, cut
from service.domain.device_rows import DeviceRows, Facts, Presence
from service.domain.devices import DevicePage, ReportedVersions, changed_meanwhile
from service.domain.group_records import tree_of
from service.errors import ConflictError, InvalidRequestError
from service.ports.devices import all_of_them

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.cedar.entities import GroupParents
    from service.domain.device_filter import DeviceFilter
    from service.domain.devices import Device
    from service.domain.enrolments import Enrolment
    from service.domain.groups import DeviceGroup
    from service.domain.tenants import Tenant
    from service.ports.devices import Viewed
    from service.settings import RecordSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_TABLE: Final = "the devices table"
# Facts, enrolment, born, connected, disconnected, versions: read at once by page.
_ROWS_A_DEVICE: Final = 6
_LEAST_DEVICES: Final = 50  # asked for at once, since some names may have no device any more
_BEHIND_ROWS: Final = "$"  # the character after `#`: behind a device's rows, before the next device


@dataclass(frozen=True, kw_only=True)
class DynamoDeviceFacts:
    """Answers ``ports.DeviceFacts`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        prefix = {":prefix": {"S": f"{device_id}#"}}
        asked = self._asked(tenant, "begins_with(sk, :prefix)", prefix, size=None)
        rows = rows_of(await self.aws.tenant(tenant, "dynamodb").rows("Query", **asked))
        device = rows._replace(connected=None, disconnected=None).device(tenant.id, device_id)
        if device is None or not (unknown := undeclared(tenant, device)):
            return device
        groups = await self._groups.named(tenant, unknown)
        return replace(device, made=tree_of(tenant, groups))

    @asks(_TABLE)
    async def page(
        self,
        tenant: Tenant,
        *,
        limit: int,
        cursor: str | None,
        wanted: DeviceFilter = EVERY_DEVICE,
        viewed: Viewed = all_of_them,
    ) -> DevicePage:
        scope = f"devices:{tenant.id}"
        after = None if cursor is None else token_of(scope, cursor)
        if after is not None and not wire.is_device_id(after):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        size = _ROWS_A_DEVICE * (MAX_LOOKED_AT if wanted else max(limit, _LEAST_DEVICES) + 1)
        named = self._named(tenant, after=after, size=size)
        shown, last = await cut(named, wanted, tenant.groups, limit=limit, viewed=viewed)
        return DevicePage(devices=shown, cursor=seal(scope, last))

    @asks(_TABLE)
    async def members(
        self, tenant: Tenant, group: DeviceGroup, *, limit: int
    ) -> tuple[Device, ...]:
        members: list[Device] = []
        async for _, device in self._named(tenant, after=None, size=None):
            if device is not None and device.is_served_in(group.id, tenant.groups):
                members.append(replace(device, connectivity=None))
                if len(members) > limit:
                    break
        return tuple(members)

    @asks(_TABLE)
    async def repair(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        key = {":key": {"S": f"{device.id}#facts"}}
        found = [
            item
            async for page in self._query(tenant, "sk = :key", key, size=1)
            for item in page
            if rows_of([item]).unreadable is not None
        ]
        if not found:
            raise ConflictError(changed_meanwhile(device.id))
        (row,) = found
        # Of its form or not: numbers go on where they can, so that nobody's old version comes back.
        number = row.get("version", {}).get("N", "")
        version = int(number) if number.isdecimal() else 0
        return await self._written(
            tenant, replace(device, version=version), by=by, now_ms=now_ms, condition=unchanged(row)
        )

    @asks(_TABLE)
    async def change(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        condition = at("version", device.version) if device.version else ABSENT
        return await self._written(tenant, device, by=by, now_ms=now_ms, condition=condition)

    async def _written(
        self,
        tenant: Tenant,
        device: Device,
        *,
        by: str,
        now_ms: int,
        condition: Mapping[str, Any],
    ) -> Device:
        changed = replace(
            device, version=device.version + 1, created_at=device.created_at or now_ms
        )
        item = facts_item(
            tenant,
            changed,
            Facts(
                attributes=changed.attributes,
                groups=changed.groups,
                tags=changed.tags,
                pinned=changed.pinned,
                version=changed.version,
                origin=changed.origin,
                created_at=changed.created_at or now_ms,
                changed_at=now_ms,
                changed_by=by,
            ),
        )
        calls = self.aws.tenant(tenant, "dynamodb")
        if not await put(calls, self.settings.devices_table, item, **condition):
            raise ConflictError(changed_meanwhile(device.id))
        return changed

    @property
    def _groups(self) -> DynamoGroups:
        return DynamoGroups(aws=self.aws, settings=self.settings)

    async def _named(
        self, tenant: Tenant, *, after: str | None, size: int | None
    ) -> AsyncIterator[tuple[str, Device | None]]:
        """Each name that rows are written under, in order, with the device that they make."""
        made: GroupParents | None = None
        async for device_id, rows in self._rows(tenant, after=after, size=size):
            device = rows_of(rows).device(tenant.id, device_id)
            if device is not None and undeclared(tenant, device):
                if made is None:
                    made = tree_of(
                        tenant, await self._groups.following(tenant, after=None, limit=None)
                    )
                device = replace(device, made=made)
            yield device_id, device

    async def _rows(
        self, tenant: Tenant, *, after: str | None, size: int | None
    ) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        """Each name that rows are written under, in order, with these rows."""
        condition, values = "", {}
        if after is not None:
            condition, values = "sk > :after", {":after": {"S": after + _BEHIND_ROWS}}
        # A page of DynamoDB may end between two rows of one device.
        kept: list[dict[str, Any]] = []
        async for page in self._query(tenant, condition, values, size=size):
            ends = [*groupby_device(kept + page)]
            kept = ends.pop()[1] if ends else []
            for named in ends:
                yield named
        for named in groupby_device(kept):
            yield named

    def _query(
        self, tenant: Tenant, condition: str, values: Mapping[str, Any], *, size: int | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of rows of the tenant's partition in the order of their keys; see ``_asked``."""
        asked = self._asked(tenant, condition, values, size=size)
        return self.aws.tenant(tenant, "dynamodb").pages("Query", **asked)

    def _asked(
        self, tenant: Tenant, condition: str, values: Mapping[str, Any], *, size: int | None
    ) -> dict[str, Any]:
        """A query for rows of the tenant's partition.

        Args:
            tenant: whose rows.
            condition: on the sort key; may be empty.
            values: of the condition.
            size: rows that are asked for at once; ``None``: as many as DynamoDB gives.
        """
        return {
            "TableName": self.settings.devices_table,
            "KeyConditionExpression": " AND ".join(filter(None, ("#partition = :own", condition))),
            "ExpressionAttributeNames": {"#partition": "partition"},
            "ExpressionAttributeValues": {":own": {"S": partition_of(tenant)}, **values},
            "ConsistentRead": True,
            **({} if size is None else {"Limit": size}),
        }


def undeclared(tenant: Tenant, device: Device) -> tuple[str, ...]:
    """Groups of a device that the tenant's file does not declare: made at run time, or gone."""
    return tuple([group for group in device.groups if group not in tenant.groups])


def groupby_device(
    items: Iterable[dict[str, Any]],
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each device's id with its rows, in the order of their keys."""
    for device_id, rows in groupby(items, lambda item: item["sk"]["S"].partition("#")[0]):
        yield device_id, list(rows)


def rows_of(items: Iterable[Mapping[str, Any]]) -> DeviceRows:
    """What the items of one device say; one that no program of ours would write is left out."""
    facts: Facts | None = None
    unreadable: str | None = None
    enrolments: dict[str, Enrolment] = {}
    gone: set[str] = set()
    times: dict[str, dict[str, int]] = {"born": {}, "retired": {}}
    presence: dict[str, Presence] = {}
    versions: ReportedVersions | None = None
    for item in items:
        kind, _, thing_id = item["sk"]["S"].partition("#")[2].partition("#")
        try:
            # The most frequent first: a page has hundreds of rows.
            match kind:
                case "facts":
                    facts = _facts(item)
                case "connected" | "disconnected":
                    presence[kind] = _presence(item)
                case "born" | "retired":
                    times[kind][thing_id] = int(item["at"]["N"])
                case "versions":
                    versions = _versions(item)
                case "enrolment":
                    enrolments[thing_id] = enrolment_of(item)
                case "gone":
                    gone.add(thing_id)
                case _:
                    pass
        except (KeyError, ValueError) as error:
            log.warning("devices.unreadable_row", sk=item["sk"]["S"][:200])
            # Fail closed: without its facts a device must not be decided on as if it had none.
            if kind == "facts":
                wrong = error.args[0] if isinstance(error, KeyError) else error
                unreadable = f"the row is not of its form: `{wrong}`"
    return DeviceRows(
        facts=facts,
        unreadable=unreadable,
        born=times["born"],
        gone=frozenset(gone),
        retired=times["retired"],
        enrolments=enrolments,
        versions=versions,
        connected=presence.get("connected"),
        disconnected=presence.get("disconnected"),
    )


def partition_of(tenant: Tenant) -> str:
    """Where all rows of the tenant's devices are."""
    return f"{tenant.id}--devices"


def facts_item(tenant: Tenant, device: Device, facts: Facts) -> dict[str, Any]:
    """The row of a device's facts."""
    return {
        "partition": {"S": partition_of(tenant)},
        "sk": {"S": f"{device.id}#facts"},
        "attributes": {"M": {name: {"S": text} for name, text in facts.attributes.items()}},
        "groups": {"L": [{"S": group} for group in facts.groups]},
        "tags": {"M": {name: {"S": text} for name, text in facts.tags.items()}},
        "version": {"N": str(facts.version)},
        "origin": {"S": facts.origin},
        "created_at": {"N": str(facts.created_at)},
        "changed_at": {"N": str(facts.changed_at)},
        "changed_by": {"S": facts.changed_by},
        # Left out where nothing is pinned, as by a release that knew no pins.
        **({"pinned": {"L": [{"S": one} for one in facts.pinned]}} if facts.pinned else {}),
    }


def _presence(item: Mapping[str, Any]) -> Presence:
    reason = item["reason"].get("S") if "reason" in item else None
    return Presence(int(item["at"]["N"]), int(item["version_number"]["N"]), reason)


def _versions(item: Mapping[str, Any]) -> ReportedVersions:
    """What a device said of its versions, as the rule wrote it.

    Raises:
        ValueError: it is not of the wire's form.
        KeyError: a column is missing.
    """
    try:
        packages: Any = json.loads(base64.b64decode(item["packages"]["S"]))
    except RecursionError as error:
        raise ValueError("`packages` is nested too deeply") from error
    if not wire.is_packages(packages):
        raise ValueError("`packages` is not of its form")
    return ReportedVersions(
        at=int(float(item["at"]["N"])),
        agent=item["agent"]["S"],
        packages=dict(sorted(packages.items())),
    )


def _facts(item: Mapping[str, Any]) -> Facts:
    attributes, groups = item["attributes"]["M"], item["groups"]["L"]
    # No row had tags before there were any.
    tags = item["tags"]["M"] if "tags" in item else {}
    pinned = item["pinned"]["L"] if "pinned" in item else ()
    return Facts(
        attributes={name: text for name, text in _texts(attributes) if name in DEVICE_FACTS},
        groups=tuple(sorted([group["S"] for group in groups])),
        tags=dict(_texts(tags)),
        version=int(item["version"]["N"]),
        origin=item["origin"]["S"],
        created_at=int(item["created_at"]["N"]),
        changed_at=int(item["changed_at"]["N"]),
        changed_by=item["changed_by"]["S"],
        pinned=tuple(sorted([one["S"] for one in pinned])),
    )


def _texts(column: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The texts of a column, in the order of their names."""
    return sorted([(name, text["S"]) for name, text in column.items()])
