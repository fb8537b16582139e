"""A device and its groups: in the API's form, and as Cedar entities for the policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cedarfleet_device import wire

from service.cedar.device_facts import DeviceFactError, device_attributes
from service.cedar.entities import ROOT_GROUP, device_entities, group_entities
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.entities import Entity


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """What the fleet index last saw of a connection; ``since_ms`` is milliseconds since the epoch."""

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
class DeviceGroup:
    """A thing group of a tenant, named without the tenant's prefix; ``all`` is the root."""

    tenant: str
    id: str

    @property
    def thing_group(self) -> str:
        """The group's name in IoT Core."""
        return self.tenant if self.id == ROOT_GROUP else f"{self.tenant}--{self.id}"

    def entities(self) -> tuple[Entity, ...]:
        """The group and its ancestors, as policies see them."""
        return group_entities(self.id, tenant=self.tenant)


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Devices in the index's order; ``cursor`` asks for the next page, ``None`` after the last."""

    devices: tuple[Device, ...]
    cursor: str | None


def group_id_of(tenant: str, thing_group: str) -> str | None:
    """The tenant's name for a thing group, or ``None`` if the group is not of the tenant."""
    if thing_group == tenant:
        return ROOT_GROUP
    prefix, separator, group = thing_group.partition("--")
    return (
        group
        if separator and prefix == tenant and wire.is_device_id(group) and group != ROOT_GROUP
        else None
    )
