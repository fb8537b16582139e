"""Groups: list and read them, make and delete them, and say which devices are in one."""

from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.devices import DevicePageOut
from service.api.guard import needs
from service.api.parameters import Caller, Cursor, IdempotencyKey, Label, Limit, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.api.problem_documents import type_of
from service.cedar.group_tree import MAX_ANCESTORS
from service.domain.device_filter import DeviceFilter
from service.domain.group_records import MAX_DESCRIPTION, GroupRecord, KnownGroup
from service.domain.permissions import Permission
from service.operations.groups import NewGroup
from service.operations.membership import MAX_ROWS, MemberResult

Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION)]
Devices = Annotated[list[Label], Meta(max_length=MAX_ROWS)]


class GroupBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A group to make: the id that policies name, and the groups that it lies in, for good."""

    id: Label
    description: Description = ""
    parents: Annotated[list[Label], Meta(max_length=MAX_ANCESTORS)] = []


class GroupPatch(Struct, forbid_unknown_fields=True, frozen=True):
    """What people are told of a group."""

    description: Description


class GroupOut(Struct, frozen=True):
    """A group; one whose ``source`` is the tenant's `file` is changed by its stack alone."""

    id: str
    source: str
    description: str
    parents: list[str]
    created_by: str | None
    created_at: datetime | None
    changed_at: datetime | None

    @classmethod
    def of(cls, group: KnownGroup) -> "GroupOut":
        """A group for the answer."""
        made = group.record
        return cls(
            id=group.id,
            source="api" if made else "file",
            description=made.description if made else "",
            parents=list(group.parents),
            created_by=made.created_by if made else None,
            created_at=utc(made.created_at) if made else None,
            changed_at=utc(made.changed_at) if made else None,
        )


class GroupPageOut(Struct, frozen=True):
    """One page of groups in the order of their ids; ``cursor`` asks for the next."""

    groups: list[GroupOut]
    cursor: str | None


class MembersBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Devices to put in and to take out, together up to 200; each stands once."""

    put_in: Devices = []
    take_out: Devices = []


class MemberOut(Struct, frozen=True):
    """What came of one device; ``type`` is that of the problem that one request would be told."""

    device: str
    status: str
    type: str | None
    problem: str | None

    @classmethod
    def of(cls, result: MemberResult) -> "MemberOut":
        """A row for the answer."""
        error = result.error
        return cls(
            device=result.device,
            status=result.status,
            type=type_of(error) if error else None,
            problem=str(error) if error else None,
        )


class MembersOut(Struct, frozen=True):
    """A result for each row, in their order: first those to put in, then those to take out."""

    results: list[MemberOut]


@post("/groups", opt=needs(Permission.MANAGE_GROUPS), response_headers=ETAG)
async def make_group(
    access: Caller,
    operations: Ops,
    data: JSONBody[GroupBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[GroupOut]:
    """Make a group; policies see it above a device as soon as the device is put into it.

    It is made once: a repeated request is 409, or with the same key answered as the first. Its
    parents stay, and its id is given to no other.
    """
    new = NewGroup(
        id=data.id,
        description=data.description,
        parents=tuple(data.parents),
        key=idempotency_key,
    )
    record = await operations.groups.make(access, new)
    return _answered(record, status=201, location=f"/v1/groups/{record.id}")


@get("/groups", opt=needs(Permission.LIST_DEVICES))
async def list_groups(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> GroupPageOut:
    """All groups of the tenant but `all`: those of its file, and those made here."""
    page = await operations.groups.page(access, limit=limit, cursor=cursor)
    return GroupPageOut(groups=[GroupOut.of(group) for group in page.groups], cursor=page.cursor)


@get("/groups/{group:str}", opt=needs(Permission.LIST_DEVICES), response_headers=ETAG)
async def read_group(access: Caller, operations: Ops, group: FromPath[str]) -> Response[GroupOut]:
    """One group; one of the tenant's file has no `ETag`, since nothing of it changes here."""
    found = await operations.groups.read(access, group)
    if found.record is None:
        return Response(GroupOut.of(found))
    return _answered(found.record)


@patch("/groups/{group:str}", opt=needs(Permission.MANAGE_GROUPS), response_headers=ETAG)
async def describe_group(
    access: Caller,
    operations: Ops,
    group: FromPath[str],
    data: JSONBody[GroupPatch],
    if_match: IfMatch = None,
) -> Response[GroupOut]:
    """Say what a group is."""
    change = operations.groups.describe
    return _answered(await change(access, group, data.description, expected(if_match)))


@delete("/groups/{group:str}", opt=needs(Permission.MANAGE_GROUPS), status_code=200)
async def delete_group(
    access: Caller, operations: Ops, group: FromPath[str], if_match: IfMatch = None
) -> GroupOut:
    """Delete a group in which there is no device and no group; the answer is what it was."""
    record = await operations.groups.delete(access, group, expected(if_match))
    return GroupOut.of(KnownGroup(id=record.id, parents=record.parents, record=record))


@get("/groups/{group:str}/members", opt=needs(Permission.LIST_DEVICES, Permission.VIEW_DEVICE))
async def list_members(
    access: Caller,
    operations: Ops,
    group: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DevicePageOut:
    """Devices in a group and in those that lie in it: `GET /v1/devices?group=`, by its place."""
    await operations.groups.check(access, group)
    wanted = DeviceFilter(group=group)
    page = await operations.devices.page(access, limit=limit, cursor=cursor, wanted=wanted)
    return DevicePageOut.of(page)


@post("/groups/{group:str}/members", opt=needs(Permission.SET_DEVICE_GROUPS), status_code=200)
async def change_members(
    access: Caller, operations: Ops, group: FromPath[str], data: JSONBody[MembersBody]
) -> MembersOut:
    """Put up to 200 devices into a group, or take them out, a result a device.

    Each is decided on as it is and as it would be, as `PUT /v1/devices/{device}/groups` is. It may
    be sent again. If nothing of it is allowed, the whole is refused.
    """
    results = await operations.membership.change(
        access, group, put_in=data.put_in, take_out=data.take_out
    )
    return MembersOut(results=[MemberOut.of(one) for one in results])


def _answered(
    record: GroupRecord, *, status: int = 200, location: str | None = None
) -> Response[GroupOut]:
    shown = KnownGroup(id=record.id, parents=record.parents, record=record)
    return tagged(GroupOut.of(shown), record.tag, status=status, location=location)
