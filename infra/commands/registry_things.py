"""What IoT Core's registry knows of a tenant's devices: read with the operator's own rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.cedar.device_facts import DEVICE_FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OFFSET: Final = "utc_offset"
_PAGE: Final = 250  # the most that IoT Core gives at once


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A thing that is a device of the tenant.

    Attributes:
        id: AWS's, another one for each thing that ever had the name.
        attributes: those that policies decide by, as release 0.1.0 read them.
        lines: of the tenant's file, from the thing groups of release 0.1.0.
    """

    device: str
    id: str
    attributes: Mapping[str, str]
    lines: tuple[str, ...]


def things_of(iot: Any, tenant: str) -> Iterator[Thing]:
    """The tenant's devices.

    All things are gone through, since one that stands outside the tenant's thing group is a device
    of the service all the same.
    """
    pages = iot.get_paginator("list_things").paginate(PaginationConfig={"PageSize": _PAGE})
    for page in pages:
        for listed in page["things"]:
            try:
                owner, device = wire.split_thing_name(listed["thingName"])
            except wire.WireError:
                continue
            if owner == tenant and (thing := _thing(iot, tenant, device)) is not None:
                yield thing


def _thing(iot: Any, tenant: str, device: str) -> Thing | None:
    name = wire.thing_name(tenant, device)
    try:
        described = iot.describe_thing(thingName=name)
        pages = iot.get_paginator("list_thing_groups_for_thing").paginate(thingName=name)
        groups = [group["groupName"] for page in pages for group in page["thingGroups"]]
    except iot.exceptions.ResourceNotFoundException:  # deleted since it was listed
        return None
    stored: Mapping[str, str] = described.get("attributes", {})
    return Thing(
        device=device,
        id=described["thingId"],
        attributes={
            fact: _read(fact, text) for fact, text in sorted(stored.items()) if fact in DEVICE_FACTS
        },
        lines=tuple(sorted(filter(None, (_line(tenant, group) for group in groups)))),
    )


def _line(tenant: str, group: str) -> str | None:
    owner, separator, line = group.partition("--")
    return line if separator and owner == tenant and wire.is_device_id(line) else None


def _read(fact: str, stored: str) -> str:
    """The fact as it is written; IoT Core stores no `+`, so release 0.1.0 left it out."""
    return f"+{stored}" if fact == _OFFSET and stored[:1].isdigit() else stored
