"""The walkthrough in a browser: sign in, Download File, and a colleague who is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor
    from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

FILE = "recipes/steel.json"


def test_a_manager_downloads_a_file_to_a_device(
    visit: Callable[..., Visitor], press: RealAgents
) -> None:
    """From the sign-in to the device's own word that it has the file, without an address typed."""
    manager = visit()
    manager.open("devices")
    page = manager.sign_in("managers")
    page.get_by_label("Search").fill("press-01")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="press-01").click()
    page.get_by_role("button", name="Download File").click()
    page.get_by_label("File", exact=True).fill(FILE)
    page.get_by_role("button", name="Download File").click()
    page.get_by_role("button", name="Start for 1 of 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Download")
    row = page.get_by_role("row", name="press-01")
    expect(row).to_contain_text("succeeded", timeout=30_000)
    assert press.installed["press-01"] >= 1


def test_an_operator_is_refused_in_words(visit: Callable[..., Visitor]) -> None:
    """The button says which policy refuses; who asks all the same reads it, and nothing is sent."""
    operator = visit()
    operator.open("devices/press-01")
    page = operator.sign_in("operators")
    action = page.get_by_role("listitem").filter(has=page.get_by_text("Download File"))
    expect(action.get_by_role("button")).to_be_disabled()
    expect(action).to_contain_text("forbidden by policy operators-view-only")
    operator.open(f"downloads/new?device=press-01&artifact={FILE}")
    page.get_by_role("button", name="Download File").click()
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("Access denied")
    expect(refusal).to_contain_text(f"You may not download {FILE} to press-01.")
    expect(refusal).to_contain_text("operators-view-only")
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
