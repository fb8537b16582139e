"""Devices: list, read, and set the attributes and groups that policies decide by."""

from datetime import datetime
from typing import Annotated

from litestar import get, patch, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Label, Limit, Ops, utc
from service.cedar.group_tree import MAX_ANCESTORS
from service.domain.devices import Device, DevicePage
from service.domain.permissions import Permission


class ConnectivityOut(Struct, frozen=True):
    """A device's connection: of one device as it is now, in a list as it was when last heard of.

    ``since`` is when it came or went. In a list this is what events told, which come late, twice
    and out of order; read the device for the broker's own word.
    """

    connected: bool
    since: datetime | None
    disconnect_reason: str | None


class DeviceOut(Struct, frozen=True):
    """A device."""

    id: str
    groups: list[str]
    attributes: dict[str, str]
    connectivity: ConnectivityOut | None

    @classmethod
    def of(cls, device: Device) -> "DeviceOut":
        """A device for the answer."""
        seen = device.connectivity
        return cls(
            id=device.id,
            groups=list(device.groups),
            attributes=dict(device.attributes),
            connectivity=ConnectivityOut(seen.connected, utc(seen.since_ms), seen.disconnect_reason)
            if seen
            else None,
        )


class DevicePageOut(Struct, frozen=True):
    """One page of devices; ``cursor`` asks for the next."""

    devices: list[DeviceOut]
    cursor: str | None

    @classmethod
    def of(cls, page: DevicePage) -> "DevicePageOut":
        """A page for the answer."""
        return cls(devices=[DeviceOut.of(device) for device in page.devices], cursor=page.cursor)


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


@get("/devices", opt=needs(Permission.LIST_DEVICES))
async def list_devices(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> DevicePageOut:
    """The tenant's devices, with the last that was heard of their connections."""
    return DevicePageOut.of(await operations.devices.page(access, limit=limit, cursor=cursor))


@get("/devices/{device:str}", opt=needs(Permission.VIEW_DEVICE))
async def read_device(access: Caller, operations: Ops, device: FromPath[str]) -> DeviceOut:
    """One device."""
    return DeviceOut.of(await operations.devices.read(access, device))


@patch("/devices/{device:str}", opt=needs(Permission.CONFIGURE_DEVICE))
async def configure_device(
    access: Caller, operations: Ops, device: FromPath[str], data: JSONBody[DevicePatch]
) -> DeviceOut:
    """Set the attributes that policies decide by."""
    return DeviceOut.of(await operations.devices.configure(access, device, data.changes()))


@put("/devices/{device:str}/groups", opt=needs(Permission.SET_DEVICE_GROUPS))
async def set_device_groups(
    access: Caller, operations: Ops, device: FromPath[str], data: JSONBody[GroupsBody]
) -> DeviceOut:
    """Put a device into groups, and take it out of all others."""
    return DeviceOut.of(await operations.devices.set_groups(access, device, data.groups))
