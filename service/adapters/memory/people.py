"""A twin of the people of the tenants' user pools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from service.domain.people import Person, PersonPage
from service.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from service.domain.people import NewPerson
    from service.domain.tenants import Tenant

GROUPS: Final = frozenset({"managers", "operators", "technicians", "it-staff"})


@dataclass(kw_only=True)
class MemoryPeople:
    """People by tenant and id.

    Attributes:
        known: everybody.
        groups: that each pool has.
        signed_out: whose sessions were ended, in turn.
        fails: the methods that do not answer.
    """

    known: dict[tuple[str, str], Person] = field(default_factory=dict[tuple[str, str], Person])
    groups: frozenset[str] = GROUPS
    signed_out: list[str] = field(default_factory=list[str])
    fails: set[str] = field(default_factory=set[str])

    def add(self, tenant: str, person: Person) -> Person:
        """Let a pool have somebody."""
        self.known[tenant, person.id] = person
        return person

    async def page(
        self, tenant: Tenant, *, email: str, limit: int, cursor: str | None
    ) -> PersonPage:
        found = [
            replace(one, groups=())
            for (owner, id_), one in sorted(self.known.items())
            if owner == tenant.id and one.email.startswith(email) and (not cursor or id_ > cursor)
        ]
        shown = tuple(found[:limit])
        return PersonPage(people=shown, cursor=shown[-1].id if len(found) > limit else None)

    async def find(self, tenant: Tenant, person_id: str) -> Person | None:
        self._ask("find")
        return next(
            (
                one
                for (owner, id_), one in self.known.items()
                if owner == tenant.id and person_id in (id_, one.email)
            ),
            None,
        )

    async def invite(self, tenant: Tenant, new: NewPerson) -> Person:
        self._ask("invite")
        if await self.find(tenant, new.email) is not None:
            raise ConflictError(f"there is a person `{new.email}` already")
        number = f"sub-{len(self.known)}"
        person = Person(
            id=number,
            subject=number,
            email=new.email,
            state="invited",
            enabled=True,
            region=new.region,
        )
        return self.add(tenant.id, person)

    async def add_to_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        self._ask("add_to_group")
        person = self._person(tenant, person_id)
        if group not in self.groups:
            raise InvalidRequestError("groups", f"the tenant has no group `{group}`")
        groups = tuple(sorted({*person.groups, group}))
        self.add(tenant.id, replace(person, groups=groups))

    async def remove_from_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        self._ask("remove_from_group")
        person = self._person(tenant, person_id)
        groups = tuple(one for one in person.groups if one != group)
        self.add(tenant.id, replace(person, groups=groups))

    async def enable(self, tenant: Tenant, person_id: str, *, enabled: bool) -> None:
        self._ask("enable")
        self.add(tenant.id, replace(self._person(tenant, person_id), enabled=enabled))

    async def sign_out(self, tenant: Tenant, person_id: str) -> None:
        self._ask("sign_out")
        self.signed_out.append(self._person(tenant, person_id).id)

    def _person(self, tenant: Tenant, person_id: str) -> Person:
        found = self.known.get((tenant.id, person_id))
        if found is None:
            raise NotFoundError("person", person_id)
        return found

    def _ask(self, what: str) -> None:
        if what in self.fails:
            raise UnavailableError("the user pool")
