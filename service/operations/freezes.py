"""Freezes groups and thaws them: a forbid in the tenant's store, for managers and by the API.

As a grant's policy (``granting``) it is told before it is done: its fingerprint is written down
before the store has it, and taken away before the store loses it, so no copy of the policies
decides that does not agree (docs/adr/0025). Each step is written in the group's row first, so the
same request goes on with one that was cut off, and whoever thaws meanwhile wins. Until then the
forbid stands, or the store is asked for reads too: nothing is let through by a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.cedar.entities import tenant_entity
from service.domain.freezes import MAX_REASON, Freeze, FreezeState
from service.domain.groups import find_group
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.revocations import Revocations
    from service.ports.freezes import FreezePolicies, FreezeRecords
    from service.ports.grants import GrantedPolicies
    from service.ports.groups import GroupRecords


@dataclass(frozen=True, kw_only=True)
class Freezes:
    """The freezes of the caller's tenant."""

    groups: GroupRecords
    records: FreezeRecords
    policies: FreezePolicies
    told: GrantedPolicies
    revocations: Revocations
    clock: Clock

    async def freeze(self, access: Access, group: str, *, reason: str) -> Freeze:
        """Forbid all changes to the devices of a group and of those below it; may be repeated.

        One that stands stays as it is, with its reason.

        Raises:
            InvalidRequestError: the reason is not of its form.
            NotFoundError: the tenant has no such group.
            PermissionDeniedError: not allowed.
            ConflictError: the store does not take it, or somebody thawed it meanwhile.
        """
        if not 1 <= len(reason) <= MAX_REASON:
            raise InvalidRequestError("reason", f"must be 1 to {MAX_REASON} characters")
        tenant = await self._allowed(access, group, Purpose(subject=reason, reason=reason))
        found = await self.records.read(tenant, group)
        if found is not None and found.state is FreezeState.THAWING:
            found = await self._end(tenant, found)
        if found is not None and found.state is FreezeState.FROZEN:
            return found
        if found is None or found.state is not FreezeState.FREEZING:
            now = milliseconds(self.clock())
            found = await self._put(
                tenant,
                Freeze(
                    tenant=tenant.id,
                    group=group,
                    freeze_id=new_ulid(now),
                    state=FreezeState.FREEZING,
                    by=access.principal.entity_id,
                    at=now,
                    reason=reason,
                    version=found.version if found else 0,
                ),
            )
        return await self._stand(tenant, found)

    async def thaw(self, access: Access, group: str) -> Freeze:
        """Take the freeze of a group away; what it was.

        Raises:
            NotFoundError: the tenant has no such group, or it is not frozen.
            PermissionDeniedError: not allowed.
            ConflictError: somebody changed it meanwhile.
        """
        tenant = await self._allowed(access, group, Purpose())
        found = await self._standing(tenant, group)
        if found.state is not FreezeState.THAWING:
            found = await self._put(
                tenant,
                replace(
                    found,
                    state=FreezeState.THAWING,
                    over_by=access.principal.entity_id,
                    over_at=milliseconds(self.clock()),
                ),
            )
        return await self._end(tenant, found)

    async def read(self, access: Access, group: str) -> Freeze:
        """The freeze of a group.

        Raises:
            NotFoundError: the tenant has no such group, or it is not frozen.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        return await self._standing(tenant, group)

    async def _allowed(self, access: Access, group: str, purpose: Purpose) -> Tenant:
        own = access.principal.tenant
        known = await knowing(self.groups, own, [group])
        found = find_group(known, group)
        if found is None:
            raise NotFoundError("group", group)
        await access.require(Permission.FREEZE_GROUP, found.entities(known.groups), purpose)
        return own

    async def _standing(self, tenant: Tenant, group: str) -> Freeze:
        found = await self.records.read(tenant, group)
        if found is None or found.state is FreezeState.THAWED:
            raise NotFoundError("freeze", group)
        return found

    async def _stand(self, tenant: Tenant, freeze: Freeze) -> Freeze:
        """Have the store hold the policy of a freeze that has begun."""
        await self.told.tell(tenant, freeze.mark)
        self.revocations.forget(tenant)
        try:
            policy_id = await self.policies.put(tenant, freeze)
        except ConflictError:
            await self._end(tenant, freeze)
            raise
        standing = replace(freeze, state=FreezeState.FROZEN, policy_id=policy_id)
        if (stored := await self.records.put(tenant, standing)) is not None:
            return stored
        found = await self.records.read(tenant, freeze.group)
        if found and (found.freeze_id, found.state) == (freeze.freeze_id, FreezeState.FROZEN):
            return found  # another one was as quick, with the same policy
        # Whoever thawed it meanwhile may have found no policy to take away.
        await self._out(tenant, standing)
        raise ConflictError(f"`{freeze.group}` was thawed meanwhile; read it and try again")

    async def _end(self, tenant: Tenant, freeze: Freeze) -> Freeze:
        await self._out(tenant, freeze)
        return await self._put(tenant, replace(freeze, state=FreezeState.THAWED))

    async def _out(self, tenant: Tenant, freeze: Freeze) -> None:
        # Without its id: what it forbids counts as long as the store goes by it.
        await self.told.end(tenant, freeze.mark, None)
        self.revocations.forget(tenant)
        await self.policies.remove(tenant, freeze)

    async def _put(self, tenant: Tenant, freeze: Freeze) -> Freeze:
        stored = await self.records.put(tenant, freeze)
        if stored is None:
            raise ConflictError(f"`{freeze.group}` was frozen or thawed meanwhile; try again")
        return stored
