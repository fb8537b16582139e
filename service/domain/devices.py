"""A device: what is known of it, what its tenant may set, and how policies see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cedarfleet_device import wire

from service.cedar.device_facts import (
    ONE_OFFSET,
    DeviceFactError,
    device_attributes,
    has_two_offsets,
    read_fact,
)
from service.cedar.entities import device_entities
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.entities import Entity, GroupParents


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """How a device is connected, or was when it was last heard of.

    Attributes:
        since_ms: when it came or went, in milliseconds since the epoch.
    """

    connected: bool
    since_ms: int | None = None
    disconnect_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device of one tenant.

    Attributes:
        groups: those that it was put into, without ``all`` and those above, sorted. One that the
            tenant's file does not name any more counts for nothing.
        attributes: what policies decide by, text by name.
        version: counted up with each change of attributes or groups; 0: nothing was ever stored.
        origin: id of the thing that bears the name now; facts of an earlier thing do not count.
        created_at: of the facts, in milliseconds since the epoch.
    """

    tenant: str
    id: str
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 0
    origin: str = ""
    created_at: int | None = None
    connectivity: Connectivity | None = None

    @property
    def thing(self) -> str:
        """The thing's name in IoT Core."""
        return wire.thing_name(self.tenant, self.id)

    def with_attributes(self, changes: Mapping[str, str | None]) -> Device:
        """The device with attributes set, and without those that are ``None``."""
        merged = {**self.attributes, **changes}
        return replace(
            self, attributes={name: text for name, text in merged.items() if text is not None}
        )

    def with_groups(self, groups: Sequence[str]) -> Device:
        """The device in these groups and in no others."""
        return replace(self, groups=tuple(sorted(groups)))

    def known_groups(self, parents: GroupParents) -> tuple[str, ...]:
        """Those of its groups that the tenant has."""
        return tuple(group for group in self.groups if group in parents)

    def entities(self, parents: GroupParents) -> tuple[Entity, ...]:
        """The device, all groups above it and the tenant, as policies see them.

        Args:
            parents: of the tenant's groups.

        Raises:
            ConflictError: a stored attribute is not of its form, or contradicts another.
        """
        try:
            attributes = device_attributes(self.attributes)
        # Fail closed: a policy that asks for the attribute must not find it missing.
        except DeviceFactError as error:
            wrong = (
                f"an unreadable attribute `{error.fact}`"
                if error.fact
                else "contradicting attributes"
            )
            raise ConflictError(f"device `{self.id}` has {wrong}: {error}") from error
        zone = ZoneInfo(self.attributes["time_zone"]) if "time_zone" in self.attributes else None
        return device_entities(
            self.id,
            tenant=self.tenant,
            groups=self.known_groups(parents),
            parents=parents,
            attributes=attributes,
            time_zone=zone,
        )


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Devices in the order of their ids; ``cursor`` asks for the next page, if there is one."""

    devices: tuple[Device, ...]
    cursor: str | None


def check_attributes(changes: Mapping[str, str | None]) -> None:
    """Refuse changes that could not be read back.

    Raises:
        InvalidRequestError: an attribute is not of its form.
    """
    for name, text in changes.items():
        if text is None:
            continue
        try:
            read_fact(name, text)
        except DeviceFactError as error:
            raise InvalidRequestError(name, str(error)) from error


def check_one_offset(stored: Mapping[str, str], changes: Mapping[str, str | None]) -> None:
    """Refuse changes that would leave a device with a time zone beside a fixed offset.

    Raises:
        InvalidRequestError: names the attribute that was given, and how to change over.
    """
    if not has_two_offsets({**stored, **changes}):
        return
    given, other = (
        ("time_zone", "utc_offset") if changes.get("time_zone") else ("utc_offset", "time_zone")
    )
    raise InvalidRequestError(
        given, f"{ONE_OFFSET}: to change over, set `{other}` to null in the same request"
    )
