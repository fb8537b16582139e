"""People of the caller's tenant: invited, listed, put into groups, disabled, signed out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from service.cedar.entities import tenant_entity
from service.domain.audit import AuditChange
from service.domain.budgets import Bucket
from service.domain.people import (
    MAX_NAME,
    check_new_person,
    check_people_groups,
    is_pool_name,
)
from service.domain.permissions import Permission
from service.domain.rates import Rate
from service.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.domain.grants import Grant
    from service.domain.people import NewPerson, Person, PersonPage
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.budgets import Budgets
    from service.operations.revocations import Revocations
    from service.ports.audit import PersonKeys
    from service.ports.grants import GrantRecords
    from service.ports.people import People

# Cognito's rates are of all pools of an account together, and are not raised: 25 changes of people
# a second (UserUpdate), 30 lists (UserList), 50 looks at somebody's groups (UserResourceRead);
# tests/agreement/test_numbers.py holds these within infra/local/cloud/limits/table.py.
CHANGES: Final = Bucket(name="people-changes", rate=Rate(per_second=10, burst=10))
LISTS: Final = Bucket(name="people-lists", rate=Rate(per_second=12, burst=12))
READS: Final = Bucket(name="people-reads", rate=Rate(per_second=20, burst=20))
_GRANTS: Final = 100  # of a page


@dataclass(frozen=True, kw_only=True)
class TenantPeople:
    """Whoever the tenant's policies allow may see and manage people.

    ``ManagePeople`` is asked with all groups that the person is in, or would be: so a policy can
    forbid to touch those of a group, as well as to give it.
    """

    people: People
    audit_keys: PersonKeys
    grants: GrantRecords
    revocations: Revocations
    budgets: Budgets

    async def page(
        self, access: Access, *, email: str, limit: int, cursor: str | None
    ) -> PersonPage:
        """People whose address begins with ``email``.

        Raises:
            InvalidRequestError: the beginning is none of an address, or the cursor of no such list.
            PermissionDeniedError: not allowed.
        """
        if email and not (is_pool_name(email) and not set(email) & set('"\\')):
            raise InvalidRequestError("email", "must be the beginning of an e-mail address")
        tenant = access.principal.tenant
        await access.require(Permission.VIEW_PEOPLE, (tenant_entity(tenant.id),))
        await self._take(LISTS)
        return await self.people.page(tenant, email=email, limit=limit, cursor=cursor)

    async def whole(self, access: Access, page: PersonPage) -> PersonPage:
        """A page that the caller was shown with all groups of each, at a question each."""
        people: list[Person] = []
        for person in page.people:
            with suppress(NotFoundError):  # deleted since the list was made
                people.append(await self._find(access, person.id))
        return replace(page, people=tuple(people))

    async def read(self, access: Access, person_id: str) -> Person:
        """One person, with all groups.

        Raises:
            NotFoundError: the pool has no such person.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await access.require(
            Permission.VIEW_PEOPLE, (tenant_entity(tenant.id),), Purpose(subject=_named(person_id))
        )
        return await self._find(access, person_id)

    async def known(self, tenant: Tenant, person_id: str) -> Person | None:
        """One person, for who has decided already, or decides by it, what the caller may know."""
        if not is_pool_name(person_id):
            return None
        await self._take(READS)
        return await self.people.find(tenant, person_id)

    async def invite(self, access: Access, new: NewPerson) -> Person:
        """Make a person, who is sent a password for the first sign-in, in these groups.

        Raises:
            InvalidRequestError: the address, the region or a group is none of the tenant's.
            ConflictError: the pool has somebody of this address.
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        check_new_person(tenant.lists, new)
        change = AuditChange(after={"groups": sorted(new.groups)})
        await self._require(access, subject=new.email, groups=new.groups, change=change)
        await self._take(CHANGES, 1 + len(new.groups))
        person = await self.people.invite(tenant, new)
        for group in new.groups:
            await self.people.add_to_group(tenant, person.id, group)
        return replace(person, groups=tuple(sorted(new.groups)))

    async def set_groups(self, access: Access, person_id: str, groups: Sequence[str]) -> Person:
        """Put a person into these groups, and take the person out of all others.

        Who is taken out of one needs a new token, at once: those of before have it still.

        Raises:
            InvalidRequestError: the tenant has no such group, or one is named twice.
            NotFoundError: the pool has no such person.
            PermissionDeniedError: not allowed of all groups that the person is in, or would be.
        """
        check_people_groups(groups)
        tenant, person = access.principal.tenant, await self._find(access, person_id)
        wanted, held = set(groups), set(person.groups)
        change = AuditChange(before={"groups": sorted(held)}, after={"groups": sorted(wanted)})
        await self._require(access, subject=person.id, groups=wanted | held, change=change)
        await self._take(CHANGES, len(wanted ^ held))
        for group in sorted(wanted - held):
            await self.people.add_to_group(tenant, person.id, group)
        if gone := sorted(held - wanted):

            async def take_out() -> None:
                for group in gone:
                    await self.people.remove_from_group(tenant, person.id, group)

            await self.revocations.around(tenant, person.subject, take_out)
        return replace(person, groups=tuple(sorted(wanted)))

    async def enable(self, access: Access, person_id: str) -> Person:
        """Let a person sign in again; raises as ``disable``."""
        tenant, person = access.principal.tenant, await self._changing(access, person_id)
        await self.people.enable(tenant, person.id, enabled=True)
        return replace(person, enabled=True)

    async def disable(self, access: Access, person_id: str) -> Person:
        """Let a person sign in no more; what the person has of tokens counts no more either.

        Raises:
            NotFoundError: the pool has no such person.
            PermissionDeniedError: not allowed of the groups that the person is in.
        """
        tenant, person = access.principal.tenant, await self._changing(access, person_id)

        async def change() -> None:
            await self.people.enable(tenant, person.id, enabled=False)

        await self.revocations.around(tenant, person.subject, change)
        return replace(person, enabled=False)

    async def sign_out(self, access: Access, person_id: str) -> Person:
        """End all sessions of a person, who may sign in again; raises as ``disable``."""
        tenant, person = access.principal.tenant, await self._changing(access, person_id)

        async def change() -> None:
            await self.people.sign_out(tenant, person.id)

        await self.revocations.around(tenant, person.subject, change)
        return person

    async def forget(self, access: Access, person_id: str) -> None:
        """Make the person's pseudonyms in the audit trail dead, for good; the trail stays whole.

        Grants that are over tell no more whose they were. Whoever is in the pool no more is
        forgotten under the id that is given, which is the ``sub`` of the tokens where people sign
        in by address.

        Raises:
            NotFoundError: neither the pool nor the trail has such a person.
            PermissionDeniedError: not allowed of the groups that the person is in.
            ConflictError: a grant of the person is not over, or is being changed; nothing is
                erased.
        """
        tenant = access.principal.tenant
        try:
            person = await self._find(access, person_id)
        except NotFoundError:
            if await self.audit_keys.find(tenant, _named(person_id)) is None:
                raise
            await self._require(access, subject=_named(person_id), groups=())
            names = {_named(person_id)}
        else:
            await self._require(access, subject=person.id, groups=person.groups)
            names = {person.id, person.subject, person.email}
        names -= {""}
        await self._forget_grants(tenant, names)
        for name in sorted(names):
            await self.audit_keys.erase(tenant, name)

    async def _forget_grants(self, tenant: Tenant, names: set[str]) -> None:
        theirs: list[Grant] = []
        cursor: str | None = None
        while True:
            page = await self.grants.page(tenant, limit=_GRANTS, cursor=cursor)
            theirs += [
                one for one in page.grants if not names.isdisjoint((one.person, one.subject))
            ]
            if (cursor := page.cursor) is None:
                break
        if stands := sorted(one.grant_id for one in theirs if not one.is_over):
            raise ConflictError(
                f"grants of the person are not over: revoke {', '.join(stands)}, and try again"
                " once they are"
            )
        for grant in theirs:
            await self.grants.settle(tenant, grant.forgotten())

    async def _changing(self, access: Access, person_id: str) -> Person:
        person = await self._find(access, person_id)
        await self._require(access, subject=person.id, groups=person.groups)
        await self._take(CHANGES)
        return person

    async def _find(self, access: Access, person_id: str) -> Person:
        found = await self.known(access.principal.tenant, person_id)
        if found is None:
            raise NotFoundError("person", _named(person_id))
        return found

    async def _require(
        self,
        access: Access,
        *,
        subject: str,
        groups: Iterable[str],
        change: AuditChange | None = None,
    ) -> None:
        tenant = access.principal.tenant
        await access.require(
            Permission.MANAGE_PEOPLE,
            (tenant_entity(tenant.id),),
            Purpose(
                subject=subject,
                person=subject,
                people_groups=tuple(sorted(groups)),
                change=change,
            ),
        )

    async def _take(self, bucket: Bucket, tokens: int = 1) -> None:
        """Take of what all tenants of the account share.

        Raises:
            UnavailableError: there is none of it now; nothing was done.
        """
        standing = await self.budgets.spend_all(bucket, tokens)
        if not standing.granted:
            raise UnavailableError(
                "the user pool",
                wait_seconds=max(1.0, standing.wait_seconds),
                is_throttled=True,
                is_lost=False,
            )


def _named(person_id: str) -> str:
    return person_id[:MAX_NAME]
