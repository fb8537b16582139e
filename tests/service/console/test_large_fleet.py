"""The console over 10,000 devices: what a page asks, is sent and shows stays small.

How soon is measured by ``python -m tests.benchmarks --only console``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.service.browser import CHROMIUM, NO_CHROMIUM, browser
from tests.service.console_acts import ACTS, Watched
from tests.service.large_fleet import HALLS, NUMBER, LargeFleet, device_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

WAY_IN_BYTES: Final = 150_000
NODES: Final = 2_500
REQUESTS: Final = 8
BYTES: Final = 160_000
LOOKED_AT: Final = 500  # devices of one answer (`MAX_LOOKED_AT`)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser; it ends with this file, as its loop would meet those of others."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def fleet() -> Iterator[LargeFleet]:
    """The service over 10,000 devices."""
    with LargeFleet.served() as served:
        yield served


@pytest.fixture
def watched(chromium: Browser, fleet: LargeFleet) -> Iterator[Watched]:
    """A manager's tab."""
    tab = Watched.of(chromium, fleet)
    yield tab
    tab.close()


def test_each_action_asks_and_shows_little(watched: Watched, fleet: LargeFleet) -> None:
    """No page asks more than a few questions, is sent much, or has more than a page of rows."""
    watched.page.goto(fleet.console + "groups")
    watched.page.locator("tbody tr").first.wait_for()
    for act in ACTS:
        asked, sent = len(watched.paths), watched.bytes
        watched.act(act)
        many = NUMBER // LOOKED_AT + 1 if act.type else REQUESTS
        assert len(watched.paths) - asked <= many, (act, watched.paths[asked:])
        assert watched.bytes - sent <= BYTES, act
        assert watched.page.evaluate("document.querySelectorAll('*').length") <= NODES, act


def test_the_first_page_is_light(chromium: Browser, fleet: LargeFleet) -> None:
    """With nothing kept, the way in and a page of 100 devices come in less than 150 kB."""
    for group in (None, "managers"):
        tab = Watched.of(chromium, fleet, group=group)
        tab.page.goto(fleet.console + "devices")
        shown = "tbody tr" if group else "button.primary"
        tab.page.locator(shown).first.wait_for()
        tab.page.wait_for_load_state("load")
        assert 20_000 < tab.bytes < WAY_IN_BYTES
        tab.close()


def test_a_search_goes_through_the_whole_fleet(watched: Watched, fleet: LargeFleet) -> None:
    """A page is filled from wherever in the fleet they stand, and the next goes on behind it."""
    page = watched.page
    page.goto(fleet.console + "devices?text=hall+39")
    page.locator("tbody tr").nth(99).wait_for()
    ids = page.locator("tbody tr td:first-child")
    assert ids.all_inner_texts() == [device_id(39 + HALLS * one) for one in range(100)]
    page.get_by_role("link", name="Next page").click()
    page.get_by_role("link", name=device_id(39 + HALLS * 100)).wait_for()
    page.locator("tbody tr").nth(99).wait_for()
    page.get_by_role("link", name="Next page").click()
    page.get_by_role("link", name=device_id(39 + HALLS * 249)).wait_for()
    page.get_by_text("Looking through the rest of the fleet").wait_for(state="detached")
    assert ids.count() == NUMBER // HALLS - 200
    assert page.get_by_role("link", name="Next page").count() == 0


def test_versions_of_a_large_fleet_are_counted_when_asked(
    watched: Watched, fleet: LargeFleet
) -> None:
    """Nobody's look at the overview has every device read; whoever asks for it is told."""
    page = watched.page
    page.goto(fleet.console + "overview")
    count = page.get_by_role("button", name="Count the versions over the fleet")
    count.wait_for()
    assert not any("/v1/versions" in path for path in watched.paths)
    count.click()
    row = page.get_by_role("listitem").filter(has_text="recipes:1.0")
    row.wait_for()
    assert row.locator(".number").inner_text() == str(NUMBER // 3 + 1)
