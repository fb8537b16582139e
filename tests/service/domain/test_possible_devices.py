"""What a device may be of whose facts some cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.devices import Device
from service.domain.possible_devices import MOST, possible_devices

LISTS: Final = {"kinds": frozenset({"press", "pump"}), "regions": frozenset({"eu-central"})}
ACME: Final = MemoryUserPool("acme", groups={"line": (), "hall": ()}, lists=LISTS).tenant
KNOWN: Final = {"kind": "press", "region": "eu-central"}


def known(**attributes: str) -> Device:
    """A device with some facts."""
    return Device(tenant="acme", id="press-07", groups=("line",), attributes=KNOWN | attributes)


@pytest.mark.parametrize(
    ("wrong", "fact", "may_be"),
    [
        ({"criticality": "extreme"}, "criticality", {None, "low", "medium", "high"}),
        ({"kind": "a b"}, "kind", {None, "press", "pump"}),
        ({"time_zone": "Mars/Crater"}, "utc_offset", {None, "-12:00", "+00:00", "+14:00"}),
        (
            {"time_zone": "Europe/Berlin", "utc_offset": "+01:00"},
            "utc_offset",
            {None, "-12:00", "+00:00", "+14:00"},
        ),
    ],
)
def test_what_cannot_be_read_may_be_anything(
    wrong: dict[str, str], fact: str, may_be: set[str | None]
) -> None:
    """Or missing; what can be read stays, and each of them can be decided on."""
    found = possible_devices(known(**wrong), ACME) or ()
    assert {one.attributes.get(fact) for one in found} == may_be
    assert len(found) == len(may_be)
    stay = {name: text for name, text in KNOWN.items() if name not in wrong}
    for one in found:
        assert one.problem is None
        assert one.attributes.items() >= stay.items()
        assert (one.id, one.groups) == ("press-07", ("line",))
        assert "time_zone" not in one.attributes


def test_of_an_unreadable_row_nothing_is_known() -> None:
    """Kind, region, criticality and group may be any, with facts of time and without."""
    found = possible_devices(Device(tenant="acme", id="d", unreadable="no `groups`"), ACME) or ()
    assert len(found) == 3 * 2 * 4 * 2 * 3
    assert {one.groups for one in found} == {(), ("line",), ("hall",)}
    assert all(one.problem is None for one in found)
    # The first is the bare one, of which policies are asked in its own name.
    assert (found[0].attributes, found[0].groups) == ({}, ())


def test_tags_that_cannot_be_read_are_left_out() -> None:
    """Nobody can list free texts."""
    found = possible_devices(replace(known(), tags={"building": ""}), ACME) or ()
    assert [one.tags for one in found] == [{}]


def test_what_nobody_can_list_is_not_guessed() -> None:
    """A tenant whose file lists no kinds may have any, and too many are too many."""
    unlisted = MemoryUserPool("acme").tenant
    assert possible_devices(known(kind="a b"), unlisted) is None
    row = Device(tenant="acme", id="d", unreadable="no `groups`")
    many = frozenset(f"kind-{number}" for number in range(MOST))
    assert possible_devices(row, replace(ACME, lists={**LISTS, "kinds": many})) is None
