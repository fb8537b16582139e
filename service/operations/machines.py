"""Machines of the caller's tenant: made, listed, rotated by a second secret, and revoked.

An app client of the tenant's user pool stands behind each, made at run time and in no stack's
state. What is begun is written down first, so whatever is cut off is found and ended by the worker
(`machine_upkeep`). A secret is told in the one answer that makes it, and stands nowhere here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from service.cedar.entities import tenant_entity
from service.domain.budgets import Bucket
from service.domain.instants import milliseconds
from service.domain.machines import (
    MOST_SECRETS,
    Machine,
    MachinePage,
    MachineSecret,
    MachineState,
    check_end,
    check_new_machine,
    is_machine_id,
)
from service.domain.permissions import Permission
from service.domain.rates import Rate
from service.domain.work import Work, WorkKind
from service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    UpstreamError,
)
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.machines import NewMachine, NewSecret
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.budgets import Budgets
    from service.operations.revocations import Revocations
    from service.ports.machines import MachineClients, MachineRecords
    from service.ports.work import WorkQueue

CHANGES: Final = Bucket(name="machine-changes", rate=Rate(per_second=4, burst=6))
"""Of the account, of whose app clients Cognito answers 15 changes a second (UserPoolClientUpdate);
`tests/agreement/test_numbers.py` holds this below. Of one operation on one pool it answers 5: one
too many is repeated a moment later."""
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class TenantMachines:
    """Whoever the tenant's policies allow may see machines and manage them.

    ``ManageMachines`` comes with the scopes where the caller is told a secret: whoever is told one
    may all that the machine may.
    """

    records: MachineRecords
    clients: MachineClients
    revocations: Revocations
    end: MachineEnd
    budgets: Budgets
    queue: WorkQueue
    clock: Clock

    async def page(self, access: Access, *, limit: int, cursor: str | None) -> MachinePage:
        """Machines in the order of their ids; revoked ones for three months.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
            PermissionDeniedError: not allowed.
        """
        if cursor is not None and not is_machine_id(cursor):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        tenant = access.principal.tenant
        await access.require(Permission.VIEW_MACHINES, (tenant_entity(tenant.id),))
        found = await self.records.following(tenant, after=cursor, limit=limit + 1)
        shown = found[:limit]
        return MachinePage(machines=shown, cursor=shown[-1].id if len(found) > limit else None)

    async def read(self, access: Access, machine_id: str) -> Machine:
        """One machine.

        Raises:
            NotFoundError: the tenant has made no such machine.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        purpose = Purpose(subject=machine_id[:64])
        await access.require(Permission.VIEW_MACHINES, (tenant_entity(tenant.id),), purpose)
        return await self._find(tenant, machine_id)

    async def make(self, access: Access, new: NewMachine) -> tuple[Machine, NewSecret]:
        """Make a machine; the one moment at which its first secret is told.

        Raises:
            InvalidRequestError: id, scopes or the secret's end are not of their form.
            PermissionDeniedError: not allowed.
            ConflictError: there is a machine of this id, or the pool takes no more.
        """
        tenant, now_ms = access.principal.tenant, milliseconds(self.clock())
        check_new_machine(new, now_ms)
        begun = Machine(
            tenant=tenant.id,
            id=new.id,
            scopes=new.scopes,
            description=new.description,
            created_by=access.principal.entity_id,
            created_at=now_ms,
            changed_at=now_ms,
        )
        await self._require(access, begun, told=True)
        before = await self.records.find(tenant, new.id)
        if before is not None and before.is_begun(now_ms):
            raise ConflictError(f"machine `{new.id}` is being made or ended; try again in a minute")
        if before is not None and before.state not in (MachineState.MAKING, MachineState.REVOKED):
            raise ConflictError(f"there is a machine `{new.id}` already")
        await self._spend()
        begun = await self._put(tenant, replace(begun, version=before.version if before else 0))
        await self._look(tenant, begun)
        if before is not None and before.state is MachineState.MAKING:
            # Somebody came to no end with it, and nobody was told its secret.
            for lost in await self.clients.named(tenant, begun.client_name):
                await self.clients.delete(tenant, lost)
        client_id, secret = await self._client(tenant, begun)
        # Its tokens count before anybody has its secret, and it is listed before that too.
        await self.records.admit(tenant, client_id, begun.id)
        known = self._known(access, secret, new.expires_at, now_ms)
        made = replace(begun, client_id=client_id, state=MachineState.ACTIVE, secrets=(known,))
        stored = await self._put(tenant, made)
        await self._look_at_end(tenant, stored, known)
        log.info("machine.made", machine=stored.id, client=client_id)
        return stored, secret

    async def add_secret(
        self, access: Access, machine_id: str, *, expires_at: int | None
    ) -> tuple[MachineSecret, NewSecret]:
        """Make a machine a second secret, told this once; the first goes on until it is deleted.

        Raises:
            InvalidRequestError: the end is none.
            NotFoundError: the tenant has made no such machine.
            PermissionDeniedError: not allowed.
            ConflictError: it has two secrets, is revoked, or somebody else changes it.
        """
        tenant, now_ms = access.principal.tenant, milliseconds(self.clock())
        check_end(expires_at, now_ms)
        machine = await self._find(tenant, machine_id)
        await self._require(access, machine, told=True)
        client_id = _client_of(machine)
        if len(machine.secrets) >= MOST_SECRETS:
            raise ConflictError(
                f"machine `{machine.id}` has {MOST_SECRETS} secrets: delete one first"
            )
        if machine.is_begun(now_ms):
            raise ConflictError(
                f"somebody else changes machine `{machine.id}`; try again in a minute"
            )
        await self._spend()
        machine = await self._put(tenant, replace(machine, adding_since=now_ms))
        await self._look(tenant, machine)
        # What nobody was told stands in the way: of an attempt that was cut off.
        for lost in await self.clients.secrets(tenant, client_id) - {
            one.id for one in machine.secrets
        }:
            await self.clients.delete_secret(tenant, client_id, lost)
        secret = await self.clients.add_secret(tenant, client_id)
        known = self._known(access, secret, expires_at, now_ms)
        added = replace(machine, secrets=(*machine.secrets, known), adding_since=None)
        stored = await self._put(tenant, added)
        await self._look_at_end(tenant, stored, known)
        log.info("machine.secret_added", machine=machine.id, secret=known.id)
        return known, secret

    async def delete_secret(self, access: Access, machine_id: str, secret_id: str) -> Machine:
        """Delete one of two secrets; tokens of before count no more, whichever brought them.

        A token does not say by which secret it was given, so the machine asks for a new one.

        Raises:
            NotFoundError: the tenant has made no such machine, or it has no such secret.
            PermissionDeniedError: not allowed.
            ConflictError: it is the only secret, or somebody else changes the machine.
        """
        tenant, now_ms = access.principal.tenant, milliseconds(self.clock())
        machine = await self._find(tenant, machine_id)
        await self._require(access, machine, told=False)
        client_id = _client_of(machine)
        if secret_id not in {one.id for one in machine.secrets}:
            raise NotFoundError("secret", secret_id[:128])
        if not any(one.id != secret_id for one in machine.lasting(now_ms)):
            raise ConflictError(
                f"it is the only secret of machine `{machine.id}`: add another one first, or revoke"
                " the machine"
            )
        await self._spend()
        ending = tuple(
            replace(one, ending=True) if one.id == secret_id else one for one in machine.secrets
        )
        machine = await self._put(tenant, replace(machine, secrets=ending))
        await self._look(tenant, machine)

        async def delete() -> None:
            await self.clients.delete_secret(tenant, client_id, secret_id)

        await self.revocations.around(tenant, client_id, delete)
        left = tuple(one for one in machine.secrets if one.id != secret_id)
        return await self._put(tenant, replace(machine, secrets=left))

    async def revoke(self, access: Access, machine_id: str) -> Machine:
        """End a machine: no secret brings a token, and none of before counts any more.

        Raises:
            NotFoundError: the tenant has made no such machine.
            PermissionDeniedError: not allowed.
            ConflictError: somebody else changes it.
        """
        tenant = access.principal.tenant
        machine = await self._find(tenant, machine_id)
        await self._require(access, machine, told=False)
        if machine.state is MachineState.REVOKED:
            return machine
        if machine.state is MachineState.MAKING or machine.client_id is None:
            raise ConflictError(f"machine `{machine.id}` is being made; try again in a minute")
        await self._spend()
        machine = await self._put(tenant, replace(machine, state=MachineState.REVOKING))
        await self._look(tenant, machine)
        return await self.end(tenant, machine)

    async def _client(self, tenant: Tenant, begun: Machine) -> tuple[str, NewSecret]:
        try:
            return await self.clients.make(tenant, begun)
        except (ConflictError, UpstreamError) as error:
            # Surely nothing was made, so the id is free at once; else the worker looks.
            if not getattr(error, "is_lost", False):
                await self._put(tenant, replace(begun, state=MachineState.REVOKED))
            raise

    def _known(
        self, access: Access, secret: NewSecret, expires_at: int | None, now_ms: int
    ) -> MachineSecret:
        return MachineSecret(
            id=secret.id,
            created_by=access.principal.entity_id,
            created_at=now_ms,
            expires_at=expires_at,
        )

    async def _find(self, tenant: Tenant, machine_id: str) -> Machine:
        found = None
        if is_machine_id(machine_id):
            found = await self.records.find(tenant, machine_id)
        if found is None:
            raise NotFoundError("machine", machine_id[:64])
        return found

    async def _require(self, access: Access, machine: Machine, *, told: bool) -> None:
        purpose = Purpose(
            subject=machine.id, machine_scopes=tuple(sorted(machine.token_scopes)) if told else None
        )
        tenant = access.principal.tenant
        await access.require(Permission.MANAGE_MACHINES, (tenant_entity(tenant.id),), purpose)

    async def _put(self, tenant: Tenant, machine: Machine) -> Machine:
        return await keep(self.records, self.clock, tenant, machine)

    async def _look(self, tenant: Tenant, machine: Machine) -> None:
        """Have the worker see that what is begun comes to an end."""
        await self.queue.send((settling(tenant, machine.id),))

    async def _look_at_end(self, tenant: Tenant, machine: Machine, secret: MachineSecret) -> None:
        """Have the worker set its clock to the end of a secret that was made just now."""
        if secret.expires_at is not None:
            await self._look(tenant, machine)

    async def _spend(self) -> None:
        """Take of what all tenants of the account share.

        Raises:
            UnavailableError: there is none of it now; nothing was done.
        """
        standing = await self.budgets.spend(CHANGES)
        if not standing.granted:
            raise UnavailableError(
                "the user pool",
                wait_seconds=max(1.0, standing.wait_seconds),
                is_throttled=True,
                is_lost=False,
            )


