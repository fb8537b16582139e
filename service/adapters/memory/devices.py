"""Twins of the devices table and of the broker's connections."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.adapters.memory.groups import MemoryGroups
from service.domain.device_filter import EVERY_DEVICE, cut
from service.domain.device_rows import DeviceRows, Facts, Presence
from service.domain.devices import DevicePage, changed_meanwhile
from service.domain.group_records import tree_of
from service.errors import ConflictError, InvalidRequestError
from service.ports.devices import all_of_them

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from service.cedar.entities import GroupParents
    from service.domain.device_filter import DeviceFilter
    from service.domain.devices import Connectivity, Device, ReportedVersions
    from service.domain.groups import DeviceGroup
    from service.domain.tenants import Tenant
    from service.ports.devices import Viewed


@dataclass(kw_only=True)
class MemoryDevices:
    """Rows by tenant and device id, as the service and events would have written them.

    Attributes:
        groups: those that were made at run time.
    """

    rows: dict[tuple[str, str], DeviceRows] = field(
        default_factory=dict[tuple[str, str], DeviceRows]
    )
    groups: MemoryGroups = field(default_factory=MemoryGroups)

    def add(self, device: Device) -> None:
        """Put a device with its facts into the fleet, or facts of other content under its name."""
        origin = device.origin or f"thing-of-{device.thing}"
        self.rows[device.tenant, device.id] = DeviceRows(
            facts=Facts(
                attributes=device.attributes,
                groups=device.groups,
                tags=device.tags,
                pinned=device.pinned,
                version=device.version or 1,
                origin=origin,
                created_at=0,
                changed_at=0,
                changed_by="test",
            ),
            born={origin: 0},
        )
        if (seen := device.connectivity) is not None:
            told = Presence(at=seen.since_ms or 0, version=1, reason=seen.disconnect_reason)
            self.presence(device.tenant, device.id, connected=seen.connected, seen=told)

    def known(self, tenant: str, device_id: str) -> Device | None:
        """A device as it is now."""
        return self.rows.get((tenant, device_id), DeviceRows()).device(tenant, device_id)

    def birth(self, tenant: str, device_id: str, thing_id: str, *, at: int) -> None:
        """A thing of this name is made."""
        rows = self.rows.get((tenant, device_id), DeviceRows())
        self.rows[tenant, device_id] = rows._replace(born={**rows.born, thing_id: at})

    def death(self, tenant: str, device_id: str, thing_id: str) -> None:
        """A thing of this name is deleted."""
        rows = self.rows.get((tenant, device_id), DeviceRows())
        self.rows[tenant, device_id] = rows._replace(gone=rows.gone | {thing_id})

    def presence(self, tenant: str, device_id: str, *, connected: bool, seen: Presence) -> None:
        """The client of this name comes or goes."""
        rows = self.rows.get((tenant, device_id), DeviceRows())
        self.rows[tenant, device_id] = (
            rows._replace(connected=seen) if connected else rows._replace(disconnected=seen)
        )

    def says(self, tenant: str, device_id: str, versions: ReportedVersions) -> None:
        """The client of this name says what runs on it."""
        rows = self.rows.get((tenant, device_id), DeviceRows())
        self.rows[tenant, device_id] = rows._replace(versions=versions)

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        found = self.known(tenant.id, device_id)
        return replace(found, connectivity=None, made=self._made(tenant)) if found else None

    async def page(
        self,
        tenant: Tenant,
        *,
        limit: int,
        cursor: str | None,
        wanted: DeviceFilter = EVERY_DEVICE,
        viewed: Viewed = all_of_them,
    ) -> DevicePage:
        if cursor is not None and (tenant.id, cursor) not in self.rows:
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")

        async def rest() -> AsyncIterator[tuple[str, Device | None]]:
            for named in self._named(tenant, after=cursor):
                yield named

        shown, after = await cut(rest(), wanted, tenant.groups, limit=limit, viewed=viewed)
        return DevicePage(devices=shown, cursor=after)

    async def members(
        self, tenant: Tenant, group: DeviceGroup, *, limit: int
    ) -> tuple[Device, ...]:
        members = [
            replace(device, connectivity=None)
            for _, device in self._named(tenant)
            if device is not None and device.is_served_in(group.id, tenant.groups)
        ]
        return tuple(members[: limit + 1])

    async def repair(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        rows = self.rows[tenant.id, device.id]
        if rows.unreadable is None:
            raise ConflictError(changed_meanwhile(device.id))
        self.rows[tenant.id, device.id] = rows._replace(unreadable=None)
        return await self.change(tenant, device, by=by, now_ms=now_ms)

    async def change(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
        rows = self.rows[tenant.id, device.id]
        if (rows.facts.version if rows.facts else 0) != device.version:
            raise ConflictError(changed_meanwhile(device.id))
        changed = replace(
            device, version=device.version + 1, created_at=device.created_at or now_ms
        )
        facts = Facts(
            attributes=changed.attributes,
            groups=changed.groups,
            tags=changed.tags,
            pinned=changed.pinned,
            version=changed.version,
            origin=changed.origin,
            created_at=changed.created_at or now_ms,
            changed_at=now_ms,
            changed_by=by,
        )
        self.rows[tenant.id, device.id] = rows._replace(facts=facts)
        return changed

    def _named(
        self, tenant: Tenant, *, after: str | None = None
    ) -> Iterator[tuple[str, Device | None]]:
        """Every name that something is written under, in order; without a device if it is gone."""
        made = self._made(tenant)
        for name in sorted(
            name
            for owner, name in self.rows
            if owner == tenant.id and (after is None or name > after)
        ):
            device = self.rows[tenant.id, name].device(tenant.id, name)
            yield name, device and replace(device, made=made)

    def _made(self, tenant: Tenant) -> GroupParents:
        return tree_of(
            tenant, (one for (owner, _), one in self.groups.rows.items() if owner == tenant.id)
        )


@dataclass(kw_only=True)
class MemoryConnections:
    """Connections as events told of them; ``lookups`` counts the questions.

    Attributes:
        ended: things whose connections were ended.
    """

    devices: MemoryDevices
    lookups: int = 0
    ended: list[str] = field(default_factory=list[str])

    async def find(self, tenant: Tenant, device: Device) -> Connectivity | None:
        self.lookups += 1
        found = self.devices.known(tenant.id, device.id)
        return found.connectivity if found else None

    async def end(self, tenant: Tenant, device: Device) -> None:
        self.ended.append(device.thing)
