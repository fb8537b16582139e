"""Devices: list, read, and set the attributes and groups that policies decide by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import Response, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Label, Limit, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.cedar.group_tree import MAX_ANCESTORS
from service.domain.device_filter import DeviceFilter, read_tags, read_versions
from service.domain.devices import Device, DevicePage, ReportedVersions
from service.domain.permissions import Permission
from service.domain.tags import MAX_NAME, MAX_TAGS, MAX_TEXT
from service.domain.wanted_versions import MAX_PINS


class ConnectivityOut(Struct, frozen=True):
    """A device's connection: of one device as it is now, in a list as it was when last heard of.

    ``since`` is when it came or went. In a list this is what events told, which come late, twice
    and out of order; read the device for the broker's own word.
    """

    connected: bool
    since: datetime | None
    disconnect_reason: str | None


class ReportedVersionsOut(Struct, frozen=True):
    """What the device said last of what runs on it; nothing is decided by it.

    What it answers of its state, key by key, is `GET /v1/devices/{device}/state`.
    """

    at: datetime | None
    agent: str
    packages: dict[str, str]
    """Versions by package; `firmware` is among them if its maker names it."""

    @classmethod
    def of(cls, said: ReportedVersions) -> "ReportedVersionsOut":
        """Versions for the answer."""
        return cls(at=utc(said.at), agent=said.agent, packages=dict(said.packages))


class DeviceOut(Struct, frozen=True):
    """A device."""

    id: str
    groups: list[str]
    attributes: dict[str, str]
    tags: dict[str, str]
    connectivity: ConnectivityOut | None
    enrolled: bool
    """`false`: registered, and not come yet."""
    pinned: list[str]
    """Packages of which it is brought to no wanted version."""
    retired_at: datetime | None
    reported: ReportedVersionsOut | None
    unreadable: str | None
    """Why no policy can decide on the device; `null` if what is stored of it has its form."""
    may: list[str] | UnsetType = UNSET
    """Of the actions that the parameter `may` names: those that the caller may do to it now."""

    @classmethod
    def of(cls, device: Device, may: Sequence[Permission] | UnsetType = UNSET) -> "DeviceOut":
        """A device for the answer."""
        seen = device.connectivity
        return cls(
            id=device.id,
            groups=list(device.groups),
            attributes=dict(device.attributes),
            tags=dict(device.tags),
            connectivity=ConnectivityOut(seen.connected, utc(seen.since_ms), seen.disconnect_reason)
            if seen
            else None,
            enrolled=device.enrolled,
            pinned=list(device.pinned),
            retired_at=utc(device.retired_at),
            reported=ReportedVersionsOut.of(device.reported) if device.reported else None,
            unreadable=device.problem,
            may=UNSET if isinstance(may, UnsetType) else [*may],
        )


class DevicePageOut(Struct, frozen=True):
    """One page of devices; ``cursor`` asks for the next."""

    devices: list[DeviceOut]
    cursor: str | None

    @classmethod
    def of(
        cls, page: DevicePage, may: Sequence[Sequence[Permission]] | None = None
    ) -> "DevicePageOut":
        """A page for the answer, with what may be done to each device if that was asked."""
        each = may if may is not None else [UNSET] * len(page.devices)
        return cls(
            devices=[DeviceOut.of(*one) for one in zip(page.devices, each, strict=True)],
            cursor=page.cursor,
        )


class DevicePatch(Struct, forbid_unknown_fields=True, frozen=True):
    """Attributes to set; ``null`` removes one, what is left out stays."""

    kind: Label | UnsetType | None = UNSET
    region: Label | UnsetType | None = UNSET
    criticality: Label | UnsetType | None = UNSET
    utc_offset: Label | UnsetType | None = UNSET
    time_zone: Label | UnsetType | None = UNSET
    window: Label | UnsetType | None = UNSET
    security_patch: Label | UnsetType | None = UNSET

    def changes(self) -> dict[str, str | None]:
        """What was given."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


class GroupsBody(Struct, forbid_unknown_fields=True, frozen=True):
    """All groups that the device shall be in, without ``all`` and those above the named ones."""

    groups: Annotated[list[Label], Meta(max_length=MAX_ANCESTORS)]


class TagsPatch(Struct, forbid_unknown_fields=True, frozen=True):
    """Tags to set; ``null`` removes one, what is left out stays."""

    tags: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=MAX_NAME)],
            Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)] | None,
        ],
        Meta(max_length=MAX_TAGS),
    ]


class PinsBody(Struct, forbid_unknown_fields=True, frozen=True):
    """All packages that the device shall be left alone with; none: it is pinned to nothing."""

    packages: Annotated[list[Label], Meta(max_length=MAX_PINS)]


