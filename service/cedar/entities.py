"""The entities of a tenant: itself, its device groups, its devices and its files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from service.cedar.group_tree import with_ancestors
from service.cedar.values import EntityUid, form_of, json_value
from service.kept import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from service.cedar.values import Form, Value

USER: Final = "Fleet::User"
GROUP: Final = "Fleet::Group"
TENANT: Final = "Fleet::Tenant"
DEVICE: Final = "Fleet::Device"
DEVICE_GROUP: Final = "Fleet::DeviceGroup"
ARTIFACT: Final = "Fleet::Artifact"
GroupParents: TypeAlias = "Mapping[str, Sequence[str]]"
"""Device group -> the groups that it lies in directly; none: in the root group alone."""
_SHARED: Final = 4096  # entities that many requests have, of all tenants
ROOT_GROUP: Final = "all"
"""The device group of every device of a tenant."""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """An entity with its attributes and direct parents.

    Attributes:
        tags: of a device, texts that its tenant gave names to.
        time_zone: where the entity stands, if its ``utc_offset`` depends on the moment.
    """

    uid: EntityUid
    attributes: Mapping[str, Value]
    parents: tuple[EntityUid, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    time_zone: ZoneInfo | None = None

    def at(self, now: datetime) -> Entity:
        """The entity as policies see it at ``now``: in a time zone, with that moment's offset."""
        offset = now.astimezone(self.time_zone).utcoffset() if self.time_zone else None
        return (
            self
            if offset is None
            else replace(self, attributes={**self.attributes, "utc_offset": offset})
        )

    @kept
    def text(self) -> str:
        """The entity in Cedar's JSON form, written down."""
        return msgspec.json.encode(self.json()).decode()

    @kept
    def form(self) -> Form:
        """The types in the entity; whether it fits a schema depends on nothing else."""
        return (
            self.uid.type,
            form_of(self.attributes),
            frozenset([parent.type for parent in self.parents]),
            not self.tags,
        )

    def json(self) -> dict[str, Any]:
        """The entity in Cedar's JSON form."""
        return {
            "uid": self.uid.json(),
            "attrs": {name: json_value(value) for name, value in self.attributes.items()},
            "parents": [parent.json() for parent in self.parents],
            # A schema of an earlier release declares no tags, and takes none, not even no tags.
            **({"tags": dict(self.tags)} if self.tags else {}),
        }


def tenant_uid(tenant: str) -> EntityUid:
    """The tenant in the policies."""
    return EntityUid(TENANT, tenant)


def group_uid(group: str) -> EntityUid:
    """A device group in the policies."""
    return EntityUid(DEVICE_GROUP, group)


@lru_cache(maxsize=_SHARED)
def tenant_entity(tenant: str) -> Entity:
    """The tenant without attributes or parents."""
    return Entity(uid=tenant_uid(tenant), attributes={})


def group_entities(group: str, *, tenant: str, parents: GroupParents) -> tuple[Entity, ...]:
    """A device group, all groups above it, and the tenant.

    Raises:
        CircularGroupsError: ``parents`` leads back.
    """
    if group == ROOT_GROUP:
        return _root(tenant)
    above = (one for one in with_ancestors([group], parents) if one != group)
    return (
        _group(group, tenant, parents),
        *(_group(one, tenant, parents) for one in above),
        *_root(tenant),
    )


def device_entities(
    device: str,
    *,
    tenant: str,
    groups: Iterable[str],
    parents: GroupParents,
    attributes: Mapping[str, Value],
    tags: Mapping[str, str] | None = None,
    time_zone: ZoneInfo | None = None,
) -> tuple[Entity, ...]:
    """A device, its groups and all above them, the root group and the tenant.

    Args:
        device: its id within the tenant.
        tenant: whose it is.
        groups: the groups that it is in directly, without the root group.
        parents: of the tenant's groups.
        attributes: what policies see of it beside its tenant (see ``device_facts``).
        tags: facts of the tenant's own.
        time_zone: where it stands, unless ``attributes`` has its fixed ``utc_offset``.

    Raises:
        CircularGroupsError: ``parents`` leads back.
    """
    root = group_uid(ROOT_GROUP)
    own = tuple(groups)
    return (
        Entity(
            uid=EntityUid(DEVICE, device),
            attributes={"tenant": tenant_uid(tenant), **attributes},
            parents=(root, *(group_uid(group) for group in own)),
            tags=dict(tags or {}),
            time_zone=time_zone,
        ),
        *(_group(group, tenant, parents) for group in with_ancestors(own, parents)),
        *_root(tenant),
    )


def artifact_entity(name: str, *, tenant: str, kind: str, size: int) -> Entity:
    """A file under its tenant; ``kind`` is ``file`` or ``firmware``, ``size`` is in bytes."""
    owner = tenant_uid(tenant)
    return Entity(
        uid=EntityUid(ARTIFACT, name),
        attributes={"tenant": owner, "kind": kind, "size": size},
        parents=(owner,),
    )


@lru_cache(maxsize=_SHARED)
def _root(tenant: str) -> tuple[Entity, ...]:
    owner = tenant_uid(tenant)
    root = Entity(uid=group_uid(ROOT_GROUP), attributes={"tenant": owner}, parents=(owner,))
    return (root, tenant_entity(tenant))


def _group(group: str, tenant: str, parents: GroupParents) -> Entity:
    return _group_below(group, tenant, tuple(parents.get(group) or (ROOT_GROUP,)))


@lru_cache(maxsize=_SHARED)
def _group_below(group: str, tenant: str, above: tuple[str, ...]) -> Entity:
    return Entity(
        uid=group_uid(group),
        attributes={"tenant": tenant_uid(tenant)},
        parents=tuple(group_uid(parent) for parent in above),
    )
