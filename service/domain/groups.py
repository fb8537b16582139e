"""A group of devices: declared by its tenant's file, an entity for policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.cedar.entities import ROOT_GROUP, group_entities
from service.cedar.group_tree import MAX_ANCESTORS, too_many
from service.errors import InvalidRequestError
from service.nearest_name import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.entities import Entity, GroupParents
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class DeviceGroup:
    """A group of a tenant; ``all`` is the root, in which every device is."""

    tenant: str
    id: str

    @property
    def is_root(self) -> bool:
        """Whether every device of the tenant is in it."""
        return self.id == ROOT_GROUP

    def entities(self, parents: GroupParents) -> tuple[Entity, ...]:
        """The group and all groups above it, as policies see them."""
        return group_entities(self.id, tenant=self.tenant, parents=parents)


def find_group(tenant: Tenant, group_id: str) -> DeviceGroup | None:
    """One group, or ``None`` if the tenant has no such group."""
    known = group_id == ROOT_GROUP or group_id in tenant.groups
    return DeviceGroup(tenant=tenant.id, id=group_id) if known else None


def check_group(tenant: Tenant, group: str, *, field: str) -> None:
    """Refuse a group that the tenant does not have.

    Raises:
        InvalidRequestError: of ``field``; with those that there are, and what may be meant.
    """
    if find_group(tenant, group) is None:
        names = ", ".join(sorted(tenant.groups)) or "none"
        meant = did_you_mean(group, tenant.groups)
        raise InvalidRequestError(
            field, f"the tenant has no group `{group}`; it has: {names}{meant}"
        )


def check_groups(tenant: Tenant, groups: Sequence[str]) -> None:
    """Refuse groups that no device of the tenant can be put into together.

    Raises:
        InvalidRequestError: a group is unknown or named twice, or they lie in too many.
    """
    for index, group in enumerate(groups):
        if group in groups[:index]:
            raise InvalidRequestError("groups", f"`{group}` stands twice")
        if group == ROOT_GROUP:
            raise InvalidRequestError("groups", f"leave `{ROOT_GROUP}` out: every device is in it")
        check_group(tenant, group, field="groups")
    if count := too_many(groups, tenant.groups):
        raise InvalidRequestError(
            "groups",
            f"these lie in {count} groups together; policies decide on at most {MAX_ANCESTORS}",
        )
