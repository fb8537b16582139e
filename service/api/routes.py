"""The routes of version 1; each states its action and holds no logic."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Response, Router, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter, SkipValidation

from service.api.access import guard, needs, provide_access, provide_operations, signed_in
from service.api.bodies import (
    Accepted,
    CommandBody,
    CommandOut,
    DeviceOut,
    DevicePageOut,
    DevicePatch,
    DownloadBody,
    DownloadOut,
    Me,
)
from service.api.requests import check_body, decided_middleware
from service.domain.downloads import TargetKind
from service.domain.permissions import COMMANDING, DELIVERING, Permission
from service.errors import InvalidRequestError
from service.operations import Operations
from service.operations.access import Access
from service.operations.commands import CommandRequest
from service.operations.downloads import DownloadRequest

# Ours, made in this process: nothing to validate.
Caller = NamedDependency[SkipValidation[Access]]
Doing = NamedDependency[SkipValidation[Operations]]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="at most this many on one page")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=4096, description="the `cursor` of the page before")
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="repeat a request with the same key: it is done once, within 24 hours",
    ),
]


@get("/me", opt=signed_in(), sync_to_thread=False)
def read_me(access: Caller) -> Me:
    """Who calls: the tenant, the principal, its groups, and the tenant's command names."""
    principal = access.principal
    return Me(
        tenant=principal.tenant.id,
        principal=principal.entity_id,
        token_use=principal.token_use,
        groups=list(principal.groups),
        email=principal.email,
        expires_at=datetime.fromtimestamp(principal.expires_at, UTC),
        commands=sorted(principal.tenant.commands),
    )


@get("/devices", opt=needs(Permission.LIST_DEVICES))
async def list_devices(
    access: Caller, operations: Doing, limit: Limit = 50, cursor: Cursor = None
) -> DevicePageOut:
    """The tenant's devices with their connectivity."""
    return DevicePageOut.of(await operations.devices.page(access, limit=limit, cursor=cursor))


@get("/devices/{device:str}", opt=needs(Permission.VIEW_DEVICE))
async def read_device(access: Caller, operations: Doing, device: FromPath[str]) -> DeviceOut:
    """One device."""
    return DeviceOut.of(await operations.devices.read(access, device))


@patch("/devices/{device:str}", opt=needs(Permission.CONFIGURE_DEVICE))
async def configure_device(
    access: Caller, operations: Doing, device: FromPath[str], data: JSONBody[DevicePatch]
) -> DeviceOut:
    """Set the attributes that policies decide by."""
    return DeviceOut.of(await operations.devices.configure(access, device, data.changes()))


@post("/devices/{device:str}/commands", opt=needs(*COMMANDING), status_code=202)
async def send_command(
    access: Caller,
    operations: Doing,
    device: FromPath[str],
    data: JSONBody[CommandBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Send a command to a device; the answer says where to watch it."""
    request = CommandRequest(
        device=device,
        name=data.name,
        arguments=data.arguments,
        timeout_seconds=data.timeout_seconds,
        emergency_reason=data.emergency.reason.strip() if data.emergency else None,
        idempotency_key=idempotency_key,
    )
    record = await operations.commands.send(access, request)
    return _accepted(record.command_id, f"/v1/commands/{record.command_id}", record.state)


@get("/commands/{command_id:str}", opt=needs(Permission.VIEW_COMMAND))
async def read_command(access: Caller, operations: Doing, command_id: FromPath[str]) -> CommandOut:
    """Where a command stands."""
    return CommandOut.of(await operations.commands.read(access, command_id))


@post("/downloads", opt=needs(*DELIVERING), status_code=202)
async def start_download(
    access: Caller,
    operations: Doing,
    data: JSONBody[DownloadBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Deliver a file to a device or to each device of a group."""
    if (data.device is None) == (data.group is None):
        raise InvalidRequestError("device", "give exactly one of `device` and `group`")
    request = DownloadRequest(
        target_kind=TargetKind.GROUP if data.device is None else TargetKind.DEVICE,
        target=data.device or data.group or "",
        artifact=data.artifact,
        emergency_reason=data.emergency.reason.strip() if data.emergency else None,
        idempotency_key=idempotency_key,
    )
    record = await operations.downloads.start(access, request)
    return _accepted(record.download_id, f"/v1/downloads/{record.download_id}", record.state)


@get("/downloads/{download_id:str}", opt=needs(Permission.VIEW_DOWNLOAD))
async def read_download(
    access: Caller,
    operations: Doing,
    download_id: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DownloadOut:
    """How far each device of a download came."""
    return DownloadOut.of(
        await operations.downloads.read(access, download_id, limit=limit, cursor=cursor)
    )


def _accepted(made: str, url: str, state: str) -> Response[Accepted]:
    return Response(
        Accepted(id=made, url=url, state=state), status_code=202, headers={"Location": url}
    )


ROUTES: Final[list[Any]] = [
    read_me,
    list_devices,
    read_device,
    configure_device,
    send_command,
    read_command,
    start_download,
    read_download,
]


def version_1() -> Router:
    """The versioned router; its guard stands here: an app-level one would also meet Litestar's own OPTIONS handlers."""
    return Router(
        path="/v1",
        route_handlers=ROUTES,
        guards=[guard],
        before_request=check_body,
        middleware=[decided_middleware],
        dependencies={"access": Provide(provide_access), "operations": Provide(provide_operations)},
        security=[{"bearer": []}],
    )