InGroup = Annotated[
    str | None,
    QueryParameter(max_length=64, description="in this group, or in one that lies in it"),
]
Tagged = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=10,
        description="with this tag, `building:7`, or with any text of it, `building`; repeatable",
    ),
]
Connected = Annotated[
    bool | None,
    QueryParameter(description="as it was last heard of; `false`: also if it never was"),
]
Text = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="in its id, an attribute or the text of a tag; `Press` finds `press`",
    ),
]
Version = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=10,
        description="on which this runs, as it said last: `firmware:1.4.2`, or `firmware` for any"
        " version; repeatable",
    ),
]
Fact = Annotated[str | None, QueryParameter(max_length=64, description="with this attribute")]
MayI = Annotated[
    list[Permission] | None,
    QueryParameter(
        max_items=10,
        description="say of each device whether the caller may do this to it now; repeatable",
    ),
]


@get("/devices", opt=needs(Permission.LIST_DEVICES, Permission.VIEW_DEVICE))
async def list_devices(
    access: Caller,
    operations: Ops,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    group: InGroup = None,
    tag: Tagged = None,
    text: Text = "",
    connected: Connected = None,
    version: Version = None,
    kind: Fact = None,
    region: Fact = None,
    criticality: Fact = None,
    utc_offset: Fact = None,
    time_zone: Fact = None,
    window: Fact = None,
    security_patch: Fact = None,
    may: MayI = None,
) -> DevicePageOut:
    """The devices that the caller may view, with the last that was heard of their connections.

    A page may have less than `limit` devices, or none, and a `cursor` all the same: a request looks
    at 500 devices at most. Without a `cursor` it was the last.
    """
    attributes = {
        "kind": kind,
        "region": region,
        "criticality": criticality,
        "utc_offset": utc_offset,
        "time_zone": time_zone,
        "window": window,
        "security_patch": security_patch,
    }
    wanted = DeviceFilter(
        group=group,
        attributes={name: text for name, text in attributes.items() if text is not None},
        tags=read_tags(tag or ()),
        text=text,
        connected=connected,
        versions=read_versions(version or ()),
    )
    page = await operations.devices.page(access, limit=limit, cursor=cursor, wanted=wanted)
    allowed = await operations.permissions.on_devices(access, page.devices, may) if may else None
    return DevicePageOut.of(page, allowed)


@get(
    "/devices/{device:str}",
    opt=needs(Permission.VIEW_DEVICE, Permission.LIST_DEVICES),
    response_headers=ETAG,
)
async def read_device(
    access: Caller, operations: Ops, device: FromPath[str], may: MayI = None
) -> Response[DeviceOut]:
    """One device."""
    found = await operations.devices.read(access, device)
    if not may:
        return answered(found)
    (allowed,) = await operations.permissions.on_devices(access, [found], may)
    return tagged(DeviceOut.of(found, allowed), found.tag)


def answered(device: Device) -> Response[DeviceOut]:
    """A device with its entity tag."""
    return tagged(DeviceOut.of(device), device.tag)


@patch("/devices/{device:str}", opt=needs(Permission.CONFIGURE_DEVICE), response_headers=ETAG)
async def configure_device(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[DevicePatch],
    if_match: IfMatch = None,
) -> Response[DeviceOut]:
    """Set the attributes that policies decide by."""
    change = operations.devices.configure
    return answered(await change(access, device, data.changes(), expected(if_match)))


@put(
    "/devices/{device:str}/groups",
    opt=needs(Permission.SET_DEVICE_GROUPS),
    response_headers=ETAG,
)
async def set_device_groups(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[GroupsBody],
    if_match: IfMatch = None,
) -> Response[DeviceOut]:
    """Put a device into groups, and take it out of all others."""
    change = operations.devices.set_groups
    return answered(await change(access, device, data.groups, expected(if_match)))


@patch("/devices/{device:str}/tags", opt=needs(Permission.SET_DEVICE_TAGS), response_headers=ETAG)
async def set_device_tags(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[TagsPatch],
    if_match: IfMatch = None,
) -> Response[DeviceOut]:
    """Set facts of the tenant's own; policies say who may set which."""
    change = operations.devices.set_tags
    return answered(await change(access, device, data.tags, expected(if_match)))


@put("/devices/{device:str}/pins", opt=needs(Permission.PIN_DEVICE), response_headers=ETAG)
async def pin_device(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[PinsBody],
    if_match: IfMatch = None,
) -> Response[DeviceOut]:
    """Leave a device at the versions of these packages that it has, whatever its groups want.

    A job that it has already it may still carry out.
    """
    change = operations.devices.pin
    return answered(await change(access, device, data.packages, expected(if_match)))


@post(
    "/devices/{device:str}/retire",
    opt=needs(Permission.RETIRE_DEVICE),
    status_code=200,
    response_headers=ETAG,
)
async def retire_device(
    access: Caller, operations: Ops, device: FromPath[str], if_match: IfMatch = None
) -> Response[DeviceOut]:
    """End a device for good: its certificates are inactive, its connection ends, its facts stay.

    No code, command or file is for it any more. What is asked again does again what may have been
    cut off. Its name is given to no other device while its thing is there.
    """
    return answered(await operations.retirement.retire(access, device, expected(if_match)))
