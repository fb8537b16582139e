"""Grants for a time: given, listed, revoked, and cleaned up once they have ended by themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.devices import Device
from service.domain.grants import (
    MOST_TOGETHER,
    OVER,
    Grant,
    GrantState,
    NewGrant,
    check_grant,
    check_until,
    policy_of,
)
from service.domain.groups import DeviceGroup, find_group
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import OF_DEVICES, Permission
from service.domain.preconditions import ANY_STATE
from service.errors import ConflictError, NotFoundError
from service.operations.devices import find_device, find_device_or_none
from service.operations.known_groups import knowing
from service.operations.once import Once
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.cedar.entities import Entity
    from service.domain.grants import GrantPage
    from service.domain.instants import Clock
    from service.domain.people import Person
    from service.domain.preconditions import Expected
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.granting import Granting
    from service.operations.people import TenantPeople
    from service.operations.revocations import Revocations
    from service.ports.devices import DeviceFacts
    from service.ports.grants import GrantRecords
    from service.ports.groups import GroupRecords

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_ANY_DEVICE: Final = "*"  # a name that no device has
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Grants of the caller's tenant.

    Who may give what to whom is a policy. What the caller holds of it the service finds out by
    itself, as of now and of the grant's end, and the base lets nobody but managers give more.
    """

    records: GrantRecords
    granting: Granting
    people: TenantPeople
    devices: DeviceFacts
    groups: GroupRecords
    revocations: Revocations
    clock: Clock

    async def give(self, access: Access, new: NewGrant) -> Grant:
        """Give a person what a template says, on a device or group, until a moment.

        Raises:
            InvalidRequestError: no such template, or the end is not to come, or too far.
            NotFoundError: the tenant has no such person, device or group.
            PermissionDeniedError: not allowed there, to this person or for so long.
            ConflictError: the tenant has too many grants, or the store no room.
            IdempotencyMismatchError: the idempotency key stands for another request.
        """
        principal, now = access.principal, self.clock()
        check_grant(new, principal.tenant)
        tenant = await knowing(self.groups, principal.tenant, [new.group])
        entities, member = await self._where(tenant, new)
        check_until(new, now=now)
        person = await self.people.known(tenant, new.person)
        await access.require(
            Permission.GIVE_GRANT,
            entities,
            Purpose(
                template=new.template,
                holds_all=await _holds(access, tenant, new, member, now),
                to_self=person is not None and person.subject == principal.subject,
                subject=f"{new.template} until {new.until:%Y-%m-%dT%H:%M:%S%z}: {new.reason}",
            ),
        )
        # Said only now: who may give nothing learns nothing of who there is.
        if person is None:
            raise NotFoundError("person", new.person)
        if len((await self.revocations.word(tenant)).granted) >= MOST_TOGETHER:
            raise ConflictError(f"a tenant has {MOST_TOGETHER} grants at most: revoke some")
        grant = await self._recorded(access, new, person, now=now)
        return (
            grant
            if grant.state is not GrantState.PENDING
            else await self.granting.stand(principal.tenant, grant)
        )

    async def read(self, access: Access, grant_id: str) -> Grant:
        """One grant, as it stands now.

        Raises:
            NotFoundError: the tenant has no such grant.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await access.require(
            Permission.VIEW_GRANTS, (tenant_entity(tenant.id),), Purpose(subject=grant_id[:64])
        )
        return (await self._find(tenant, grant_id)).at(milliseconds(self.clock()))

    async def page(self, access: Access, *, limit: int, cursor: str | None) -> GrantPage:
        """Grants, the newest first, those that are over too.

        Raises:
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await access.require(Permission.VIEW_GRANTS, (tenant_entity(tenant.id),))
        page = await self.records.page(tenant, limit=limit, cursor=cursor)
        now = milliseconds(self.clock())
        return replace(page, grants=tuple(grant.at(now) for grant in page.grants))

    async def revoke(self, access: Access, grant_id: str, expected: Expected = ANY_STATE) -> Grant:
        """End a grant at once; one that is over stays as it is.

        Raises:
            NotFoundError: the tenant has no such grant.
            PermissionDeniedError: not allowed where the grant is.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: somebody else changed it meanwhile, or a later release wrote it.
        """
        own = access.principal.tenant
        grant = await self._find(own, grant_id)
        entities = await self._where_given(own, grant)
        purpose = Purpose(template=grant.template, subject=f"{grant.template}: {grant_id}")
        await access.require(Permission.REVOKE_GRANT, entities, purpose)
        expected.check(grant.tag)
        now = milliseconds(self.clock())
        if grant.at(now).state in OVER:
            return grant.at(now)
        if grant.state is GrantState.UNKNOWN:
            raise ConflictError(f"grant `{grant_id}` is of a later release of the service")
        return await self.granting.revoke(own, grant, by=access.principal.entity_id)

    async def _recorded(
        self, access: Access, new: NewGrant, person: Person, *, now: datetime
    ) -> Grant:
        tenant, at = access.principal.tenant, milliseconds(now)
        grant_id = new_ulid(at)
        record = Grant(
            grant_id=grant_id,
            tenant=tenant.id,
            template=new.template,
            person=person.id,
            subject=person.subject,
            email=person.email,
            device=new.device,
            group=new.group,
            until=milliseconds(new.until.replace(microsecond=0)),
            reason=new.reason,
            statement=policy_of(grant_id, new, tenant, subject=person.subject),
            given_by=access.principal.entity_id,
            given_at=at,
        )
        # Before the record: whatever comes of it, somebody will look.
        await self.granting.look_later(tenant, grant_id)
        once: Once[Grant] = Once(
            noun="grant", unsettled="grant.settle_failed", records=self.records, clock=self.clock
        )
        asked = (new.template, new.person, new.device, new.group, record.until, new.reason)
        return await once.create(access.principal, record, key=new.idempotency_key, request=asked)

    async def _find(self, tenant: Tenant, grant_id: str) -> Grant:
        known = wire.is_command_id(grant_id)
        grant = await self.records.read(tenant, grant_id) if known else None
        if grant is None:
            raise NotFoundError("grant", grant_id[:64])
        return grant

    async def _where(
        self, tenant: Tenant, new: NewGrant
    ) -> tuple[tuple[Entity, ...], tuple[Entity, ...]]:
        """What is asked of, and a device that the grant would reach."""
        if new.device is not None:
            entities = (await find_device(self.devices, tenant, new.device)).entities(tenant.groups)
            return entities, entities
        group = find_group(tenant, new.group or "")
        if group is None:
            raise NotFoundError("group", (new.group or "")[:64])
        groups = () if group.is_root else (group.id,)
        member = Device(tenant=tenant.id, id=_ANY_DEVICE, groups=groups)
        return group.entities(tenant.groups), member.entities(tenant.groups)

    async def _where_given(self, own: Tenant, grant: Grant) -> tuple[Entity, ...]:
        """What a grant is on; what there is no more, as one that lies in no group."""
        tenant = await knowing(self.groups, own, [grant.group])
        if grant.device is not None:
            device = await find_device_or_none(self.devices, tenant, grant.device)
            return (device or Device(tenant=own.id, id=grant.device)).entities(tenant.groups)
        group = DeviceGroup(tenant=own.id, id=grant.group or "")
        return group.entities({group.id: (), **tenant.groups})


async def _holds(
    access: Access, tenant: Tenant, new: NewGrant, member: tuple[Entity, ...], now: datetime
) -> bool:
    """Whether the caller may do by themselves all that the template gives, now and to its end."""
    try:
        given = {Permission(action) for action in tenant.templates[new.template].actions}
    except ValueError:
        return False  # fail closed: an action of a later release
    last = max(now, new.until.astimezone(UTC) - _SECOND)
    return await access.holds(sorted(given & OF_DEVICES), member, (now, last))
