"""Pages follow what happens by the tenant's events; where none are told, they ask again.

The page's clock stands still and is moved on by less than after which it would ask by itself: what
is shown came by an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import TimeoutError as NotShownError
from playwright.sync_api import expect

from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Route

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

FILE: Final = "recipes/steel.json"
SOON_MS: Final = 450  # of the page's clock; longer than it gathers events, if it waits for them
LOOKS: Final = 5  # times that, together less than the shortest time after which a page asks itself
LOOK_MS: Final = 6_000  # of ours


def following(visitor: Visitor, path: str, shown: str) -> Page:
    """A page of the console that follows events, and whose clock stands still."""
    visitor.page.clock.install()
    visitor.open("groups")
    visitor.sign_in("managers")
    with visitor.page.expect_response(lambda answer: "/v1/events" in answer.url) as told:
        visitor.open(path)
    assert told.value.status == 200
    expect(visitor.page.locator(shown).first).to_be_visible()
    # What the stream's begin has asked for anew is there.
    visitor.page.clock.run_for(3000)
    visitor.page.clock.pause_at(visitor.page.evaluate("Date.now() + 1000"))
    return visitor.page


def comes(page: Page, sought: Locator) -> bool:
    """Whether it is shown soon by the page's clock, however long that takes by ours."""
    for _ in range(LOOKS):
        page.clock.run_for(SOON_MS)
        try:
            sought.first.wait_for(timeout=LOOK_MS)
        except NotShownError:
            continue
        return True
    return False


def test_a_device_page_follows_without_asking(
    visit: Callable[..., Visitor], press: RealAgents
) -> None:
    """A command that somebody else sends, and the device's own answer, come by events."""
    del press
    manager = visit()
    page = following(manager, "devices/press-01", ".facts dd")
    sent = manager.deployed.call(
        "POST", "/v1/devices/press-01/commands", json={"name": "reboot", "arguments": {}}
    ).json()
    row = page.get_by_role("table", name="Its last commands").locator(
        f'tr:has(a[href$="/{sent["id"]}"])'
    )
    assert comes(page, row.filter(has_text="succeeded"))


def test_a_rollout_page_follows_without_asking(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    """That a device which was away has the file comes by the event of its delivery's end."""
    manager = visit()
    asked = {"artifact": FILE, "device": "press-02"}
    made = manager.deployed.call("POST", "/v1/downloads", json=asked).json()
    manager.deployed.made(made["id"])
    page = following(manager, f"downloads/{made['id']}", "tbody tr")
    row = page.get_by_role("row", name="press-02")
    expect(row).to_contain_text("queued")
    agents = RealAgents(manager.deployed.setup.cloud, ["press-02"], tmp_path)
    agents.start()
    try:
        assert comes(page, row.filter(has_text="succeeded"))
    finally:
        agents.stop()


def test_activity_tells_it_as_it_happens(visit: Callable[..., Visitor]) -> None:
    """What is asked of a device is a row of its own, by the event alone."""
    manager = visit()
    page = following(manager, "activity", "main")
    sent = manager.deployed.call(
        "POST", "/v1/devices/press-02/commands", json={"name": "reboot", "arguments": {}}
    ).json()
    row = page.locator(f'tr:has(a[href$="/{sent["id"]}"])')
    assert comes(page, row.filter(has_text="command requested"))


@pytest.mark.parametrize("status", [404, 429])
def test_a_page_asks_where_no_events_are_told(
    visit: Callable[..., Visitor], press: RealAgents, status: int
) -> None:
    """A stream that is refused, for good or for now, leaves the page as live as asking makes it."""
    del press
    manager = visit()
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        problem = '{"type": "urn:cedarfleet:problem:too-many-requests", "detail": "enough"}'
        route.fulfill(status=status, content_type="application/problem+json", body=problem)

    manager.page.route("**/v1/events*", refuse)
    manager.open("devices/press-01")
    page = manager.sign_in("managers")
    expect(page.locator(".facts dd").first).to_be_visible()
    sent = manager.deployed.call(
        "POST", "/v1/devices/press-01/commands", json={"name": "reboot", "arguments": {}}
    ).json()
    row = page.get_by_role("table", name="Its last commands").locator(
        f'tr:has(a[href$="/{sent["id"]}"])'
    )
    expect(row).to_contain_text("succeeded")
    assert len(refused) == 1


def test_the_overview_shows_the_last_day(
    visit: Callable[..., Visitor], deployed: DeployedService, tmp_path: Path
) -> None:
    """The log tells of a device that came and went: the chart ends with as many as there are."""
    agents = RealAgents(deployed.setup.cloud, ["press-02"], tmp_path)
    agents.start()
    there = listed_once(deployed, is_there=True)
    manager = visit()
    manager.open("overview")
    page = manager.sign_in("managers")
    shown = page.get_by_role("figure")
    page.get_by_role("button", name="Show the last day").click()
    page.get_by_text("As numbers").click()
    expect(shown.get_by_role("listitem").last).to_contain_text(there)
    agents.stop()
    gone = listed_once(deployed, is_there=False)
    assert gone != there
    page.reload()
    page.get_by_role("button", name="Show the last day").click()
    page.get_by_text("As numbers").click()
    expect(shown.get_by_role("listitem").last).to_contain_text(gone)


def listed_once(deployed: DeployedService, *, is_there: bool) -> str:
    """How many devices of all are connected, once `press-02` is, or is not any more."""

    def connected(device: dict[str, Any]) -> bool:
        return bool((device["connectivity"] or {}).get("connected"))

    def is_so(listed: dict[str, Any]) -> bool:
        return any(
            one["id"] == "press-02" and connected(one) is is_there for one in listed["devices"]
        )

    devices = deployed.watch("/v1/devices?limit=100", is_so)["devices"]
    return f": {sum(map(connected, devices))} of {len(devices)}"
