"""Command types: what commands there are, what each asks for, and making more of them."""

from datetime import datetime
from typing import Annotated, Any

from cedarfleet_device import wire
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Label, Limit, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.domain.command_rules import MAX_DESCRIPTION, USUAL_TIMEOUT_SECONDS, CommandRules
from service.domain.command_types import CommandType, CommandTypeRecord
from service.domain.permissions import Permission

Seconds = Annotated[int, Meta(ge=1, le=wire.SESSION_EXPIRY_SECONDS)]


class CommandTypeBody(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command as it shall be; what is left out is as if nothing were said."""

    action: Annotated[
        str,
        Meta(
            max_length=64,
            description="the Cedar action that sending it asks for: `OperateDevice`,"
            " `SetParameters`, `StopDevice` or `MaintainDevice`",
        ),
    ]
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION)] = ""
    parameters: Annotated[
        dict[str, Any] | None,
        Meta(
            description="JSON Schema (2020-12) of its arguments, `type` is `object`; references"
            " lead to its own `$defs` alone, patterns have no look-around; `null`: any arguments"
        ),
    ] = None
    timeout_seconds: Annotated[
        Seconds, Meta(description="no start after so long, where its sender names no time")
    ] = USUAL_TIMEOUT_SECONDS
    max_timeout_seconds: Annotated[
        Seconds, Meta(description="the longest that a sender may name")
    ] = wire.SESSION_EXPIRY_SECONDS
    needs_reason: Annotated[bool, Meta(description="its sender says why")] = False

    @property
    def rules(self) -> CommandRules:
        """What is asked of a command that is sent."""
        return CommandRules(
            description=self.description,
            parameters=self.parameters,
            timeout_seconds=self.timeout_seconds,
            max_timeout_seconds=self.max_timeout_seconds,
            needs_reason=self.needs_reason,
        )


class NewCommandTypeBody(CommandTypeBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command to make: the name that devices know it by, and what it shall be."""

    name: Label


class CommandTypeOut(Struct, frozen=True):
    """A command; one whose ``source`` is the tenant's `file` is changed by its stack alone."""

    name: str
    source: str
    action: str
    description: str
    parameters: dict[str, Any] | None
    timeout_seconds: int
    max_timeout_seconds: int
    needs_reason: bool
    changed_by: str | None
    changed_at: datetime | None

    @classmethod
    def of(cls, one: CommandType) -> "CommandTypeOut":
        """A command type for the answer."""
        rules, made = one.rules, one.record
        return cls(
            name=one.name,
            source="api" if made else "file",
            action=one.action,
            description=rules.description,
            parameters=None if rules.parameters is None else dict(rules.parameters),
            timeout_seconds=rules.timeout_seconds,
            max_timeout_seconds=rules.max_timeout_seconds,
            needs_reason=rules.needs_reason,
            changed_by=made.changed_by if made else None,
            changed_at=utc(made.changed_at) if made else None,
        )

    @classmethod
    def of_record(cls, record: CommandTypeRecord) -> "CommandTypeOut":
        """One that was made here."""
        return cls.of(
            CommandType(name=record.name, action=record.action, rules=record.rules, record=record)
        )


class CommandTypePageOut(Struct, frozen=True):
    """One page of command types in the order of their names; ``cursor`` asks for the next."""

    command_types: list[CommandTypeOut]
    cursor: str | None


@get("/command-types", opt=needs(Permission.LIST_DEVICES))
async def list_command_types(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> CommandTypePageOut:
    """All commands of the tenant: those of its file, and those made here."""
    page = await operations.command_types.page(access, limit=limit, cursor=cursor)
    return CommandTypePageOut(
        command_types=[CommandTypeOut.of(one) for one in page.types], cursor=page.cursor
    )


@get("/command-types/{command_type:str}", opt=needs(Permission.LIST_DEVICES), response_headers=ETAG)
async def read_command_type(
    access: Caller, operations: Ops, command_type: FromPath[str]
) -> Response[CommandTypeOut]:
    """One command; one of the tenant's file has no `ETag`, since nothing of it changes here."""
    found = await operations.command_types.read(access, command_type)
    if found.record is None:
        return Response(CommandTypeOut.of(found))
    return tagged(CommandTypeOut.of(found), found.record.tag)


@post("/command-types", opt=needs(Permission.MANAGE_COMMAND_TYPES), response_headers=ETAG)
async def make_command_type(
    access: Caller, operations: Ops, data: JSONBody[NewCommandTypeBody]
) -> Response[CommandTypeOut]:
    """Make a command that can be sent at once; devices need a handler of its name.

    It is made once: a repeated request is 409, as is a name of the tenant's file, which counts
    first. Asked of its action, and of the one that the name had if it was ended before.
    """
    record = await operations.command_types.make(access, data.name, data.action, data.rules)
    return tagged(
        CommandTypeOut.of_record(record),
        record.tag,
        status=201,
        location=f"/v1/command-types/{record.name}",
    )


@put(
    "/command-types/{command_type:str}",
    opt=needs(Permission.MANAGE_COMMAND_TYPES),
    response_headers=ETAG,
)
async def change_command_type(
    access: Caller,
    operations: Ops,
    command_type: FromPath[str],
    data: JSONBody[CommandTypeBody],
    if_match: IfMatch = None,
) -> Response[CommandTypeOut]:
    """Put a command in place of one that was made here.

    Asked of the action that it has, and of the one that it shall have: no command goes from those
    who may send it to others unless a policy lets the caller handle both.
    """
    record = await operations.command_types.change(
        access, command_type, data.action, data.rules, expected(if_match)
    )
    return tagged(CommandTypeOut.of_record(record), record.tag)


@delete(
    "/command-types/{command_type:str}",
    opt=needs(Permission.MANAGE_COMMAND_TYPES),
    status_code=200,
)
async def end_command_type(
    access: Caller, operations: Ops, command_type: FromPath[str], if_match: IfMatch = None
) -> CommandTypeOut:
    """Have a command be sent no more; what was sent goes on. The answer is what it was."""
    return CommandTypeOut.of_record(
        await operations.command_types.end(access, command_type, expected(if_match))
    )
