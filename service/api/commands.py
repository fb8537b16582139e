"""Commands: send one to a device now, and read where it stands."""

from datetime import datetime
from typing import Annotated, Any

from cedarfleet_device import wire
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import (
    Accepted,
    Caller,
    Cursor,
    Emergency,
    IdempotencyKey,
    Limit,
    Ops,
    StatedReason,
    emergency_reason,
    instant,
    stated_reason,
    utc,
)
from service.domain.built_in_commands import BUILT_IN
from service.domain.commands import CommandFilter, IfOffline
from service.domain.permissions import COMMANDING, Permission
from service.domain.rates import Budget
from service.operations.commands import CommandRequest, CommandView

TimeoutSeconds = Annotated[
    int,
    Meta(
        ge=1,
        # Longer, and the broker would have dropped what the record still calls waiting.
        le=wire.SESSION_EXPIRY_SECONDS,
        description="no start after this many seconds; 60, unless the command's type says"
        " otherwise",
    ),
]


class CommandBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A command for one device."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="one of the tenant's commands, e.g. `reboot`, or `upload-logs`",
        ),
    ]
    arguments: dict[str, Any] = {}
    timeout_seconds: TimeoutSeconds | None = None
    if_offline: Annotated[
        IfOffline,
        Meta(
            description="whether the command waits for a device that is not connected: `queue`;"
            " or fails at once: `refuse`"
        ),
    ] = IfOffline.QUEUE
    emergency: Emergency | None = None
    reason: StatedReason | None = None


class CancelBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A cancel; in an emergency whoever may send only then may take back only then."""

    emergency: Emergency | None = None


class ReportedOut(Struct, frozen=True):
    """One state that the device reported; ``device_time`` is by its own clock."""

    sequence: int
    state: str
    detail: dict[str, Any]
    device_time: datetime | None
    received_at: datetime | None


class CommandOut(Struct, frozen=True):
    """Where a command stands; ``reported_by`` says who knows it.

    A command is `publishing` while it is handed over, and `unconfirmed` where the answer to that
    was lost: it may have left. `expired`: no device starts it any more. That is final only of one
    that never left; of any other the device may yet tell that it had started it in time.
    `canceled`: it never begins; one whose cancel was asked for after it may have left stays as it
    was until its device says what became of it. What is final stays.

    ``history`` is what the device reported, the last 200 states; ``history_truncated``: it reported
    more, or a detail that is too large or cannot be said in JSON.
    """

    id: str
    device: str
    name: str
    state: str
    is_final: bool
    reported_by: str
    detail: dict[str, Any]
    reason: str | None
    campaign: str | None
    created_by: str
    created_at: datetime | None
    expires_at: datetime | None
    cancel_requested_at: datetime | None
    history: list[ReportedOut]
    history_truncated: bool

    @classmethod
    def of(cls, view: CommandView) -> "CommandOut":
        """A command for the answer."""
        record, status = view.recorded.record, view.status
        return cls(
            id=record.command_id,
            device=record.device,
            name=record.name,
            state=status.state,
            is_final=status.is_final,
            reported_by=status.reported_by,
            detail=dict(status.detail),
            reason=record.reason,
            campaign=record.campaign,
            created_by=record.created_by,
            created_at=utc(record.created_at),
            expires_at=utc(record.expires_at),
            cancel_requested_at=utc(record.canceled_at),
            history=[
                ReportedOut(
                    told.sequence,
                    told.state,
                    dict(told.detail),
                    utc(told.device_time),
                    utc(told.received_at),
                )
                for told in sorted(view.recorded.states, key=lambda told: told.sequence)
            ],
            history_truncated=view.recorded.truncated,
        )


@post(
    "/devices/{device:str}/commands",
    opt=needs(*COMMANDING, *BUILT_IN.values(), budget=Budget.COMMANDS),
    status_code=202,
)
async def send_command(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[CommandBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Send a command to a device; the answer says where to watch it.

    Its arguments must fit its type, and it may need a reason: `GET /v1/command-types` says.

    Its state is `received` where the device took it at once. Commands may overtake each other: one
    that is sent to a connected device comes before those that still wait for it. Repeated with its
    `Idempotency-Key` a command is sent again if it is not known to have left; one that failed stays
    failed.
    """
    request = CommandRequest(
        device=device,
        name=data.name,
        arguments=data.arguments,
        timeout_seconds=data.timeout_seconds,
        if_offline=data.if_offline,
        emergency_reason=emergency_reason(data.emergency),
        reason=stated_reason(data.reason),
        idempotency_key=idempotency_key,
    )
    record = await operations.commands.send(access, request)
    return Accepted(
        id=record.command_id, url=f"/v1/commands/{record.command_id}", state=record.state
    ).answer()


