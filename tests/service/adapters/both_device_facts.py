"""What is known of devices, told to the twin or to DynamoDB, and asked of either."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.domain.device_filter import EVERY_DEVICE, DeviceFilter
from service.domain.device_rows import Presence
from service.domain.groups import DeviceGroup

if TYPE_CHECKING:
    from service.adapters.aws.devices import DynamoDeviceFacts
    from service.adapters.memory.devices import MemoryDevices
    from service.domain.devices import Device
    from service.domain.tenants import Tenant


@dataclass
class Told:
    """DynamoDB's answer, with rows as the IoT rules write them."""

    facts: DynamoDeviceFacts
    client: Any
    at: int = field(default=1)

    def birth(self, tenant: str, device: str, thing_id: str, *, at: int) -> None:
        """As the rule of `created`."""
        row = {"thing_id": {"S": thing_id}, "at": {"N": str(at)}}
        self._put(tenant, f"{device}#born#{thing_id}", row)

    def death(self, tenant: str, device: str, thing_id: str) -> None:
        """As the rule of `deleted`."""
        self._put(tenant, f"{device}#gone#{thing_id}", {"thing_id": {"S": thing_id}})

    def deaths(self, tenant: str, devices: list[str], thing_id: str) -> None:
        """As the rule of `deleted`, for many, in few calls."""
        rows: list[Any] = [
            {
                "partition": {"S": f"{tenant}--devices"},
                "sk": {"S": f"{device}#gone#{thing_id}"},
                "thing_id": {"S": thing_id},
            }
            for device in devices
        ]
        for start in range(0, len(rows), 25):
            puts = [{"PutRequest": {"Item": row}} for row in rows[start : start + 25]]
            asked = {self.facts.settings.devices_table: puts}
            assert self.client.batch_write_item(RequestItems=asked)["UnprocessedItems"] == {}

    def presence(self, tenant: str, device: str, *, connected: bool, seen: Presence) -> None:
        """As the rules of `connected` and `disconnected`."""
        row = {"at": {"N": str(seen.at)}, "version_number": {"N": str(seen.version)}}
        if not connected:
            row["reason"] = {"S": seen.reason or ""}
        self._put(tenant, f"{device}#{'connected' if connected else 'disconnected'}", row)

    def row(self, tenant: str, sk: str, row: dict[str, Any]) -> None:
        """As a hand writes one."""
        self._put(tenant, sk, row)

    def _put(self, tenant: str, sk: str, row: dict[str, Any]) -> None:
        key = {"partition": {"S": f"{tenant}--devices"}, "sk": {"S": sk}}
        self.client.put_item(TableName=self.facts.settings.devices_table, Item=key | row)


@dataclass
class Fleet:
    """One of both, and a tenant with groups in groups."""

    told: Told | MemoryDevices
    tenant: Tenant

    @property
    def facts(self) -> DynamoDeviceFacts | MemoryDevices:
        """The port's answer."""
        return self.told.facts if isinstance(self.told, Told) else self.told

    def find(self, device: str) -> Device | None:
        """One device."""
        return asyncio.run(self.facts.find(self.tenant, device))

    def found(self, device: str) -> Device:
        """One device that must be there."""
        found = self.find(device)
        assert found is not None
        return found

    def ids(self, limit: int = 50, wanted: DeviceFilter = EVERY_DEVICE) -> list[str]:
        """The ids of all devices, read page by page."""
        seen: list[str] = []
        cursor = None
        while True:
            page = asyncio.run(
                self.facts.page(self.tenant, limit=limit, cursor=cursor, wanted=wanted)
            )
            assert len(page.devices) <= limit
            seen += [device.id for device in page.devices]
            if (cursor := page.cursor) is None:
                return seen

    def shown(self, device: str) -> Device:
        """One device as a list shows it."""
        page = asyncio.run(self.facts.page(self.tenant, limit=50, cursor=None))
        return next(one for one in page.devices if one.id == device)

    def members(self, group: str, limit: int = 50) -> list[str]:
        """The ids of a group's members."""
        asked = DeviceGroup(tenant=self.tenant.id, id=group)
        return [one.id for one in asyncio.run(self.facts.members(self.tenant, asked, limit=limit))]

    def change(self, device: Device, *, now_ms: int = 7) -> Device:
        """Store a device's facts."""
        return asyncio.run(self.facts.change(self.tenant, device, by="somebody", now_ms=now_ms))

    def birth(self, device: str, thing_id: str, *, at: int = 1) -> None:
        """A thing is made."""
        self.told.birth(self.tenant.id, device, thing_id, at=at)

    def death(self, device: str, thing_id: str) -> None:
        """A thing is deleted."""
        self.told.death(self.tenant.id, device, thing_id)

    def deaths(self, devices: list[str], thing_id: str) -> None:
        """Many things are deleted."""
        if isinstance(self.told, Told):
            self.told.deaths(self.tenant.id, devices, thing_id)
        else:
            for device in devices:
                self.death(device, thing_id)

    def came(self, device: str, *, at: int, version: int) -> None:
        """Its client came."""
        seen = Presence(at=at, version=version)
        self.told.presence(self.tenant.id, device, connected=True, seen=seen)

    def went(self, device: str, *, at: int, version: int) -> None:
        """Its client went."""
        seen = Presence(at=at, version=version, reason="CONNECTION_LOST")
        self.told.presence(self.tenant.id, device, connected=False, seen=seen)
