"""The bodies of requests and answers; unknown members are refused, times are RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from service.domain.devices import Device, DevicePage
from service.domain.downloads import Delivery
from service.operations.commands import CommandView
from service.operations.downloads import DownloadView

Reason = Annotated[
    str, Meta(pattern=r"\S", max_length=500, description="why this is an emergency; audited")
]
Label = Annotated[str, Meta(min_length=1, max_length=64)]


class Emergency(Struct, forbid_unknown_fields=True, frozen=True):
    """The caller's declaration of an emergency; policies may allow more, and it is audited."""

    reason: Reason


class CommandBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A command for one device."""

    name: Annotated[
        str,
        Meta(
            min_length=1, max_length=64, description="one of the tenant's commands, e.g. `reboot`"
        ),
    ]
    arguments: dict[str, Any] = {}
    timeout_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="no start after this many seconds")
    ] = 60
    emergency: Emergency | None = None


class DownloadBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A file for one device or one group; exactly one of both."""

    artifact: Annotated[
        str, Meta(min_length=1, max_length=512, description="a file of the tenant's bucket")
    ]
    device: Label | None = None
    group: Label | None = None
    emergency: Emergency | None = None


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


class Me(Struct, frozen=True):
    """Who calls."""

    tenant: str
    principal: str
    token_use: str
    groups: list[str]
    email: str | None
    expires_at: datetime
    commands: list[str]


class ConnectivityOut(Struct, frozen=True):
    """A device's connection as the fleet index last saw it."""

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
            connectivity=ConnectivityOut(
                seen.connected, _time(seen.since_ms), seen.disconnect_reason
            )
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


class Accepted(Struct, frozen=True):
    """What was accepted, and where it can be watched."""

    id: str
    url: str
    state: str


class ReportedOut(Struct, frozen=True):
    """One state that the device reported; ``device_time`` is by its own clock."""

    sequence: int
    state: str
    detail: dict[str, Any]
    device_time: datetime | None
    received_at: datetime | None


class CommandOut(Struct, frozen=True):
    """Where a command stands; ``reported_by`` says who knows it.

    ``history`` is what the device reported, the last 200 states; ``history_truncated``: it reported more, or a detail
    that is too large or cannot be said in JSON.
    """

    id: str
    device: str
    name: str
    state: str
    is_final: bool
    reported_by: str
    detail: dict[str, Any]
    created_by: str
    created_at: datetime | None
    expires_at: datetime | None
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
            created_by=record.created_by,
            created_at=_time(record.created_at),
            expires_at=_time(record.expires_at),
            history=[
                ReportedOut(
                    told.sequence,
                    told.state,
                    dict(told.detail),
                    _time(told.device_time),
                    _time(told.received_at),
                )
                for told in sorted(view.recorded.states, key=lambda told: told.sequence)
            ],
            history_truncated=view.recorded.truncated,
        )


class DeliveryOut(Struct, frozen=True):
    """One device's part of a download."""

    device: str
    state: str
    detail: dict[str, str]
    queued_at: datetime | None
    started_at: datetime | None
    updated_at: datetime | None
    attempt: int

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryOut":
        """A delivery for the answer."""
        times = (_time(delivery.queued_at), _time(delivery.started_at), _time(delivery.updated_at))
        return cls(delivery.device, delivery.state, dict(delivery.detail), *times, delivery.attempt)


class DownloadOut(Struct, frozen=True):
    """How far a download came."""

    id: str
    device: str | None
    group: str | None
    artifact: str
    size: int
    sha256: str
    state: str
    failure: str | None
    created_by: str
    created_at: datetime | None
    counts: dict[str, int]
    deliveries: list[DeliveryOut]
    cursor: str | None

    @classmethod
    def of(cls, view: DownloadView) -> "DownloadOut":
        """A download for the answer."""
        record, progress = view.record, view.progress
        return cls(
            id=record.download_id,
            device=record.target if record.target_kind == "device" else None,
            group=record.target if record.target_kind == "group" else None,
            artifact=record.artifact,
            size=record.size,
            sha256=record.sha256,
            state=progress.state,
            failure=record.failure if progress.state == "failed" else None,
            created_by=record.created_by,
            created_at=_time(record.created_at),
            counts={str(state): count for state, count in progress.counts.items()},
            deliveries=[DeliveryOut.of(delivery) for delivery in progress.deliveries],
            cursor=progress.cursor,
        )


def _time(milliseconds: int | None) -> datetime | None:
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a device's clock may say anything