class CommandPageOut(Struct, frozen=True):
    """One page of commands, the newest first; ``cursor`` asks for the next."""

    commands: list[CommandOut]
    cursor: str | None


Named = Annotated[str | None, QueryParameter(max_length=64, description="of this name")]
Of = Annotated[str | None, QueryParameter(max_length=64, description="of this device")]
By = Annotated[
    str | None, QueryParameter(max_length=256, description="sent by whom, as `created_by` names it")
]
# `state` is a name of Litestar's own.
InState = Annotated[
    str | None, QueryParameter(name="state", max_length=64, description="in this state now")
]
Since = Annotated[
    str | None,
    QueryParameter(max_length=64, description="sent at this time (RFC 3339) or later"),
]
Before = Annotated[
    str | None, QueryParameter(max_length=64, description="sent before this time (RFC 3339)")
]


def _wanted(
    device: str | None,
    name: str | None,
    created_by: str | None,
    since: str | None,
    before: str | None,
) -> CommandFilter:
    return CommandFilter(
        device=device,
        name=name,
        created_by=created_by,
        since=instant("since", since),
        before=instant("before", before),
    )


@get("/commands", opt=needs(Permission.VIEW_COMMAND))
async def list_commands(
    access: Caller,
    operations: Ops,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: Of = None,
    name: Named = None,
    created_by: By = None,
    in_state: InState = None,
    since: Since = None,
    before: Before = None,
) -> CommandPageOut:
    """Commands of the last 90 days that the caller may view, the newest first.

    A page may have less than `limit` commands, or none, and a `cursor` all the same. Those of
    releases that kept no list stand with their device alone.
    """
    views, behind = await operations.command_lists.page(
        access,
        wanted=_wanted(device, name, created_by, since, before),
        state=in_state,
        limit=limit,
        cursor=cursor,
    )
    return CommandPageOut(commands=[CommandOut.of(view) for view in views], cursor=behind)


@get("/devices/{device:str}/commands", opt=needs(Permission.VIEW_COMMAND))
async def list_device_commands(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    name: Named = None,
    created_by: By = None,
    in_state: InState = None,
    since: Since = None,
    before: Before = None,
) -> CommandPageOut:
    """Commands of one device of the last 90 days, the newest first."""
    views, behind = await operations.command_lists.of_device(
        access,
        device,
        wanted=_wanted(None, name, created_by, since, before),
        state=in_state,
        limit=limit,
        cursor=cursor,
    )
    return CommandPageOut(commands=[CommandOut.of(view) for view in views], cursor=behind)


@post(
    "/commands/{command_id:str}/cancel", opt=needs(*COMMANDING, *BUILT_IN.values()), status_code=202
)
async def cancel_command(
    access: Caller, operations: Ops, command_id: FromPath[str], data: JSONBody[CancelBody]
) -> Response[Accepted]:
    """Have a command not begin, if it has not begun; who may send it may take it back.

    Its state is `canceled` where it surely never begins. Where it may have left for its device, the
    device is told, and says itself whether it had begun: one that has begun goes on. A device that
    is away gets the command before its cancel. Asked again it is the same; what is over is 409.
    """
    view = await operations.command_cancel.cancel(
        access, command_id, emergency_reason=emergency_reason(data.emergency)
    )
    return Accepted(
        id=command_id, url=f"/v1/commands/{command_id}", state=view.status.state
    ).answer()


@get("/commands/{command_id:str}", opt=needs(Permission.VIEW_COMMAND, Permission.LIST_DEVICES))
async def read_command(access: Caller, operations: Ops, command_id: FromPath[str]) -> CommandOut:
    """Where a command stands."""
    return CommandOut.of(await operations.commands.read(access, command_id))
