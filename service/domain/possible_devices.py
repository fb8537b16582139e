"""What a device may be of whose facts some cannot be read: every device that they may stand for.

No policy can decide on such a device. Whoever is allowed something on each device that it may be is
allowed it on this one, whatever its facts are: so it can still be stopped.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final

from service.cedar.device_facts import (
    DEVICE_FACTS,
    LEVELS,
    DeviceFactError,
    has_two_offsets,
    read_fact,
)
from service.domain import tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.devices import Device
    from service.domain.tenants import Tenant

MOST: Final = 300
"""Ten questions to the policy store, each about thirty devices."""
_LISTED: Final = {"kind": "kinds", "region": "regions"}
# Ends of what each may be: policies compare times, so a device between them is like one of these.
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "criticality": LEVELS,
    "utc_offset": ("-12:00", "+00:00", "+14:00"),
    "window": ("00:00-23:59", "23:59-00:00"),
    "security_patch": ("2000-01-01", "2999-01-01"),
}
_OFFSETS: Final = frozenset({"utc_offset", "time_zone"})
# Of a device of which nothing is known these are set all together, or not at all.
_TIMES: Final = {"utc_offset": "+00:00", "window": "00:00-23:59", "security_patch": "2000-01-01"}


def possible_devices(device: Device, tenant: Tenant) -> tuple[Device, ...] | None:
    """Devices with the facts that can be read, and everything that the others may be or not be.

    A fact that nobody can read may be missing too. Tags are free texts that nobody can list: of
    those that cannot be read none is set, so a policy that forbids something by a tag's text does
    not forbid it here.

    Args:
        device: one with a ``problem``.
        tenant: whose file lists kinds, regions and groups.

    Returns:
        The devices, or ``None``: nobody can list what it may be.
    """
    bare = replace(
        device,
        unreadable=None,
        attributes={
            name: text for name, text in device.attributes.items() if name in _readable(device)
        },
        tags=device.tags if tags.problem(device.tags) is None else {},
    )
    if device.unreadable is None:
        unknown = set(device.attributes) & set(DEVICE_FACTS) - _readable(device)
        times: Sequence[Mapping[str, str]] = ({},)
        memberships: Sequence[tuple[str, ...]] = (device.groups,)
    else:
        unknown = {"kind", "region", "criticality"}
        times = ({}, _TIMES)
        memberships = ((), *((group,) for group in tenant.groups))
    if unknown & _OFFSETS:
        unknown = unknown - _OFFSETS | {"utc_offset"}
    names = sorted(unknown)
    choices = [_choices(name, tenant) for name in names]
    # Fail closed: what cannot be listed, or is too much to be asked for, is not guessed.
    if any(len(texts) < 2 for texts in choices):  # noqa: PLR2004 - "none" and one more
        return None
    if prod(map(len, (*choices, times, memberships))) > MOST:
        return None
    return tuple(
        replace(bare, groups=groups).with_attributes(
            {**at_times, **dict(zip(names, texts, strict=True))}
        )
        for groups in memberships
        for at_times in times
        for texts in product(*choices)
    )


def _readable(device: Device) -> set[str]:
    """The names of the facts that can be read."""
    readable: set[str] = set()
    for name, text in device.attributes.items():
        if name in DEVICE_FACTS:
            try:
                read_fact(name, text)
            except DeviceFactError:
                continue
            readable.add(name)
    return readable - _OFFSETS if has_two_offsets(device.attributes) else readable


def _choices(name: str, tenant: Tenant) -> tuple[str | None, ...]:
    listed = tenant.lists.get(_LISTED.get(name, ""), frozenset[str]())
    return (None, *_TEXTS.get(name, ()), *sorted(listed))
