"""A device and its groups: in the API's form, and as Cedar entities for the policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cedarfleet_device import wire

from service.domain.attributes import ATTRIBUTES, ONE_OFFSET, has_two_offsets
from service.domain.decisions import Entity, EntityId, Value
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT_GROUP: Final = "all"
"""The group of every device of a tenant; its thing group is the tenant's root group."""


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """What the fleet index last saw of a device's connection; ``since_ms`` is milliseconds since the epoch."""

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

    @property
    def uid(self) -> EntityId:
        """The device in the policies."""
        return EntityId("Fleet::Device", self.id)

    def entities(self) -> tuple[Entity, ...]:
        """The device, its groups and the tenant.

        Raises:
            ConflictError: a stored attribute is not of its form, or contradicts another; a policy must not decide
                without it.
        """
        if has_two_offsets(self.attributes):  # fail closed: nobody knows which of the two holds
            raise ConflictError(f"device `{self.id}` has contradicting attributes: {ONE_OFFSET}")
        attributes: dict[str, Value] = {"tenant": tenant_uid(self.tenant)}
        for name, text in self.attributes.items():
            try:
                attributes |= ATTRIBUTES[name](text)
            except KeyError:
                continue
            except ValueError as error:  # fail closed: a policy that asks for the attribute must not find it missing
                raise ConflictError(
                    f"device `{self.id}` has an unreadable attribute `{name}`: {error}"
                ) from error
        parents = (group_uid(ROOT_GROUP), *(group_uid(group) for group in self.groups))
        groups = tuple(DeviceGroup(tenant=self.tenant, id=group).entity() for group in self.groups)
        zone = ZoneInfo(self.attributes["time_zone"]) if "time_zone" in self.attributes else None
        return (
            Entity(uid=self.uid, attributes=attributes, parents=parents, time_zone=zone),
            *groups,
            DeviceGroup(tenant=self.tenant, id=ROOT_GROUP).entity(),
            tenant_entity(self.tenant),
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

    @property
    def uid(self) -> EntityId:
        """The group in the policies."""
        return group_uid(self.id)

    def entity(self) -> Entity:
        """The group under its parent: the root group, whose parent is the tenant."""
        parent = tenant_uid(self.tenant) if self.id == ROOT_GROUP else group_uid(ROOT_GROUP)
        return Entity(
            uid=self.uid, attributes={"tenant": tenant_uid(self.tenant)}, parents=(parent,)
        )

    def entities(self) -> tuple[Entity, ...]:
        """The group and its ancestors."""
        root = (
            ()
            if self.id == ROOT_GROUP
            else (DeviceGroup(tenant=self.tenant, id=ROOT_GROUP).entity(),)
        )
        return (self.entity(), *root, tenant_entity(self.tenant))


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


def tenant_uid(tenant: str) -> EntityId:
    """The tenant in the policies."""
    return EntityId("Fleet::Tenant", tenant)


def tenant_entity(tenant: str) -> Entity:
    """The tenant without attributes or parents."""
    return Entity(uid=tenant_uid(tenant), attributes={})


def group_uid(group: str) -> EntityId:
    """A device group in the policies."""
    return EntityId("Fleet::DeviceGroup", group)
