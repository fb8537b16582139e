"""Groups of devices: those of the tenant's file and those made at run time, and who is in them.

A group is made for good: its parents stay, and its id is given to no other group. So a decision on
a device holds whatever happens to groups meanwhile. It is deleted when nothing is in it: it is
marked, looked at, and then deleted or unmarked, while whoever makes a group in it looks again at
what it lies in. Of the two that come at once at least one sees the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.cedar.entities import ROOT_GROUP, tenant_entity
from service.domain.group_records import (
    MAX_GROUPS,
    GroupPage,
    GroupRecord,
    GroupState,
    KnownGroup,
    above_of,
    check_description,
    check_new_group,
    tree_of,
)
from service.domain.groups import DeviceGroup, find_group
from service.domain.idempotency import IdempotencyKey
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.preconditions import ANY_STATE
from service.errors import (
    ConflictError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
)
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.groups import GroupRecords


@dataclass(frozen=True, kw_only=True)
class NewGroup:
    """A group that is to be made; without parents it lies in the root group alone."""

    id: str
    description: str = ""
    parents: tuple[str, ...] = ()
    key: str | None = None
    """The caller's, by which the same request may be repeated."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups of the caller's tenant."""

    records: GroupRecords
    devices: DeviceFacts
    clock: Clock

    async def make(self, access: Access, new: NewGroup) -> GroupRecord:
        """Make a group, in groups that are there.

        Asked of the group as it would be, and of each that it shall lie in: nobody hangs one into
        what they do not administer.

        Raises:
            InvalidRequestError: id, parents or description are not of their form.
            PermissionDeniedError: not allowed.
            ConflictError: there is a group of this id, or was; or there are too many.
            IdempotencyMismatchError: the key made the group by another request.
        """
        own = access.principal.tenant
        tenant = await knowing(self.records, own, new.parents)
        check_new_group(tenant, new.id, new.parents, new.description)
        purpose = Purpose(subject=", ".join(new.parents) or None)
        tree = {**tenant.groups, new.id: new.parents}
        for group in (new.id, *new.parents):
            entities = DeviceGroup(tenant=own.id, id=group).entities(tree)
            await access.require(Permission.MANAGE_GROUPS, entities, purpose)
        if new.id in own.groups:
            raise ConflictError(f"the tenant's file declares a group `{new.id}`")
        made_by_key = _key_of(access, new)
        if (repeated := await self._repeated(own, new.id, made_by_key)) is not None:
            return repeated
        if len(await self.records.following(own, after=None, limit=None)) >= MAX_GROUPS:
            raise ConflictError(
                f"the tenant has made {MAX_GROUPS} groups, deleted ones counted: there are no more"
            )
        now_ms = milliseconds(self.clock())
        made = {group: above for group, above in tenant.groups.items() if group not in own.groups}
        record = GroupRecord(
            tenant=own.id,
            id=new.id,
            description=new.description,
            parents=tuple(sorted(new.parents)),
            above=above_of(own, new.parents, made),
            created_by=access.principal.entity_id,
            created_at=now_ms,
            changed_at=now_ms,
            made_by_key=made_by_key,
        )
        stored = await self.records.put(own, record)
        if stored is None and made_by_key is not None:  # the same request, at the same moment
            stored = await self._repeated(own, new.id, made_by_key)
        if stored is None:
            raise ConflictError(
                f"there is a group `{new.id}` already, or was: an id is given to one group for good"
            )
        await self._check_parents(own, stored)
        return stored

    async def _repeated(
        self, tenant: Tenant, group: str, key: tuple[str, str] | None
    ) -> GroupRecord | None:
        """The group that this key made, if it did.

        Raises:
            IdempotencyMismatchError: it did by another request.
        """
        if key is None:
            return None
        for found in await self.records.named(tenant, [group]):
            if found.counts and found.made_by_key is not None and found.made_by_key[0] == key[0]:
                if found.made_by_key != key:
                    raise IdempotencyMismatchError
                return found
        return None

    async def _check_parents(self, tenant: Tenant, made: GroupRecord) -> None:
        """Take a new group back if one that it lies in is being deleted."""
        parents = [group for group in made.parents if group not in tenant.groups]
        found = await self.records.named(tenant, parents)
        if any(one.state is not GroupState.ACTIVE for one in found):
            await self.records.put(tenant, replace(made, state=GroupState.DELETED))
            raise ConflictError(
                f"a group that `{made.id}` would lie in is being deleted; the id is used up"
            )

    async def page(self, access: Access, *, limit: int, cursor: str | None) -> GroupPage:
        """One page of groups in the order of their ids, those of the tenant's file among them.

        Args:
            access: of the caller.
            limit: groups of one page.
            cursor: the id behind which the page begins.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        if cursor is not None and not wire.is_device_id(cursor):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        made = await self.records.following(tenant, after=cursor, limit=limit + 1)
        known = {
            group: KnownGroup(id=group, parents=tuple(sorted(parents)))
            for group, parents in tenant.groups.items()
            if cursor is None or group > cursor
        }
        for record in made:
            known.setdefault(record.id, _made(record))
        found = [known[group] for group in sorted(known)]
        shown = tuple(found[:limit])
        return GroupPage(groups=shown, cursor=shown[-1].id if len(found) > limit else None)

    async def read(self, access: Access, group: str) -> KnownGroup:
        """One group.

        Raises:
            NotFoundError: the tenant has no such group.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        if group in tenant.groups:
            return KnownGroup(id=group, parents=tuple(sorted(tenant.groups[group])))
        return _made(await self._found(tenant, group))

    async def check(self, access: Access, group: str) -> None:
        """Refuse the name of a group that there is not; nothing else of it is told.

        Raises:
            NotFoundError: the tenant has no such group.
        """
        tenant = await knowing(self.records, access.principal.tenant, [group])
        if find_group(tenant, group) is None:
            raise NotFoundError("group", group)

    async def describe(
        self, access: Access, group: str, description: str, expected: Expected = ANY_STATE
    ) -> GroupRecord:
        """Say what a group is; its parents stay.

        Raises:
            InvalidRequestError: the description is not of its form.
            NotFoundError: the tenant has made no such group.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: its tenant's file declares it, or somebody changed it meanwhile.
        """
        check_description(description)
        record = await self._managed(access, group)
        expected.check(record.tag)
        return await self._put(access, replace(record, description=description), expected)

    async def delete(
        self, access: Access, group: str, expected: Expected = ANY_STATE
    ) -> GroupRecord:
        """Delete a group in which nothing is; its id is given to no other.

        A device that comes in at the same moment is left with a name that counts for nothing.

        Raises:
            NotFoundError: the tenant has made no such group.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: something is in it, its tenant's file declares it, or somebody changed it
                meanwhile.
        """
        tenant = access.principal.tenant
        record = await self._managed(access, group)
        expected.check(record.tag)
        marked = await self._put(access, replace(record, state=GroupState.CLOSING), expected)
        held = await self._held(tenant, group)
        state = GroupState.ACTIVE if held else GroupState.DELETED
        ended = await self._put(access, replace(marked, state=state))
        if held:
            raise ConflictError(f"`{group}` is not empty: {held}")
        return ended

    async def _held(self, tenant: Tenant, group: str) -> str | None:
        """What is in a group, in words."""
        every = await self.records.following(tenant, after=None, limit=None)
        inside = sorted(one.id for one in every if one.counts and group in one.parents)
        if inside:
            return f"the group `{inside[0]}` lies in it"
        known = await knowing(self.records, tenant, [group])
        one = DeviceGroup(tenant=known.id, id=group)
        members = await self.devices.members(known, one, limit=0)
        return f"the device `{members[0].id}` is in it" if members else None

    async def _managed(self, access: Access, group: str) -> GroupRecord:
        """A group made at run time that the caller may change.

        Raises:
            NotFoundError: the tenant has made no such group.
            PermissionDeniedError: not allowed.
            ConflictError: the tenant's file declares it.
        """
        own = access.principal.tenant
        found = [one for one in await self.records.named(own, [group]) if one.counts]
        tree = {**tree_of(own, found), **own.groups}
        known = find_group(replace(own, groups=tree), group)
        if known is None:
            raise NotFoundError("group", group)
        await access.require(Permission.MANAGE_GROUPS, known.entities(tree))
        if group in own.groups or group == ROOT_GROUP:
            raise ConflictError(f"`{group}` is of the tenant's file, which its stack changes")
        return found[0]

    async def _found(self, tenant: Tenant, group: str) -> GroupRecord:
        for record in await self.records.named(tenant, [group]):
            if record.counts:
                return record
        raise NotFoundError("group", group)

    async def _put(
        self, access: Access, record: GroupRecord, expected: Expected = ANY_STATE
    ) -> GroupRecord:
        tenant = access.principal.tenant
        changed = replace(record, changed_at=milliseconds(self.clock()))
        if (stored := await self.records.put(tenant, changed)) is not None:
            return stored
        if expected != ANY_STATE:
            raise PreconditionFailedError((await self._found(tenant, record.id)).tag)
        raise ConflictError(f"group `{record.id}` was changed meanwhile; read it and try again")


def _key_of(access: Access, new: NewGroup) -> tuple[str, str] | None:
    if new.key is None:
        return None
    key = IdempotencyKey.of(
        tenant=access.principal.tenant.id,
        principal=access.principal.entity_id,
        key=f"group {new.key}",
        request=json.dumps([new.id, new.description, sorted(new.parents)]),
    )
    return key.digest, key.request_digest


def _made(record: GroupRecord) -> KnownGroup:
    return KnownGroup(id=record.id, parents=record.parents, record=record)
