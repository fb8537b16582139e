"""The people of the tenants' user pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.people import NewPerson, Person, PersonPage
    from service.domain.tenants import Tenant


class People(Protocol):
    """Who may sign in; the pool itself is the record."""

    async def page(
        self, tenant: Tenant, *, email: str, limit: int, cursor: str | None
    ) -> PersonPage:
        """People whose address begins with ``email``, without their groups.

        Raises:
            InvalidRequestError: the cursor is of another list.
        """
        ...

    async def find(self, tenant: Tenant, person_id: str) -> Person | None:
        """One person with all groups, as of now; ``person_id`` may be the address."""
        ...

    async def invite(self, tenant: Tenant, new: NewPerson) -> Person:
        """Make a person in no group, who is sent a password for the first sign-in.

        Raises:
            ConflictError: the pool has somebody of this address.
            InvalidRequestError: the pool does not take the address.
        """
        ...

    async def add_to_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        """Put a person into a group, if not there yet.

        Raises:
            InvalidRequestError: the pool has no such group.
            NotFoundError: the pool has no such person.
        """
        ...

    async def remove_from_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        """Take a person out of a group, if there; raises as ``add_to_group``."""
        ...

    async def enable(self, tenant: Tenant, person_id: str, *, enabled: bool) -> None:
        """Let a person sign in, or no more; refresh tokens end with the latter.

        Raises:
            NotFoundError: the pool has no such person.
        """
        ...

    async def sign_out(self, tenant: Tenant, person_id: str) -> None:
        """End all sessions of a person in the pool.

        Raises:
            NotFoundError: the pool has no such person.
        """
        ...
