"""List the downloads of the caller's tenant, with how far each came."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from service.at_once import each
from service.domain.devices import Device
from service.domain.downloads import (
    Closing,
    DeliveryState,
    DownloadFilter,
    DownloadProgress,
    DownloadRecord,
    TargetKind,
    counted,
    whole_state,
)
from service.domain.groups import DeviceGroup, check_group, find_group
from service.domain.permissions import Permission
from service.errors import InvalidRequestError, NotFoundError
from service.operations.devices import find_device
from service.operations.known_groups import knowing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.downloads import Delivery
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries, DownloadRecords
    from service.ports.groups import GroupRecords

_STATES: Final = frozenset(map(str, DeliveryState))


@dataclass(frozen=True, kw_only=True)
class DownloadView:
    """A download and what was told of its devices."""

    record: DownloadRecord
    progress: DownloadProgress


@dataclass(frozen=True, kw_only=True)
class DownloadLists:
    """The downloads of the caller's tenant, page by page."""

    devices: DeviceFacts
    records: DownloadRecords
    deliveries: Deliveries
    groups: GroupRecords

    async def page(
        self,
        access: Access,
        *,
        wanted: DownloadFilter,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[DownloadView, ...], str | None]:
        """One page of the downloads that the caller may view, the newest first, and its cursor.

        A page may have less than ``limit``, or none, and a cursor all the same.

        Raises:
            InvalidRequestError: no download can fit the filter, or the cursor is not one of ours.
        """
        if state is not None and state not in _STATES:
            raise InvalidRequestError(
                "state", f"`{state[:64]}` is no state; there are: {', '.join(sorted(_STATES))}"
            )
        tenant = access.principal.tenant
        if wanted.group is not None:
            known = await knowing(self.groups, tenant, [wanted.group])
            check_group(known, wanted.group, field="group")
        page = await self.records.page(tenant, limit=limit, cursor=cursor, wanted=wanted)
        tenant = await knowing_targets(self.groups, tenant, page.records)
        targets = await self._decidable(
            tenant, {(record.target_kind, record.target) for record in page.records}
        )
        entities = [target.entities(tenant.groups) for target in targets.values()]
        allowed = await access.shown(Permission.VIEW_DOWNLOAD, entities)
        viewable = {key for key, shown in zip(targets, allowed, strict=True) if shown}
        records = [one for one in page.records if (one.target_kind, one.target) in viewable]
        views = await each(partial(view_of, self.deliveries, tenant), records)
        return tuple(one for one in views if state in (None, one.progress.state)), page.cursor

    async def of_device(
        self, access: Access, device_id: str, *, limit: int, cursor: str | None
    ) -> tuple[tuple[tuple[DownloadRecord, Delivery], ...], str | None]:
        """Downloads to one device, those to a group of which it was one too, the newest first.

        A page may have less than ``limit``, or none, and a cursor all the same: at most ``limit``
        downloads are looked into.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            InvalidRequestError: the cursor is not one of ours.
        """
        tenant = access.principal.tenant
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.VIEW_DOWNLOAD, device.entities(tenant.groups))
        wanted = DownloadFilter(reaching=device_id)
        page = await self.records.page(tenant, limit=limit, cursor=cursor, wanted=wanted)

        async def part(record: DownloadRecord) -> Delivery | None:
            return await self.deliveries.of_device(tenant, record, device_id)

        parts = await each(part, page.records)
        pairs = zip(page.records, parts, strict=True)
        return tuple((record, one) for record, one in pairs if one is not None), page.cursor

    async def _decidable(
        self, tenant: Tenant, keys: set[tuple[TargetKind, str]]
    ) -> dict[tuple[TargetKind, str], Device | DeviceGroup]:
        """Those that there are, and on which policies can decide."""

        async def find(key: tuple[TargetKind, str]) -> Device | DeviceGroup | None:
            try:
                target = await find_target(self.devices, tenant, *key)
            except NotFoundError:
                return None
            # Fail closed: of a device that cannot be read nobody knows who may see it.
            return None if isinstance(target, Device) and target.problem else target

        asked = sorted(keys)
        found = await each(find, asked)
        return {key: one for key, one in zip(asked, found, strict=True) if one is not None}


async def knowing_targets(
    groups: GroupRecords, tenant: Tenant, records: Iterable[DownloadRecord]
) -> Tenant:
    """The tenant with the groups that these downloads are for."""
    named = {one.target for one in records if one.target_kind is not TargetKind.DEVICE}
    return await knowing(groups, tenant, named)


async def find_target(
    devices: DeviceFacts, tenant: Tenant, kind: TargetKind, target: str
) -> Device | DeviceGroup:
    """The device or group that a download is for; of a selection the group that it was selected in.

    Raises:
        NotFoundError: the tenant has none.
    """
    if kind is TargetKind.DEVICE:
        return await find_device(devices, tenant, target)
    group = find_group(tenant, target)
    if group is None:
        raise NotFoundError("group", target)
    return group


async def view_of(deliveries: Deliveries, tenant: Tenant, record: DownloadRecord) -> DownloadView:
    """A download without its devices: as it is, or as the worker last saw its several jobs."""
    if record.jobs == 1 and record.closing is not Closing.ENDED:
        progress = await deliveries.progress(tenant, record, limit=1, cursor=None)
    else:
        counts = counted(record, record.counts) if record.jobs else {}
        progress = DownloadProgress(state=whole_state(record, counts), counts=counts)
    return DownloadView(record=record, progress=progress)
