"""Every page, in both themes and three widths: reached, read, reloaded, gone back from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from playwright.sync_api import Page

    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

WIDTHS: Final = (1280, 820, 390)  # a desk, a tablet, a phone held upright
PAGES: Final = {
    "overview": "Overview",
    "activity": "Activity",
    "devices": "Devices",
    "devices/press-01": "press-01",
    "groups": "Groups",
    "groups/line-press": "line-press",
    "downloads": "Downloads",
    "downloads/new": "Download File",
    "campaigns?for=filter": "Campaigns",
    "campaigns?for=group": "Campaigns",
    "files": "Files",
    "people": "People",
    "commands?device=press-01&name=run-diagnostics": "Commands",
    "downloads/new?group=line-press": "Download File",
    "downloads/new?for=filter&text=press": "Download File",
    "permissions/why?action=DownloadFile&device=press-01": "Why, and what if",
    "grants": "Grants",
    "machines": "Machines",
    "audit": "Audit",
    "permissions": "Who may do what",
}
PICTURES: Final = os.environ.get("CEDARFLEET_PICTURES")
# All that a theme changes: each rule at once is asked of a page once a width.
COLOURS: Final = {"runOnly": ["color-contrast", "link-in-text-block"]}
FINDINGS: Final = {"resultTypes": ["violations"]}  # nothing is told of what is in order
PAYLOAD: Final = "<img src=x onerror=alert(1)>"
MADE: Final = "document.querySelectorAll('main img, main script, main iframe, main object').length"
WIDER: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def checker() -> Axe:
    """The rules of axe-core."""
    return Axe()


def settled(page: Page, title: str) -> None:
    """Return once the page shows what it is about."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(".loading")).to_have_count(0)


def found(checker: Axe, page: Page, *, asked: Mapping[str, list[str]] | None = None) -> list[str]:
    """What axe finds wrong: rule and first place of each; asked for all rules, or for some."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(checker.axe_script)
    violations = page.evaluate("asked => axe.run(asked)", {**FINDINGS, **(asked or {})})[
        "violations"
    ]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations]


def pictured(page: Page, name: str) -> None:
    """Keep how it looks, where `CEDARFLEET_PICTURES` names a folder for it."""
    if PICTURES is not None:
        file = f"{re.sub('[^A-Za-z0-9]+', '-', name)}.png"
        page.screenshot(path=Path(PICTURES) / file, full_page=True)


def test_every_page_can_be_read_by_everybody(visit: Callable[..., Visitor], checker: Axe) -> None:
    """Axe finds nothing in either theme or on a phone, nothing is wider than its window."""
    manager = visit()
    manager.open("devices")
    page = manager.sign_in("managers")
    expect(page.locator("header .tier")).to_have_text("tier standard")
    campaign = {"name": "reboot", "devices": ["press-01", "press-02"]}
    begun = manager.deployed.call("POST", "/v1/campaigns", json=campaign)
    assert begun.status_code == 202, begun.text
    for path, title in {f"campaigns/{begun.json()['id']}": "reboot", **PAGES}.items():
        manager.open(path)
        settled(page, title)
        page.emulate_media(color_scheme="dark")
        assert found(checker, page, asked=COLOURS) == [], (path, "dark")
        pictured(page, f"{path} dark")
        page.emulate_media(color_scheme="light")
        assert found(checker, page) == [], (path, "light")
        pictured(page, f"{path} light")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(WIDER) <= 0, (path, width)
            pictured(page, f"{path} {width}")
        assert found(checker, page) == [], (path, WIDTHS[-1])
        page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    page.go_back()
    settled(page, "Audit")
    page.reload()
    settled(page, "Audit")
    page.go_forward()
    settled(page, "Who may do what")


def test_the_way_in_can_be_read_by_everybody(visit: Callable[..., Visitor], checker: Axe) -> None:
    """So can the first page, that of an unknown tenant, and the one before a sign-in."""
    guest = visit()
    page = guest.page
    origin = guest.url.partition("/console/")[0]
    for address in (f"{origin}/", f"{origin}/console/nobody/devices", guest.url):
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert found(checker, page) == [], (address, scheme)
        page.set_viewport_size({"width": WIDTHS[-1], "height": 800})
        assert page.evaluate(WIDER) <= 0, address
    page.goto(f"{origin}/console/nobody/")
    expect(page.get_by_role("alert")).to_contain_text("There is no tenant “nobody” here")
    page.get_by_label("Tenant").fill("acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_what_people_write_stays_text(
    visit: Callable[..., Visitor], request: pytest.FixtureRequest
) -> None:
    """Markup as a tag, a file's name, a path or a filter is shown as it was written."""
    manager = visit()
    written = {"tags": {"building": PAYLOAD}}
    answer = manager.deployed.call("PATCH", "/v1/devices/press-02/tags", json=written)
    assert answer.status_code == 200, answer.text
    request.addfinalizer(
        lambda: manager.deployed.call(
            "PATCH", "/v1/devices/press-02/tags", json={"tags": {"building": None}}
        )
    )
    manager.open("devices/press-02")
    page = manager.sign_in("managers")
    expect(page.get_by_text(PAYLOAD)).to_be_visible()
    assert page.evaluate(MADE) == 0
    manager.open(f"devices/{PAYLOAD.replace(' ', '%20')}")
    expect(page.get_by_role("heading", level=1)).to_have_text(PAYLOAD)
    expect(page.get_by_role("alert").first).to_be_visible()
    manager.open(f"downloads/new?device=press-02&artifact={PAYLOAD.replace(' ', '%20')}")
    page.get_by_role("button", name="Download File").click()
    expect(page.get_by_role("alert").or_(page.get_by_role("heading", name="Plan"))).to_be_visible()
    assert page.evaluate(MADE) == 0


def test_a_person_gets_everywhere_by_keyboard(visit: Callable[..., Visitor]) -> None:
    """The first link leads past the navigation, and what has the focus is seen to have it."""
    operator = visit()
    operator.open("devices")
    page = operator.sign_in("operators")
    settled(page, "Devices")
    page.get_by_role("link", name="To the content").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
