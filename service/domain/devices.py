"""A device: what is known of it, what its tenant may set, and how policies see it."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    from collections.abc import Mapping

    from service.cedar.entities import Entity


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """What the fleet index last saw of a connection; ``since_ms`` is since the epoch."""

    connected: bool
    since_ms: int | None = None
    disconnect_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device of one tenant.

    Attributes:
        groups: without the tenant's prefix and without ``all``, sorted.
        attributes: as IoT Core stores them, text by name.
        version: counted up by IoT Core with each change of the attributes.
    """

    tenant: str
    id: str
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 1
    connectivity: Connectivity | None = None

    @property
    def thing(self) -> str:
        """The thing's name in IoT Core."""
        return wire.thing_name(self.tenant, self.id)

    def entities(self) -> tuple[Entity, ...]:
        """The device, its groups and the tenant, as policies see them.

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
            groups=self.groups,
            attributes=attributes,
            time_zone=zone,
        )


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Devices in the index's order; ``cursor`` asks for the next page, ``None`` after the last."""

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
