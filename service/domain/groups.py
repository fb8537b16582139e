"""A group of devices: named by its tenant, a thing group in IoT Core, an entity for policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.cedar.entities import ROOT_GROUP, group_entities

if TYPE_CHECKING:
    from service.cedar.entities import Entity


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
