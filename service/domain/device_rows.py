"""What is written down of one device, by whom, and which device that makes.

The service writes the facts; events of IoT Core write that a thing of this name was made or deleted
and that its client came or went. Events come late, twice and out of order: nothing here depends on
the order in which they came.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from service.domain.devices import Connectivity, Device, ReportedVersions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.enrolments import Enrolment

# AWS counts a client's versions anew when it was away for about an hour (source: AWS IoT developer
# guide, "Lifecycle events"): versions that are further apart in time cannot be compared.
_COMPARABLE_MS: Final = 30 * 60 * 1000
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Facts(NamedTuple):
    """What policies decide by; times are milliseconds since the epoch.

    Attributes:
        origin: id of the thing for which they hold, or of the registration that it was made for.
        pinned: packages of which the device is brought to no wanted version.
    """

    attributes: Mapping[str, str]
    groups: tuple[str, ...]
    version: int
    origin: str
    created_at: int
    changed_at: int
    changed_by: str
    tags: Mapping[str, str] = _NONE
    pinned: tuple[str, ...] = ()


class Presence(NamedTuple):
    """That a client came or went; ``at`` is in milliseconds since the epoch."""

    at: int
    version: int
    reason: str | None = None


class DeviceRows(NamedTuple):
    """All that is written down under one device's name.

    These are tuples, since a page makes some of each for every device: a frozen dataclass takes
    four times as long to make.

    Attributes:
        unreadable: what is wrong with the row of the facts, if there is one that has not its form.
        born: id of a thing that was made under this name -> when.
        gone: ids of those that were deleted.
        retired: id of a thing that was retired, or of its registration -> when.
        enrolments: by the id of their registrations.
        versions: what a client of this name said last of what runs on it.
    """

    facts: Facts | None = None
    unreadable: str | None = None
    born: Mapping[str, int] = _NONE
    gone: frozenset[str] = frozenset()
    retired: Mapping[str, int] = _NONE
    enrolments: Mapping[str, Enrolment] = _NONE
    versions: ReportedVersions | None = None
    connected: Presence | None = None
    disconnected: Presence | None = None

    @property
    def living(self) -> str | None:
        """The id of the thing that bears the name now.

        A thing that was made and not deleted, of several the one that was made last: a name has one
        thing at a time, so the others' end has not been told yet. The facts' own thing lives too if
        nothing else is known of it.
        """
        alive = [(at, thing) for thing, at in self.born.items() if thing not in self.gone]
        if alive:
            return max(alive)[1]
        origin = self._holder
        return origin if origin is not None and origin not in self.gone else None

    @property
    def retired_at(self) -> int | None:
        """When the device of this name was retired; the name stays so until its thing is gone.

        Fail closed: a thing that was made while its registration was retired is retired too.
        """
        return min((at for one, at in self.retired.items() if one not in self.gone), default=None)

    @property
    def standing(self) -> tuple[Enrolment, ...]:
        """Enrolments of things that are not gone."""
        return tuple(one for one in self.enrolments.values() if one.thing_id not in self.gone)

    @property
    def _holder(self) -> str | None:
        """The thing for which the facts hold, or the registration that has none yet."""
        if self.facts is None:
            return None
        enrolment = self.enrolments.get(self.facts.origin)
        return (enrolment.thing_id if enrolment else "") or self.facts.origin

    @property
    def enrolment(self) -> Enrolment | None:
        """The enrolment of the device that bears the name; ``None``: it was never registered.

        Facts that were changed since the enrolment name the thing, not the registration.
        """
        if self.living is None or self.facts is None:
            return None
        named = self.enrolments.get(self.facts.origin)
        if named is not None and (named.thing_id or self.facts.origin) not in self.gone:
            return named
        return next((one for one in self.enrolments.values() if one.thing_id == self.living), None)

    def device(self, tenant: str, device_id: str) -> Device | None:
        """The device, with the last that was heard of its connection; ``None`` if there is none."""
        facts, living = self.facts, self.living
        # Whose facts they are, nobody can read: a device for which nothing but they speaks is shown
        # all the same, so that somebody sees it.
        if living is None and self.unreadable is not None and not self.gone:
            living = ""
        if living is None:
            return None
        born_at = self.born.get(living)
        # Fail closed: a new thing under an old name is another device.
        own = facts if facts is not None and self._holder == living else None
        enrolment = self.enrolment if self.enrolments else None
        return Device(
            tenant=tenant,
            id=device_id,
            groups=own.groups if own else (),
            attributes=own.attributes if own else {},
            tags=own.tags if own else {},
            version=facts.version if facts else 0,
            origin=living,
            created_at=own.created_at if own else None,
            connectivity=self._connectivity(born_at or 0),
            unreadable=self.unreadable,
            retired_at=self.retired_at if self.retired else None,
            enrolled=enrolment is None or enrolment.enrolled_at is not None,
            reported=self._reported(born_at or 0),
            pinned=own.pinned if own else (),
            born_at=born_at,
        )

    def _reported(self, since: int) -> ReportedVersions | None:
        """What this thing can have said."""
        said = self.versions
        return said if said is not None and said.at >= since else None

    def _connectivity(self, since: int) -> Connectivity | None:
        """The later of both events, of those that this thing can have caused."""
        came, went = self.connected, self.disconnected
        came = came if came is not None and came.at >= since else None
        went = went if went is not None and went.at >= since else None
        if came is not None and (went is None or _is_later(came, went)):
            return Connectivity(connected=True, since_ms=came.at)
        if went is not None:
            return Connectivity(connected=False, since_ms=went.at, disconnect_reason=went.reason)
        return None


def _is_later(came: Presence, went: Presence) -> bool:
    """Whether a client came after it went; both ends of one connection have the same version."""
    if abs(came.at - went.at) > _COMPARABLE_MS:
        return came.at > went.at
    return came.version > went.version
