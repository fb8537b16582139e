"""How a page of devices is cut: what it shows, where the next one begins, and what it reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from service.domain.device_filter import EVERY_DEVICE, MAX_LOOKED_AT, DeviceFilter, cut
from service.domain.devices import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence


def name(number: int) -> str:
    """Of a device, in the order of their numbers."""
    return f"d{number:04}"


@dataclass
class Fleet:
    """So many devices, of which a caller may see some.

    Attributes:
        presses: those of the kind that is asked for, by their numbers.
        gone: those that have no device any more.
        seen: that may be shown.
        read: names that were read, in their order.
        asked: of which it was asked whether they may be shown, question by question.
    """

    size: int
    presses: Collection[int]
    seen: Collection[int]
    gone: Collection[int] = ()
    read: list[str] = field(default_factory=list[str])
    asked: list[list[str]] = field(default_factory=list[list[str]])

    async def named(self) -> AsyncIterator[tuple[str, Device | None]]:
        """Each name with its device."""
        for number in range(self.size):
            self.read.append(name(number))
            kind = "press" if number in self.presses else "pump"
            device = Device(tenant="acme", id=name(number), attributes={"kind": kind})
            yield name(number), None if number in self.gone else device

    async def viewed(self, devices: Sequence[Device]) -> frozenset[str]:
        """Those that may be shown."""
        self.asked.append([device.id for device in devices])
        return frozenset(map(name, self.seen)) & {device.id for device in devices}

    def page(
        self, wanted: DeviceFilter = EVERY_DEVICE, *, limit: int
    ) -> tuple[list[str], str | None]:
        """One page: its devices, and the name behind which the next begins."""
        shown, behind = asyncio.run(cut(self.named(), wanted, {}, limit=limit, viewed=self.viewed))
        return [device.id for device in shown], behind


def test_names_that_are_hidden_are_looked_at_once() -> None:
    """400 devices, of which the last may be seen: one request finds it, and asks of each once."""
    fleet = Fleet(size=400, presses=(), seen={399})
    assert fleet.page(limit=1) == ([name(399)], None)
    asked = [one for question in fleet.asked for one in question]
    assert asked == fleet.read == [name(number) for number in range(400)]


def test_no_more_names_are_read_than_one_request_may() -> None:
    """A filter that nearly none fits: the page is short, and the next begins where it ended."""
    fleet = Fleet(size=2 * MAX_LOOKED_AT, presses={3, MAX_LOOKED_AT}, seen=range(1_000))
    found = fleet.page(DeviceFilter(attributes={"kind": "press"}), limit=5)
    assert found == ([name(3)], name(MAX_LOOKED_AT - 1))
    assert len(fleet.read) == MAX_LOOKED_AT + 1
    assert fleet.asked == [[name(3), name(MAX_LOOKED_AT)]]


@pytest.mark.parametrize(
    ("more", "behind"),
    [(False, None), (True, name(2))],
)
def test_another_page_follows_only_if_it_shows_something(*, more: bool, behind: str | None) -> None:
    """Of names without a device, and of hidden ones, there is none behind a full page."""
    seen = {0, 2, 3} if more else {0, 2}
    fleet = Fleet(size=6, presses=(), seen=seen, gone={1, 4, 5})
    assert fleet.page(limit=2) == ([name(0), name(2)], behind)
    assert fleet.asked == [[name(0), name(2), name(3)]], "one question for a page"


def test_a_page_may_be_exactly_as_long_as_one_request() -> None:
    """The last name that is looked at belongs to it, and nothing follows it."""
    fleet = Fleet(size=MAX_LOOKED_AT, presses=(), seen={MAX_LOOKED_AT - 1})
    assert fleet.page(limit=1) == ([name(MAX_LOOKED_AT - 1)], None)
    longer = Fleet(size=MAX_LOOKED_AT + 1, presses=(), seen={MAX_LOOKED_AT})
    assert longer.page(limit=1) == ([], name(MAX_LOOKED_AT - 1))
