"""Which devices of a tenant a list shows, and how a page of them is cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.domain import tags
from service.domain.devices import check_attributes
from service.domain.groups import check_group
from service.domain.tenants import check_listed
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence

    from service.cedar.entities import GroupParents
    from service.domain.devices import Device
    from service.domain.tenants import Tenant

MAX_LOOKED_AT: Final = 500
"""Names of one request, found or not: what a filter leaves out costs reads all the same."""


@dataclass(frozen=True, kw_only=True)
class DeviceFilter:
    """What a device must be to be shown, all of it; nothing is asked of what is not named.

    Attributes:
        group: a group that it is in, also by way of others.
        attributes: texts that it has, by name.
        tags: texts that it has, by name; ``None``: any text.
        text: stands in its id, in an attribute or in the text of a tag, however it is written.
        connected: whether its client had come, and not gone, when it was last heard of.
        versions: versions that it said it has, by package; ``None``: any version.
    """

    group: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    text: str = ""
    connected: bool | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])

    def __bool__(self) -> bool:
        return self != EVERY_DEVICE

    def shows(self, device: Device, parents: GroupParents) -> bool:
        """Whether a device is shown; one of unreadable facts has no group, attribute or tag."""
        seen = device.connectivity
        return (
            (self.group is None or device.is_in(self.group, parents))
            and all(device.attributes.get(name) == text for name, text in self.attributes.items())
            and all(
                name in device.tags and text in (None, device.tags[name])
                for name, text in self.tags.items()
            )
            and self._has_versions(device)
            and self._is_found(device)
            and self.connected in (None, seen is not None and seen.connected)
        )

    def _has_versions(self, device: Device) -> bool:
        said = device.reported.packages if device.reported else {}
        return all(
            name in said and text in (None, said[name]) for name, text in self.versions.items()
        )

    def _is_found(self, device: Device) -> bool:
        sought = self.text.casefold()
        texts = (device.id, *device.attributes.values(), *device.tags.values())
        return not sought or any(sought in text.casefold() for text in texts)


EVERY_DEVICE: Final = DeviceFilter()


def read_tags(given: Sequence[str]) -> dict[str, str | None]:
    """Tags as a request names them: ``building:7``, or ``building`` alone for any text.

    Raises:
        InvalidRequestError: a tag stands twice.
    """
    return _named("tag", given)


def read_versions(given: Sequence[str]) -> dict[str, str | None]:
    """Versions as a request names them: ``firmware:1.4.2``, or ``firmware`` alone for any.

    Raises:
        InvalidRequestError: a package stands twice, or it, or a version, is not of its form.
    """
    found = _named("version", given)
    for name, text in found.items():
        if not wire.is_package(name) or not (text is None or wire.is_version(text)):
            raise InvalidRequestError(
                "version", "must be a package and its version, `firmware:1.2`"
            )
    return found


def _named(field: str, given: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for one in given:
        name, colon, text = one.partition(":")
        if name in found:
            raise InvalidRequestError(field, f"`{name[:64]}` stands twice")
        found[name] = text if colon else None
    return found


def check_filter(tenant: Tenant, wanted: DeviceFilter) -> None:
    """Refuse a filter that no device of the tenant can fit, since it was misspelt.

    Raises:
        InvalidRequestError: names the parameter, and what would be right.
    """
    if wanted.group is not None:
        check_group(tenant, wanted.group, field="group")
    check_attributes(tenant.lists, wanted.attributes)
    for name, text in wanted.tags.items():
        wrong = tags.name_problem(name)
        wrong = wrong or (tags.text_problem(text) if text is not None else None)
        if wrong is not None:
            raise InvalidRequestError("tag", f"`{name[: tags.MAX_NAME]}`: {wrong}")
        check_listed(tenant.lists, "tags", name, field="tag")


async def cut(
    named: AsyncIterable[tuple[str, Device | None]],
    wanted: DeviceFilter,
    parents: GroupParents,
    *,
    limit: int,
    viewed: Callable[[Sequence[Device]], Awaitable[frozenset[str]]],
) -> tuple[tuple[Device, ...], str | None]:
    """The devices of one page, and the name behind which the next begins, if there may be one.

    A page is full, or it was looked at as many names as one request may: then it may be empty, and
    others may follow. After a full page another follows only if there is another device to show.

    Args:
        named: names in their order, each with its device, ``None`` if it has none any more.
        wanted: which devices.
        parents: of the tenant's groups.
        limit: devices of one page.
        viewed: tells of some of them, by their ids, those that may be shown.
    """
    page, shows_all = _Page(limit), not wanted
    some: list[tuple[str, Device | None]] = []
    fitting: list[Device] = []

    async def take() -> bool:
        seen = await viewed(fitting) if fitting else frozenset[str]()
        full = any(
            page.is_full(name, one if one and one.id in seen else None) for name, one in some
        )
        some.clear()
        fitting.clear()
        return full

    async for name, device in named:
        fits = device is not None and (shows_all or wanted.shows(device, parents))
        some.append((name, device if fits else None))
        if device is not None and fits:
            fitting.append(device)
        # One more than the page has room for: whether another follows is to be known.
        if (len(fitting) > page.room or len(some) > page.left) and await take():
            break
    else:
        await take()
    return tuple(page.shown), page.behind


class _Page:
    """A page that is being cut, name by name.

    Attributes:
        shown: its devices so far.
        behind: the name behind which the next page begins, once this one is full.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: str | None = None
        self._looked_at = 0
        self.shown: list[Device] = []
        self.behind: str | None = None

    @property
    def room(self) -> int:
        """Devices that it still takes."""
        return self._limit - len(self.shown)

    @property
    def left(self) -> int:
        """Names that may still be looked at."""
        return MAX_LOOKED_AT - self._looked_at

    def is_full(self, name: str, device: Device | None) -> bool:
        """Take the next name into the page, or say that it belongs to the next one."""
        if self.left == 0 or (device is not None and self.room == 0):
            self.behind = self._last
            return True
        if device is not None:
            self.shown.append(device)
        self._last = name
        self._looked_at += 1
        return False
