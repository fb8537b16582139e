"""People of the tenant's user pool: invite, list, groups, disable, sign out everywhere."""

from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Label, Limit, Ops, utc
from service.domain.people import MAX_NAME, MOST_GROUPS, NewPerson, Person, PersonPage
from service.domain.permissions import Permission

GroupName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
PeopleGroups = Annotated[list[GroupName], Meta(max_length=MOST_GROUPS)]
Beginning = Annotated[
    str, QueryParameter(max_length=MAX_NAME, description="whose e-mail address begins so")
]


class NewPersonBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Who is invited; the user pool sends the address a password for the first sign-in."""

    email: Annotated[str, Meta(min_length=3, max_length=MAX_NAME)]
    groups: PeopleGroups = []
    region: Label | None = None
    """Where the person works, one of the tenant's regions; policies see it."""


class PeopleGroupsBody(Struct, forbid_unknown_fields=True, frozen=True):
    """All groups that the person shall be in."""

    groups: PeopleGroups


class ListedPersonOut(Struct, frozen=True):
    """A person as a list shows one; ``state`` is of the sign-in, ``enabled`` whether it is open."""

    id: str
    email: str
    state: str
    enabled: bool
    region: str | None
    created_at: datetime | None
    changed_at: datetime | None

    @classmethod
    def of(cls, person: Person) -> "ListedPersonOut":
        """A person for the answer."""
        return cls(
            id=person.id,
            email=person.email,
            state=person.state,
            enabled=person.enabled,
            region=person.region,
            created_at=utc(person.created_at),
            changed_at=utc(person.changed_at),
        )


class PersonOut(Struct, frozen=True):
    """A person with all groups; ``subject`` is the `sub` of the tokens."""

    id: str
    subject: str
    email: str
    state: str
    enabled: bool
    groups: list[str]
    region: str | None
    created_at: datetime | None
    changed_at: datetime | None

    @classmethod
    def of(cls, person: Person) -> "PersonOut":
        """A person for the answer."""
        return cls(
            id=person.id,
            subject=person.subject,
            email=person.email,
            state=person.state,
            enabled=person.enabled,
            groups=list(person.groups),
            region=person.region,
            created_at=utc(person.created_at),
            changed_at=utc(person.changed_at),
        )


class PersonPageOut(Struct, frozen=True):
    """One page of people; ``cursor`` asks for the next."""

    people: list[ListedPersonOut]
    cursor: str | None

    @classmethod
    def of(cls, page: PersonPage) -> "PersonPageOut":
        """A page for the answer."""
        return cls(people=[ListedPersonOut.of(one) for one in page.people], cursor=page.cursor)


@get("/people", opt=needs(Permission.VIEW_PEOPLE))
async def list_people(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None, email: Beginning = ""
) -> PersonPageOut:
    """The people of the tenant's user pool, without their groups.

    At most 60 on a page. The pool lists a change some moments later; read the person for what is
    so now.
    """
    page = await operations.people.page(access, email=email, limit=limit, cursor=cursor)
    return PersonPageOut.of(page)


@post("/people", opt=needs(Permission.MANAGE_PEOPLE))
async def invite_person(
    access: Caller, operations: Ops, data: JSONBody[NewPersonBody]
) -> Response[PersonOut]:
    """Invite somebody by e-mail, into groups that the caller may give.

    An address that the pool has already is 409: after an answer that was lost, read the person by
    the address, and set the groups.
    """
    new = NewPerson(email=data.email, region=data.region, groups=tuple(data.groups))
    person = await operations.people.invite(access, new)
    return Response(
        PersonOut.of(person), status_code=201, headers={"Location": f"/v1/people/{person.id}"}
    )


@get("/people/{person:str}", opt=needs(Permission.VIEW_PEOPLE))
async def read_person(access: Caller, operations: Ops, person: FromPath[str]) -> PersonOut:
    """One person by id or e-mail address, with all groups."""
    return PersonOut.of(await operations.people.read(access, person))


@put("/people/{person:str}/groups", opt=needs(Permission.MANAGE_PEOPLE))
async def set_person_groups(
    access: Caller, operations: Ops, person: FromPath[str], data: JSONBody[PeopleGroupsBody]
) -> PersonOut:
    """Put a person into groups, and take the person out of all others.

    Tokens of before are refused within 5 seconds if a group is taken away: the person's app
    refreshes its token.
    """
    return PersonOut.of(await operations.people.set_groups(access, person, data.groups))


@post("/people/{person:str}/disable", opt=needs(Permission.MANAGE_PEOPLE), status_code=200)
async def disable_person(access: Caller, operations: Ops, person: FromPath[str]) -> PersonOut:
    """Let a person sign in no more; within 5 seconds no token of the person counts any more."""
    return PersonOut.of(await operations.people.disable(access, person))


@post("/people/{person:str}/enable", opt=needs(Permission.MANAGE_PEOPLE), status_code=200)
async def enable_person(access: Caller, operations: Ops, person: FromPath[str]) -> PersonOut:
    """Let a person sign in again."""
    return PersonOut.of(await operations.people.enable(access, person))


@post("/people/{person:str}/sign-out", opt=needs(Permission.MANAGE_PEOPLE), status_code=200)
async def sign_out_person(access: Caller, operations: Ops, person: FromPath[str]) -> PersonOut:
    """Sign a person out everywhere: tokens of before are refused within 5 seconds."""
    return PersonOut.of(await operations.people.sign_out(access, person))


@delete("/people/{person:str}/pseudonym", opt=needs(Permission.MANAGE_PEOPLE))
async def forget_person(access: Caller, operations: Ops, person: FromPath[str]) -> None:
    """Erase the key of a person's pseudonym in the audit trail, for good.

    What the trail says stays, and its chain whole; of whom it says it, nobody can tell any more.
    Grants that are over lose name and reason; revoke the others before, or it is refused. Whoever
    acts again gets a new pseudonym: disable the person before.
    """
    await operations.people.forget(access, person)
