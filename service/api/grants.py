"""Grants for a time: a technician on one line until Friday, break-glass for two hours."""

from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, IdempotencyKey, Label, Limit, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.domain.grants import Grant, GrantPage, NewGrant
from service.domain.people import MAX_NAME
from service.domain.permissions import Permission

Why = Annotated[str, Meta(pattern=r"\S", max_length=500, description="why; audited")]


class NewGrantBody(Struct, forbid_unknown_fields=True, frozen=True):
    """What is given to whom, where (a ``device`` or a ``group``), until when, and why."""

    template: Label
    person: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    """Id or e-mail address of somebody of the tenant's user pool."""
    until: datetime
    reason: Why
    device: Label | None = None
    group: Label | None = None


class GrantOut(Struct, frozen=True):
    """A grant; ``policy`` is what the audit trail names it by."""

    id: str
    state: str
    template: str
    person: str
    email: str
    device: str | None
    group: str | None
    until: datetime | None
    reason: str
    given_by: str
    given_at: datetime | None
    revoked_by: str | None
    over_at: datetime | None
    policy: str | None

    @classmethod
    def of(cls, grant: Grant) -> "GrantOut":
        """A grant for the answer."""
        return cls(
            id=grant.grant_id,
            state=grant.state,
            template=grant.template,
            person=grant.person,
            email=grant.email,
            device=grant.device,
            group=grant.group,
            until=utc(grant.until),
            reason=grant.reason,
            given_by=grant.given_by,
            given_at=utc(grant.given_at),
            revoked_by=grant.revoked_by or None,
            over_at=utc(grant.over_at) if grant.over_at else None,
            policy=grant.policy_id or None,
        )


class GrantPageOut(Struct, frozen=True):
    """One page of grants, the newest first; ``cursor`` asks for the next."""

    grants: list[GrantOut]
    cursor: str | None

    @classmethod
    def of(cls, page: GrantPage) -> "GrantPageOut":
        """A page for the answer."""
        return cls(grants=[GrantOut.of(grant) for grant in page.grants], cursor=page.cursor)


@post("/grants", opt=needs(Permission.GIVE_GRANT), response_headers=ETAG)
async def give_grant(
    access: Caller,
    operations: Ops,
    data: JSONBody[NewGrantBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[GrantOut]:
    """Give a person what a template says, on a device or group, until a moment.

    It ends by itself, in the policy. Decisions know it some seconds after the answer. Nobody but a
    manager gives more than they may do there themselves, longer than they may, or to themselves.
    """
    new = NewGrant(
        template=data.template,
        person=data.person,
        device=data.device,
        group=data.group,
        until=data.until,
        reason=data.reason.strip(),
        idempotency_key=idempotency_key,
    )
    grant = await operations.grants.give(access, new)
    location = f"/v1/grants/{grant.grant_id}"
    return tagged(GrantOut.of(grant), grant.tag, status=201, location=location)


@get("/grants", opt=needs(Permission.VIEW_GRANTS))
async def list_grants(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> GrantPageOut:
    """Grants that were given by the API, also those that are over.

    Those of the tenant's file are not among them: its stack gives and takes them.
    """
    return GrantPageOut.of(await operations.grants.page(access, limit=limit, cursor=cursor))


@get("/grants/{grant:str}", opt=needs(Permission.VIEW_GRANTS), response_headers=ETAG)
async def read_grant(access: Caller, operations: Ops, grant: FromPath[str]) -> Response[GrantOut]:
    """One grant, and who gave it."""
    found = await operations.grants.read(access, grant)
    return tagged(GrantOut.of(found), found.tag)


@delete(
    "/grants/{grant:str}",
    opt=needs(Permission.REVOKE_GRANT),
    status_code=200,
    response_headers=ETAG,
)
async def revoke_grant(
    access: Caller, operations: Ops, grant: FromPath[str], if_match: IfMatch = None
) -> Response[GrantOut]:
    """End a grant: changes are refused at once, reads within 5 seconds.

    Whatever the policy store still says. One that is ``revoking`` counts no more either; the store
    loses it within minutes.
    """
    found = await operations.grants.revoke(access, grant, expected(if_match))
    return tagged(GrantOut.of(found), found.tag)
