"""Desired and reported state of a device: read it, and ask for another."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, get, patch
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.domain.device_state import MAX_KEYS, DeviceState, StateEntry, readable
from service.domain.permissions import Permission


class DesiredStateOut(Struct, frozen=True):
    """What was asked of one key."""

    version: int
    value: Any
    asked_at: datetime | None


class ReportedStateOut(Struct, frozen=True):
    """What the device answered."""

    version: int
    value: Any
    """What holds now, as far as the device knows; `null` also where it knows nothing."""
    failed: str | None
    """Why what was asked was not done; `null`: it was."""
    at: datetime | None


class StateEntryOut(Struct, frozen=True):
    """One key of the state."""

    desired: DesiredStateOut | None
    reported: ReportedStateOut | None
    settled: bool
    """Whether the device has answered what was asked last, with success or not."""

    @classmethod
    def of(cls, entry: StateEntry) -> "StateEntryOut":
        """A key for the answer."""
        asked, told = entry.desired, entry.reported
        return cls(
            desired=None
            if asked is None
            else DesiredStateOut(
                version=asked.version, value=readable(asked.value), asked_at=utc(asked.asked_at)
            ),
            reported=None
            if told is None
            else ReportedStateOut(
                version=told.version,
                value=readable(told.value),
                failed=told.failed,
                at=utc(told.at),
            ),
            settled=entry.settled,
        )


class DeviceStateOut(Struct, frozen=True):
    """The state of a device, by key."""

    state: dict[str, StateEntryOut]

    @classmethod
    def of(cls, state: DeviceState) -> "DeviceStateOut":
        """A state for the answer."""
        return cls(state={entry.key: StateEntryOut.of(entry) for entry in state.entries})


class DesiredStateIn(Struct, forbid_unknown_fields=True, frozen=True):
    """What is asked of one key; `version` is of the handler that the value is meant for."""

    value: Any
    version: Annotated[int, Meta(ge=1, le=9999)] = 1


class StatePatch(Struct, forbid_unknown_fields=True, frozen=True):
    """Keys to ask for; ``null`` asks for nothing any more, what is left out stays."""

    desired: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=40)], DesiredStateIn | None],
        Meta(max_length=MAX_KEYS),
    ]


def _answered(state: DeviceState, access: Caller, device: str) -> Response[DeviceStateOut]:
    return tagged(DeviceStateOut.of(state), state.tag(access.principal.tenant.id, device))


@get("/devices/{device:str}/state", opt=needs(Permission.VIEW_DEVICE), response_headers=ETAG)
async def read_state(
    access: Caller, operations: Ops, device: FromPath[str]
) -> Response[DeviceStateOut]:
    """What was asked of a device, key by key, and what it answered."""
    return _answered(await operations.states.read(access, device), access, device)


@patch("/devices/{device:str}/state", opt=needs(Permission.CHANGE_STATE), response_headers=ETAG)
async def change_state(
    access: Caller,
    operations: Ops,
    device: FromPath[str],
    data: JSONBody[StatePatch],
    if_match: IfMatch = None,
) -> Response[DeviceStateOut]:
    """Ask a device for another state; it is done once the device is there, and answered.

    All keys of a device together may take 8 KB. A device that is away learns of it when it comes.
    """
    changes = {
        key: None if wanted is None else (wanted.version, wanted.value)
        for key, wanted in data.desired.items()
    }
    changed = await operations.states.change(access, device, changes, expected(if_match))
    return _answered(changed, access, device)
