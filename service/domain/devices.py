"""A device, its groups and attributes: in the API's form, and as Cedar entities for the policies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from cedarfleet_device import wire

from service.domain.decisions import Entity, EntityId, Value
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT_GROUP: Final = "all"
"""The group of every device of a tenant; its thing group is the tenant's root group."""

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>0[0-9]|1[0-4]):(?P<minutes>[0-5][0-9])")
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_WINDOW: Final = re.compile(rf"(?P<start>{_CLOCK})-(?P<end>{_CLOCK})")
_ZONE: Final = re.compile(r"[A-Za-z]+(?:/[A-Za-z0-9_-]+){1,2}")  # no `+`, which IoT Core does not store
_ONE_OFFSET: Final = "a device has a `time_zone` or a fixed `utc_offset`, not both"
_LEVELS: Final = ("low", "medium", "high")


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
        if _has_two_offsets(self.attributes):  # fail closed: nobody knows which of the two holds
            raise ConflictError(f"device `{self.id}` has contradicting attributes: {_ONE_OFFSET}")
        attributes: dict[str, Value] = {"tenant": tenant_uid(self.tenant)}
        for name, text in self.attributes.items():
            try:
                attributes |= ATTRIBUTES[name](text)
            except KeyError:
                continue
            except ValueError as error:  # fail closed: a policy that asks for the attribute must not find it missing
                raise ConflictError(f"device `{self.id}` has an unreadable attribute `{name}`: {error}") from error
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
        return Entity(uid=self.uid, attributes={"tenant": tenant_uid(self.tenant)}, parents=(parent,))

    def entities(self) -> tuple[Entity, ...]:
        """The group and its ancestors."""
        root = () if self.id == ROOT_GROUP else (DeviceGroup(tenant=self.tenant, id=ROOT_GROUP).entity(),)
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
    return group if separator and prefix == tenant and wire.is_device_id(group) and group != ROOT_GROUP else None


def tenant_uid(tenant: str) -> EntityId:
    """The tenant in the policies."""
    return EntityId("Fleet::Tenant", tenant)


def tenant_entity(tenant: str) -> Entity:
    """The tenant without attributes or parents."""
    return Entity(uid=tenant_uid(tenant), attributes={})


def group_uid(group: str) -> EntityId:
    """A device group in the policies."""
    return EntityId("Fleet::DeviceGroup", group)


def check_attributes(changes: Mapping[str, str | None]) -> None:
    """Refuse changes that could not be read back.

    Raises:
        InvalidRequestError: an attribute is not of its form.
    """
    for name, text in changes.items():
        if text is None:
            continue
        try:
            ATTRIBUTES[name](text)
        except ValueError as error:
            raise InvalidRequestError(name, str(error)) from error


def check_one_offset(stored: Mapping[str, str], changes: Mapping[str, str | None]) -> None:
    """Refuse changes that would leave a device with a time zone beside a fixed offset.

    Raises:
        InvalidRequestError: names the attribute that was given, and how to change over.
    """
    if not _has_two_offsets({**stored, **changes}):
        return
    given, other = ("time_zone", "utc_offset") if changes.get("time_zone") else ("utc_offset", "time_zone")
    raise InvalidRequestError(given, f"{_ONE_OFFSET}: to change over, set `{other}` to null in the same request")


def _has_two_offsets(attributes: Mapping[str, str | None]) -> bool:
    return all(attributes.get(name) is not None for name in ("time_zone", "utc_offset"))


def _label(name: str) -> Callable[[str], dict[str, Value]]:
    def parse(text: str) -> dict[str, Value]:
        if _LABEL.fullmatch(text) is None:
            raise ValueError("must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`")
        return {name: text}

    return parse


def _criticality(text: str) -> dict[str, Value]:
    if text not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return {"criticality": text}


def _utc_offset(text: str) -> dict[str, Value]:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("must be like `+02:00`, at most 14 hours")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return {"utc_offset": -offset if match["sign"] == "-" else offset}


def _time_zone(text: str) -> dict[str, Value]:
    if _ZONE.fullmatch(text) is None or text not in _zones():
        raise ValueError("must be an IANA time zone like `Europe/Berlin`, written exactly so")
    return {}  # policies see the `utc_offset` of the moment: `Entity.at`


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _window(text: str) -> dict[str, Value]:
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError("must be like `22:00-04:00`, device-local time")
    return {"window_start": _time_of_day(match["start"]), "window_end": _time_of_day(match["end"])}


def _time_of_day(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _security_patch(text: str) -> dict[str, Value]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError("must be a date like `2026-10-01`")
    return {"security_patch": datetime(day.year, day.month, day.day, tzinfo=UTC)}


ATTRIBUTES: Final[Mapping[str, Callable[[str], dict[str, Value]]]] = {
    "kind": _label("kind"),
    "region": _label("region"),
    "criticality": _criticality,
    "utc_offset": _utc_offset,
    "time_zone": _time_zone,
    "window": _window,
    "security_patch": _security_patch,
}
"""Each attribute that a tenant sets, with its reader into Cedar attributes; the reader raises ``ValueError``."""