async def keep(records: MachineRecords, clock: Clock, tenant: Tenant, machine: Machine) -> Machine:
    """Store a machine as it is now.

    Raises:
        ConflictError: somebody else changed it meanwhile.
    """
    stored = await records.put(tenant, replace(machine, changed_at=milliseconds(clock())))
    if stored is None:
        raise ConflictError(f"machine `{machine.id}` was changed meanwhile; read it and try again")
    return stored


@dataclass(frozen=True, kw_only=True)
class MachineEnd:
    """Ends a machine that is being revoked; done twice it is done once."""

    records: MachineRecords
    clients: MachineClients
    revocations: Revocations
    clock: Clock

    async def __call__(self, tenant: Tenant, machine: Machine) -> Machine:
        """Delete the app client, and let no token of before count.

        Raises:
            ConflictError: somebody else changed it meanwhile.
        """
        client_id = machine.client_id
        if client_id is not None:

            async def delete() -> None:
                await self.clients.delete(tenant, client_id)

            await self.revocations.around(tenant, client_id, delete)
        ended = replace(machine, state=MachineState.REVOKED, secrets=(), adding_since=None)
        stored = await keep(self.records, self.clock, tenant, ended)
        log.info("machine.revoked", machine=machine.id, client=client_id)
        return stored


def settling(tenant: Tenant, machine_id: str) -> Work:
    """The work of seeing that a machine is as it shall be."""
    return Work(
        kind=WorkKind.SETTLE_MACHINE,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"machine": machine_id},
    )


def _client_of(machine: Machine) -> str:
    if machine.state is not MachineState.ACTIVE or machine.client_id is None:
        raise ConflictError(f"machine `{machine.id}` is {machine.state}")
    return machine.client_id
