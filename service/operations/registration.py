"""Registers devices before they come: each gets a name, its first facts, and a one-time code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.devices import (
    Device,
    check_attributes,
    check_one_offset,
    check_patch_date,
)
from service.domain.enrolments import Enrolment, code_digest, new_code
from service.domain.groups import DeviceGroup, check_groups
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.domain.tags import check_count, check_tags
from service.errors import ConflictError, InvalidRequestError
from service.operations.devices import find_served
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.entities import Entity
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.enrolments import Enrolments
    from service.ports.groups import GroupRecords
    from service.settings import EnrolmentSettings


@dataclass(frozen=True, kw_only=True)
class NewDevice:
    """A device that is to be registered, and its first facts."""

    id: str
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A device with the code that is shown this once.

    Attributes:
        expires_at: of the code, in milliseconds since the epoch.
    """

    device: Device
    code: str
    expires_at: int


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Registers devices of the caller's tenant."""

    devices: DeviceFacts
    groups: GroupRecords
    enrolments: Enrolments
    clock: Clock
    settings: EnrolmentSettings

    async def register(self, access: Access, new: NewDevice) -> Registered:
        """Register a device.

        Asked of each group that it goes into, or of the tenant if it goes into none; policies see
        which tags it gets.

        Raises:
            InvalidRequestError: id, groups, attributes or tags are not of their form.
            PermissionDeniedError: not allowed.
            ConflictError: the tenant has a device of this name.
        """
        tenant = await knowing(self.groups, access.principal.tenant, new.groups)
        self.check(tenant, new)
        await self.require(access, tenant, (new.groups, tuple(new.tags)), subject=new.id)
        return await self.store(access, new)

    async def require(
        self,
        access: Access,
        tenant: Tenant,
        asked: tuple[tuple[str, ...], tuple[str, ...]],
        *,
        subject: str,
    ) -> None:
        """Ask whether the caller may register a device.

        Args:
            access: of the caller.
            tenant: the caller's, with the groups that are named.
            asked: the groups that it goes into, and the names of its tags.
            subject: for the trail.

        Raises:
            PermissionDeniedError: not allowed.
        """
        groups, tags = asked
        purpose = Purpose(subject=subject, changed_tags=tuple(sorted(tags)) or None)
        for entities in _asked_of(tenant, groups):
            await access.require(Permission.REGISTER_DEVICE, entities, purpose)

    async def store(self, access: Access, new: NewDevice) -> Registered:
        """Store a device that was checked and allowed.

        Raises:
            ConflictError: the tenant has a device of this name.
        """
        tenant, taken = access.principal.tenant, f"there is a device `{new.id}` already"
        # Looked for before anything is written, since a code is written before its device.
        if (found := await self.devices.find(tenant, new.id)) is not None:
            retired = " (retired: its name is not given again while its thing is there)"
            raise ConflictError(taken + (retired if found.retired_at else ""))
        code, now_ms = new_code(), milliseconds(self.clock())
        enrolment = self._coded(
            Enrolment(
                tenant=tenant.id,
                device=new.id,
                registration=new_ulid(now_ms),
                code_digest="",
                expires_at=0,
            ),
            code,
            now_ms,
        )
        device = Device(
            tenant=tenant.id,
            id=new.id,
            groups=tuple(sorted(new.groups)),
            attributes=dict(sorted(new.attributes.items())),
            tags=dict(sorted(new.tags.items())),
            enrolled=False,
        )
        stored = await self.enrolments.register(
            tenant, device, enrolment, by=access.principal.entity_id, now_ms=now_ms
        )
        if not stored:
            raise ConflictError(taken)
        return Registered(device=device, code=code, expires_at=enrolment.expires_at)

    def check(self, tenant: Tenant, new: NewDevice) -> None:
        """Refuse a device that could not be decided on.

        Raises:
            InvalidRequestError: names the member, and what would be right.
        """
        if not wire.is_device_id(new.id):
            raise InvalidRequestError(
                "id",
                "must be a letter or digit and up to 63 letters, digits, `_` and `-`",
            )
        check_groups(tenant, new.groups)
        check_attributes(tenant.lists, new.attributes)
        check_patch_date(new.attributes, today=self.clock().date())
        check_one_offset({}, new.attributes)
        if new.tags:
            check_tags(tenant.lists, new.tags)
            check_count(new.tags)

    async def renew_code(self, access: Access, device_id: str) -> Registered:
        """A new code for a registered device that has no certificate yet; the former ends.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            ConflictError: it has a certificate, or was never registered.
        """
        tenant = access.principal.tenant
        device = await find_served(self.devices, tenant, device_id)
        known = await knowing(self.groups, tenant, device.known_groups(tenant.groups))
        groups = device.known_groups(known.groups)
        await self.require(access, known, (groups, ()), subject=f"code of {device_id}")
        return await self.store_code(tenant, device)

    async def store_code(self, tenant: Tenant, device: Device) -> Registered:
        """A new code for a device of which the caller was allowed to register such.

        Raises:
            ConflictError: it has a certificate, or was never registered.
        """
        found = await self.enrolments.find(tenant, device.id)
        # Fail closed: a code must not let a second key in as a device that is there.
        if found is None or found.certificate_id:
            raise ConflictError(
                f"device `{device.id}` is enrolled: to set it up anew, revoke it and delete its"
                " thing (`devices revoke`, then IoT Core), and register it again"
            )
        code = new_code()
        changed = self._coded(replace(found, tries=0, key=""), code, milliseconds(self.clock()))
        if await self.enrolments.change(tenant, changed) is None:
            raise ConflictError(f"device `{device.id}` is enrolling at this moment; look again")
        return Registered(device=device, code=code, expires_at=changed.expires_at)

    def _coded(self, enrolment: Enrolment, code: str, now_ms: int) -> Enrolment:
        return replace(
            enrolment,
            code_digest=code_digest(enrolment.tenant, enrolment.device, code),
            expires_at=now_ms + self.settings.code_ms,
        )


def _asked_of(tenant: Tenant, groups: tuple[str, ...]) -> tuple[tuple[Entity, ...], ...]:
    if not groups:
        return ((tenant_entity(tenant.id),),)
    return tuple(
        DeviceGroup(tenant=tenant.id, id=group).entities(tenant.groups) for group in sorted(groups)
    )
