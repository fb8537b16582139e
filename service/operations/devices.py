"""List and read the tenant's devices, and set the facts that policies decide by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.audit import AuditChange
from service.domain.device_filter import EVERY_DEVICE, check_filter
from service.domain.devices import check_attributes, check_one_offset, check_patch_date
from service.domain.groups import check_groups
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.possible_devices import possible_devices
from service.domain.preconditions import ANY_STATE
from service.domain.tags import check_count, check_tags
from service.domain.wanted_versions import check_package
from service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    UpstreamError,
)
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose
from service.operations.wish_messages import tell_of_moved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.device_filter import DeviceFilter
    from service.domain.devices import Device, DevicePage
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import Connections, DeviceFacts
    from service.ports.groups import GroupRecords
    from service.ports.work import WorkQueue


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices of the caller's tenant."""

    facts: DeviceFacts
    groups: GroupRecords
    connections: Connections
    queue: WorkQueue
    clock: Clock

    async def page(
        self,
        access: Access,
        *,
        limit: int,
        cursor: str | None,
        wanted: DeviceFilter = EVERY_DEVICE,
    ) -> DevicePage:
        """One page of the wanted devices with the last that was heard of their connections.

        A device is shown to who may view it; one on which no policy can decide, to who may list all
        devices. Whoever may not list them all still gets a list: of what they may view.

        Raises:
            PermissionDeniedError: a policy forbids to list.
            InvalidRequestError: no device can fit the filter, or the cursor is not one of ours.
        """
        tenant = await knowing(self.groups, access.principal.tenant, [wanted.group])
        check_filter(tenant, wanted)
        lists = await access.permitted(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))

        async def viewed(devices: Sequence[Device]) -> frozenset[str]:
            readable = [device for device in devices if device.problem is None]
            seen = await access.seen(Permission.VIEW_DEVICE, readable)
            # Fail closed: what nobody can decide on is shown to who may see everything, alone.
            odd = (device.id for device in devices if lists and device.problem is not None)
            return frozenset((*(device.id for device in seen), *odd))

        page = await self.facts.page(
            tenant, limit=limit, cursor=cursor, wanted=wanted, viewed=viewed
        )
        return replace(page, devices=tuple(_shown(tenant, device) for device in page.devices))

    async def read(self, access: Access, device_id: str) -> Device:
        """One device, and how it is connected now.

        One on which no policy can decide, since what is stored of it is not of its form, is shown
        to who may list all devices.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        device = await find_device(self.facts, tenant, device_id)
        await require_view(access, Permission.VIEW_DEVICE, device)
        return await self._connected(tenant, device)

    async def configure(
        self,
        access: Access,
        device_id: str,
        changes: Mapping[str, str | None],
        expected: Expected = ANY_STATE,
    ) -> Device:
        """Set attributes that policies decide by; ``None`` removes one.

        Asked twice, of the device as it is and as it would be: nobody moves a device over the
        border of what they administer. One with an attribute that cannot be read can be repaired:
        it is asked of as it would be alone, since nothing can be asked of it as it is. A row of
        facts of which nothing can be read is written anew, with these attributes alone and in no
        group, by who may configure every device that it may be.

        Raises:
            InvalidRequestError: no attribute is given, one is not of its form or not plausible, or
                a time zone would stand beside an offset.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: someone else changed the device meanwhile.
        """
        if not changes:
            raise InvalidRequestError("body", "give at least one attribute to set")
        tenant = access.principal.tenant
        check_attributes(tenant.lists, changes)
        check_patch_date(changes, today=self.clock().date())
        device = await find_served(self.facts, tenant, device_id)
        purpose = Purpose(
            subject=", ".join(sorted(changes)),
            change=AuditChange(
                before={name: device.attributes.get(name) for name in sorted(changes)},
                after=dict(changes),
            ),
        )
        action = Permission.CONFIGURE_DEVICE
        is_repair = device.unreadable is not None
        if is_repair:
            device = await readable(access, action, device, purpose)
        configured = device.with_attributes(changes)
        if device.problem is None:
            await access.require(action, device.entities(tenant.groups), purpose)
            check_one_offset(device.attributes, changes)
        # Fail closed: the new state is asked for in any case, and must be one that can be read.
        await access.require(action, configured.entities(tenant.groups), purpose)
        return await self._change(access, configured, expected, is_repair=is_repair)

    async def set_groups(
        self,
        access: Access,
        device_id: str,
        groups: Sequence[str],
        expected: Expected = ANY_STATE,
    ) -> Device:
        """Put a device into these groups, and take it out of all others.

        Asked twice, of the device as it is and as it would be: nobody moves a device out of, or
        into, what they may not administer.

        Raises:
            InvalidRequestError: the tenant has no such group, one is named twice, or they lie in
                too many.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: someone else changed the device meanwhile.
        """
        tenant = await knowing(self.groups, access.principal.tenant, groups)
        check_groups(tenant, groups)
        device = await find_served(self.facts, tenant, device_id)
        moved = device.with_groups(groups)
        change = AuditChange(before=[*device.groups], after=[*moved.groups])
        purpose = Purpose(subject=", ".join(moved.groups), change=change)
        for state in (device, moved):
            await access.require(
                Permission.SET_DEVICE_GROUPS, state.entities(tenant.groups), purpose
            )
        changed = await self._change(access, moved, expected)
        await tell_of_moved(self.queue, tenant, [device_id])
        return replace(changed, groups=moved.groups)

    async def set_tags(
        self,
        access: Access,
        device_id: str,
        changes: Mapping[str, str | None],
        expected: Expected = ANY_STATE,
    ) -> Device:
        """Set tags of the tenant's own; ``None`` removes one, what is not named stays.

        Asked twice, of the device as it is and as it would be; policies see which tags change.

        Raises:
            InvalidRequestError: no tag is given, one is not of its form or not in the tenant's
                file, or there would be too many.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: someone else changed the device meanwhile.
        """
        tenant = access.principal.tenant
        check_tags(tenant.lists, changes)
        device = await find_served(self.facts, tenant, device_id)
        tagged = device.with_tags(changes)
        check_count(tagged.tags)
        words = (name if text is not None else f"{name} removed" for name, text in changes.items())
        purpose = Purpose(
            subject=", ".join(sorted(words)),
            changed_tags=tuple(sorted(changes)),
            change=AuditChange(
                before={name: device.tags.get(name) for name in sorted(changes)},
                after=dict(changes),
            ),
        )
        # Tags that cannot be read are repaired as attributes are: asked of as they would be alone.
        states = (tagged,) if device.problem is not None else (device, tagged)
        for state in states:
            await access.require(Permission.SET_DEVICE_TAGS, state.entities(tenant.groups), purpose)
        return await self._change(access, tagged, expected)

    async def pin(
        self,
        access: Access,
        device_id: str,
        packages: Sequence[str],
        expected: Expected = ANY_STATE,
    ) -> Device:
        """Have a device brought to no wanted version of these packages, and of all others again.

        Raises:
            InvalidRequestError: a package is not of its form, or is named twice.
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: someone else changed the device meanwhile.
        """
        tenant = access.principal.tenant
        for package in packages:
            check_package(package, "packages")
        if len(set(packages)) < len(packages):
            raise InvalidRequestError("packages", "a package stands twice")
        device = await find_served(self.facts, tenant, device_id)
        pinned = replace(device, pinned=tuple(sorted(packages)))
        change = AuditChange(before=[*device.pinned], after=[*pinned.pinned])
        purpose = Purpose(subject=", ".join(pinned.pinned), change=change)
        await access.require(Permission.PIN_DEVICE, device.entities(tenant.groups), purpose)
        return await self._change(access, pinned, expected)

    async def _change(
        self, access: Access, device: Device, expected: Expected, *, is_repair: bool = False
    ) -> Device:
        tenant = access.principal.tenant
        # Behind the decision: who may not change it is not told whether it was changed.
        expected.check(device.tag)
        write = self.facts.repair if is_repair else self.facts.change
        try:
            changed = await write(
                tenant, device, by=access.principal.entity_id, now_ms=milliseconds(self.clock())
            )
        except ConflictError as error:
            if expected == ANY_STATE:
                raise
            now = await find_device(self.facts, tenant, device.id)
            raise PreconditionFailedError(now.tag) from error
        return await self._connected(tenant, changed)

    async def _connected(self, tenant: Tenant, device: Device) -> Device:
        """The device as it is shown; without a connection while the broker does not answer."""
        connectivity = None
        try:
            connectivity = await self.connections.find(tenant, device)
        except UpstreamError:
            # What was read or changed is true without it.
            log.warning("devices.connection_unknown", device=device.id)
        return replace(_shown(tenant, device), connectivity=connectivity)


def _shown(tenant: Tenant, device: Device) -> Device:
    """The device without groups that the tenant has no more."""
    known = device.known_groups(tenant.groups)
    return device if known == device.groups else replace(device, groups=known)


async def require_view(access: Access, action: Permission, device: Device) -> None:
    """Go on only if the caller may see this of a device.

    Of one on which no policy can decide whoever may list all devices sees it: there it stands too.

    Raises:
        PermissionDeniedError: not allowed.
    """
    tenant = access.principal.tenant
    # Fail closed: whoever may see some devices may not see one of which nobody knows which.
    if device.problem is not None:
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
    else:
        await access.require(action, device.entities(tenant.groups))


async def readable(access: Access, action: Permission, device: Device, purpose: Purpose) -> Device:
    """The device with what can be read of it alone, for who is allowed this on all it may be.

    For anybody else it stays as it is, and nothing can be asked of it. The action itself is still
    to be asked for.
    """
    tenant = access.principal.tenant
    possible = possible_devices(device, tenant) or ()
    # Under names of their own: what is asked together must not contradict itself.
    each = [
        replace(one, id=f"{number}-{one.id}").entities(tenant.groups)
        for number, one in enumerate(possible)
    ]
    # Fail closed: of no device to ask about nothing is allowed.
    if not possible or not await access.allows_each(action, each, purpose):
        return device
    log.warning("devices.unreadable", device=device.id, action=action, possible=len(each))
    return possible[0]


async def find_served(facts: DeviceFacts, tenant: Tenant, device_id: str) -> Device:
    """A device with which something is to be done.

    Raises:
        NotFoundError: the tenant has no such device.
        ConflictError: it was retired.
    """
    device = await find_device(facts, tenant, device_id)
    # Fail closed: what was retired is looked at, and nothing else.
    if device.retired_at is not None:
        raise ConflictError(f"device `{device_id}` was retired, for good")
    return device


async def find_device(facts: DeviceFacts, tenant: Tenant, device_id: str) -> Device:
    """The device, looked up inside the tenant only: another tenant's is as unknown as none.

    Raises:
        NotFoundError: the tenant has no such device.
    """
    device = await find_device_or_none(facts, tenant, device_id)
    if device is None:
        raise NotFoundError("device", device_id)
    return device


async def find_device_or_none(facts: DeviceFacts, tenant: Tenant, device_id: str) -> Device | None:
    """The device, looked up inside the tenant only, or ``None`` if it has no such device."""
    return await facts.find(tenant, device_id) if wire.is_device_id(device_id) else None
