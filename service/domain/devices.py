"""A device: what is known of it, what its tenant may set, and how policies see it."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cedarfleet_device import wire

from service.cedar.device_facts import (
    ONE_OFFSET,
    DeviceFactError,
    device_attributes,
    has_two_offsets,
    read_fact,
)
from service.cedar.entities import ROOT_GROUP, device_entities
from service.cedar.group_tree import with_ancestors
from service.domain import tags
from service.domain.preconditions import entity_tag
from service.domain.tenants import check_listed
from service.errors import ConflictError, InvalidRequestError
from service.kept import kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from service.cedar.entities import Entity, GroupParents
    from service.cedar.reads import Reads
    from service.cedar.values import Value


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
class ReportedVersions:
    """What a device said last of what runs on it; no policy decides by it.

    Attributes:
        at: when that came, in milliseconds since the epoch.
        agent: version of its agent.
        packages: versions by package.
    """

    at: int
    agent: str
    packages: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device of one tenant.

    Attributes:
        groups: those that it was put into, without ``all`` and those above, sorted. One that the
            tenant's file does not name any more counts for nothing.
        attributes: what policies decide by, text by name.
        tags: what the tenant itself has policies decide by, text by name.
        version: counted up with each change of these; 0: nothing was ever stored.
        origin: id of the thing that bears the name now; facts of an earlier thing do not count.
        created_at: of the facts, in milliseconds since the epoch.
        unreadable: what is wrong with the row of its facts, if that is not of its form: then
            nothing is known of the device but its name.
        made: groups made at run time, at least those that it is in and all above them, each with
            the groups that it lies in.
        retired_at: when it was retired, in milliseconds since the epoch; it is shown, and nothing
            else is done with it.
        enrolled: whether it has what lets it in; ``False``: it is registered, and has not come yet.
        reported: what it said last of its versions; ``None``: nothing yet.
        pinned: packages of which it is brought to no wanted version, sorted.
        born_at: when its thing was made, in milliseconds since the epoch; ``None``: nobody knows.
    """

    tenant: str
    id: str
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 0
    origin: str = ""
    created_at: int | None = None
    connectivity: Connectivity | None = None
    unreadable: str | None = None
    retired_at: int | None = None
    enrolled: bool = True
    reported: ReportedVersions | None = None
    pinned: tuple[str, ...] = ()
    born_at: int | None = field(default=None, compare=False)
    made: GroupParents = field(
        default_factory=dict[str, "Sequence[str]"], compare=False, repr=False
    )

    @property
    def thing(self) -> str:
        """The thing's name in IoT Core."""
        return wire.thing_name(self.tenant, self.id)

    @property
    def tag(self) -> str:
        """The entity tag of what its tenant may set; a new thing under an old name has another."""
        return entity_tag("device", self.tenant, self.id, self.origin, self.version)

    def with_attributes(self, changes: Mapping[str, str | None]) -> Device:
        """The device with attributes set, and without those that are ``None``."""
        merged = {**self.attributes, **changes}
        return replace(
            self, attributes={name: text for name, text in merged.items() if text is not None}
        )

    def with_tags(self, changes: Mapping[str, str | None]) -> Device:
        """The device with tags set, and without those that are ``None``."""
        merged = {**self.tags, **changes}
        return replace(self, tags={name: text for name, text in merged.items() if text is not None})

    def with_groups(self, groups: Sequence[str]) -> Device:
        """The device in these groups and in no others."""
        return replace(self, groups=tuple(sorted(groups)))

    def known_groups(self, parents: GroupParents) -> tuple[str, ...]:
        """Those of its groups that the tenant has."""
        return tuple(group for group in self.groups if group in parents or group in self.made)

    def is_in(self, group: str, parents: GroupParents) -> bool:
        """Whether it is in a group, also by way of others.

        Args:
            group: the root group too.
            parents: of the tenant's groups.
        """
        return group == ROOT_GROUP or group in with_ancestors(
            self.known_groups(parents), self._tree(parents)
        )

    def is_served_in(self, group: str, parents: GroupParents) -> bool:
        """Whether what is sent to a group is for it."""
        return self.retired_at is None and self.is_in(group, parents)

    def _tree(self, parents: GroupParents) -> GroupParents:
        # What the tenant's file declares counts before what was made under the same id.
        return ChainMap(dict(parents), dict(self.made)) if self.made else parents

    def as_read(self, reads: Reads | None, parents: GroupParents) -> tuple[object, ...]:
        """What policies can read of the device: devices of which it is equal are decided alike.

        Args:
            reads: what the policies can read; ``None``: anything.
            parents: of the tenant's groups.
        """
        if reads is None or self.id in reads.devices:
            return (self.id,)
        facts = reads.facts
        return (
            None,
            with_ancestors(self.known_groups(parents), self._tree(parents)) if reads.groups else (),
            tuple(sorted(self.attributes.items()))
            if facts is None
            else tuple([self.attributes.get(name) for name in facts]),
            tuple(sorted(self.tags.items())) if reads.tags else (),
        )

    @kept
    def problem(self) -> str | None:
        """Why no policy can decide on the device, in words; ``None`` for nearly all."""
        try:
            self._attributes  # noqa: B018 - looked at, for what it raises
        except ConflictError as error:
            return str(error)
        return None

    @kept
    def _attributes(self) -> dict[str, Value]:
        # Fail closed: a policy that asks for a fact must not find it missing.
        if self.unreadable is not None:
            raise ConflictError(f"device `{self.id}` has unreadable facts: {self.unreadable}")
        if (wrong := tags.problem(self.tags)) is not None:
            raise ConflictError(f"device `{self.id}` has unreadable tags: {wrong}")
        try:
            return device_attributes(self.attributes)
        except DeviceFactError as error:
            wrong = (
                f"an unreadable attribute `{error.fact}`"
                if error.fact
                else "contradicting attributes"
            )
            raise ConflictError(f"device `{self.id}` has {wrong}: {error}") from error

    def entities(self, parents: GroupParents) -> tuple[Entity, ...]:
        """The device, all groups above it and the tenant, as policies see them.

        Args:
            parents: of the tenant's groups.

        Raises:
            ConflictError: what is stored of it is not of its form, or contradicts itself.
        """
        attributes = self._attributes
        zone = ZoneInfo(self.attributes["time_zone"]) if "time_zone" in self.attributes else None
        return device_entities(
            self.id,
            tenant=self.tenant,
            groups=self.known_groups(parents),
            parents=self._tree(parents),
            attributes=attributes,
            tags=self.tags,
            time_zone=zone,
        )


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Devices in the order of their ids; ``cursor`` asks for the next page, if there is one."""

    devices: tuple[Device, ...]
    cursor: str | None


def changed_meanwhile(device_id: str) -> str:
    """What is told whose change came second."""
    return f"device `{device_id}` was changed meanwhile; read it and try again"


_FIRST_PATCH: Final = "2000-01-01"
_LISTED: Final = {"kind": "kinds", "region": "regions"}


def check_attributes(
    lists: Mapping[str, frozenset[str]], changes: Mapping[str, str | None]
) -> None:
    """Refuse changes that could not be read back, and values that the tenant's file does not list.

    Args:
        lists: of the tenant's file.
        changes: text by name; ``None`` removes one.

    Raises:
        InvalidRequestError: an attribute is not of its form, or is not listed.
    """
    for name, text in changes.items():
        if text is None:
            continue
        try:
            read_fact(name, text)
        except DeviceFactError as error:
            raise InvalidRequestError(name, str(error)) from error
        if name in _LISTED:
            check_listed(lists, _LISTED[name], text, field=name)


def check_patch_date(changes: Mapping[str, str | None], *, today: date) -> None:
    """Refuse a day on which no patch can have come; ``changes`` are of their form.

    Raises:
        InvalidRequestError: it is before 2000, or after tomorrow: east of Greenwich that has begun.
    """
    text = changes.get("security_patch")
    tomorrow = (today + timedelta(days=1)).isoformat()
    # ISO dates are in order as texts.
    if text is not None and not _FIRST_PATCH <= text <= tomorrow:
        raise InvalidRequestError(
            "security_patch", f"`{text}` is no day of a patch: from {_FIRST_PATCH} to {tomorrow}"
        )


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
