"""The commands of a tenant: those of its file, and those that are declared at run time.

A name is bound to one Cedar action, and whoever binds it anew is asked of both the action that it
had and the one that it shall have. What the file declares is changed by its stack alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.cedar.entities import tenant_entity
from service.domain.command_rules import NO_RULES
from service.domain.command_types import (
    MAX_TYPES,
    CommandType,
    CommandTypePage,
    CommandTypeRecord,
    check_new_type,
)
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.preconditions import ANY_STATE
from service.errors import ConflictError, NotFoundError, PreconditionFailedError
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.command_rules import CommandRules
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.command_types import CommandTypeRecords


@dataclass(frozen=True, kw_only=True)
class CommandTypes:
    """The command types of the caller's tenant."""

    records: CommandTypeRecords
    clock: Clock

    async def page(self, access: Access, *, limit: int, cursor: str | None) -> CommandTypePage:
        """Command types in the order of their names.

        Raises:
            PermissionDeniedError: the caller may not list.
        """
        tenant = access.principal.tenant
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        made = {one.name: _shown(one) for one in await self.records.every(tenant) if not one.ended}
        known = {**made, **{name: _declared(tenant, name) for name in tenant.commands}}
        behind = sorted(name for name in known if cursor is None or name > cursor)
        shown = behind[:limit]
        return CommandTypePage(
            types=tuple(known[name] for name in shown),
            cursor=shown[-1] if len(behind) > limit else None,
        )

    async def read(self, access: Access, name: str) -> CommandType:
        """One command type.

        Raises:
            NotFoundError: the tenant has no such command.
            PermissionDeniedError: the caller may not list.
        """
        tenant = access.principal.tenant
        await access.require(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        if name in tenant.commands:
            return _declared(tenant, name)
        for record in await self.records.named(tenant, [name]):
            if not record.ended:
                return _shown(record)
        raise NotFoundError("command type", name)

    async def make(
        self, access: Access, name: str, action: str, rules: CommandRules
    ) -> CommandTypeRecord:
        """Make a command, once.

        Raises:
            InvalidRequestError: name, action or rules are not of their form.
            PermissionDeniedError: not allowed, of its action or of the one that the name had.
            ConflictError: there is a command of this name, or there are too many.
        """
        sends = check_new_type(name, action, rules)
        tenant = access.principal.tenant
        known = await self._known(tenant, name)
        await self._require(access, name, {sends, known.action if known else sends})
        _check_own(tenant, name)
        if known is not None and not known.ended:
            raise ConflictError(f"there is a command `{name}` already")
        if known is None and len(await self.records.every(tenant)) >= MAX_TYPES:
            raise ConflictError(
                f"the tenant has made {MAX_TYPES} commands, ended ones counted: there are no more"
            )
        new = CommandTypeRecord(
            tenant=tenant.id,
            name=name,
            action=sends,
            rules=rules,
            changed_by="",
            changed_at=0,
            version=known.version if known else 0,
        )
        return await self._put(access, new)

    async def change(
        self,
        access: Access,
        name: str,
        action: str,
        rules: CommandRules,
        expected: Expected = ANY_STATE,
    ) -> CommandTypeRecord:
        """Put a command in place of one that was made here.

        Raises:
            InvalidRequestError: action or rules are not of their form.
            NotFoundError: the tenant has no such command.
            PermissionDeniedError: not allowed, of the action that it has or shall have.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: the tenant's file declares it, or somebody changed it meanwhile.
        """
        known = await self._made(access, name, also=action, rules=rules)
        expected.check(known.tag)
        changed = replace(known, action=Permission(action), rules=rules)
        return await self._put(access, changed, expected)

    async def end(
        self, access: Access, name: str, expected: Expected = ANY_STATE
    ) -> CommandTypeRecord:
        """Have a command be sent no more; those that were sent go on.

        Returns:
            What it was.

        Raises:
            NotFoundError: the tenant has no such command.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: the tenant's file declares it, or somebody changed it meanwhile.
        """
        known = await self._made(access, name)
        expected.check(known.tag)
        # What nobody sends any more has no rules.
        await self._put(access, replace(known, rules=NO_RULES, ended=True), expected)
        return known

    async def _made(
        self,
        access: Access,
        name: str,
        *,
        also: str | None = None,
        rules: CommandRules = NO_RULES,
    ) -> CommandTypeRecord:
        """A command made here that the caller may change, to one of the action ``also`` too."""
        tenant = access.principal.tenant
        record = await self._known(tenant, name)
        known = tenant.commands.get(name)
        if known is None and record is not None and not record.ended:
            known = record.action
        if known is None:
            raise NotFoundError("command type", name)
        actions = {known} if also is None else {known, check_new_type(name, also, rules)}
        await self._require(access, name, actions)
        _check_own(tenant, name)
        # Fail closed: what the file does not declare was made here, or is not there.
        if record is None:
            raise NotFoundError("command type", name)
        return record

    async def _known(self, tenant: Tenant, name: str) -> CommandTypeRecord | None:
        found = await self.records.named(tenant, [name])
        return found[0] if found else None

    async def _require(self, access: Access, name: str, actions: set[Permission]) -> None:
        entities = (tenant_entity(access.principal.tenant.id),)
        for action in sorted(actions):
            purpose = Purpose(command=name, command_action=action, subject=f"{name}: {action}")
            await access.require(Permission.MANAGE_COMMAND_TYPES, entities, purpose)

    async def _put(
        self, access: Access, record: CommandTypeRecord, expected: Expected = ANY_STATE
    ) -> CommandTypeRecord:
        tenant = access.principal.tenant
        changed = replace(
            record,
            changed_by=access.principal.entity_id,
            changed_at=milliseconds(self.clock()),
        )
        if (stored := await self.records.put(tenant, changed)) is not None:
            return stored
        now = await self._known(tenant, record.name) if expected != ANY_STATE else None
        if now is not None:
            raise PreconditionFailedError(now.tag)
        raise ConflictError(f"command `{record.name}` was changed meanwhile: read it, try again")


def _check_own(tenant: Tenant, name: str) -> None:
    if name in tenant.commands:
        raise ConflictError(f"`{name}` is of the tenant's file, which its stack changes")


def _declared(tenant: Tenant, name: str) -> CommandType:
    rules = tenant.command_rules.get(name, NO_RULES)
    return CommandType(name=name, action=tenant.commands[name], rules=rules)


def _shown(record: CommandTypeRecord) -> CommandType:
    return CommandType(name=record.name, action=record.action, rules=record.rules, record=record)
