"""Who may do this to that: the groups that the policies name, and people of the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.cedar.request import TokenBearer
from service.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from service.cedar.decision import Decision
    from service.domain.people import Person
    from service.operations.authorization import Access
    from service.operations.people import TenantPeople
    from service.operations.permissions import Permissions, Question

MOST_PEOPLE: Final = 10
"""Of one answer: the groups of each are a question to Cognito, of 50 a second for all tenants."""


@dataclass(frozen=True, kw_only=True)
class OfGroup:
    """What a person would meet who is in this group alone, with no address and no region."""

    group: str
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class OfPerson:
    """What a person meets, with all groups as they are now; one that is disabled, none the less."""

    person: Person
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class Who:
    """Groups in the order of their names; people as their list has them, ``cursor`` for more."""

    groups: tuple[OfGroup, ...]
    people: tuple[OfPerson, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class WhoMay:
    """Answers those who may view the tenant's people."""

    permissions: Permissions
    people: TenantPeople

    async def find(self, access: Access, question: Question, *, cursor: str | None) -> Who:
        """Who may do it now, from where the caller is.

        Raises:
            PermissionDeniedError: the caller may not view people.
            InvalidRequestError: the question is not of its form, or the cursor of no such list.
            NotFoundError: the tenant has no such device.
            ConflictError: no policy can be asked this, in words.
            UnavailableError: there is no good copy of the tenant's policies.
        """
        # First: whoever may not ask learns nothing, not even of a slip.
        page = await self.people.page(access, email="", limit=MOST_PEOPLE, cursor=cursor)
        tenant = access.principal.tenant
        asked, answers = await self.permissions.resolve(tenant, [question])
        if 0 not in asked:
            if question.device is not None:
                raise NotFoundError("device", question.device)
            raise ConflictError(answers[0].problem or "this cannot be asked")
        one = asked[0]
        if one.device is not None:
            await self.permissions.check_viewed(access, one.device)
        page = await self.people.whole(access, page)
        about = await access.advise_about(
            (one.action, one.entities, one.purpose), [bearer_of(person) for person in page.people]
        )
        return Who(
            groups=tuple(
                OfGroup(group=group, decision=decision)
                for group, decision in sorted(about.groups.items())
            ),
            people=tuple(
                OfPerson(person=person, decision=decision)
                for person, decision in zip(page.people, about.people, strict=True)
            ),
            cursor=page.cursor,
        )


def bearer_of(person: Person) -> TokenBearer:
    """The person as an ID token of theirs would tell."""
    claims = {"email": person.email}
    if person.region is not None:
        claims["custom:region"] = person.region
    return TokenBearer(subject=person.subject, groups=person.groups, claims=claims)
