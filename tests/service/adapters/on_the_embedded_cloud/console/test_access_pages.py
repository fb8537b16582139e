"""Grants, machines, audit, and why the policies say what they say, as people handle them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from infra.local.people import Person, add_person
from service.domain.audit_verification import Verification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor
    from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

PAYLOAD = "<img src=x onerror=alert(1)>"
MADE = "document.querySelectorAll('main img, main script, main iframe, main object').length"
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def tess(deployed: DeployedService) -> Person:
    """A technician of acme, who may do nothing without a grant."""
    return add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email="tess@acme.example",
        groups=["technicians"],
        region="eu-central",
    )


def in_the_zone_of(page: Page, *, hours: int) -> str:
    """A moment to come, as a field for local times takes it."""
    at = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    script = """at => { const d = new Date(at), two = n => String(n).padStart(2, '0');
      return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`
        + `T${two(d.getHours())}:${two(d.getMinutes())}`; }"""
    moment: str = page.evaluate(script, at)
    return moment


def test_a_grant_is_given_seen_and_revoked(visit: Callable[..., Visitor], tess: Person) -> None:
    """The colleague sees the line's device while it stands, and reads a refusal once it is over."""
    manager, technician = visit(), visit()
    technician.open("devices/press-01")
    theirs = technician.sign_in_as(tess)
    expect(theirs.get_by_role("heading", name="Access denied")).to_be_visible()
    manager.open("grants")
    page = manager.sign_in("managers")
    page.get_by_label("What", exact=True).select_option("technician-for-line")
    page.get_by_label("To whom").fill(tess.email)
    page.get_by_label("Where").select_option("group")
    page.get_by_label("Its name").fill("line-press")
    page.get_by_label("Until").fill(in_the_zone_of(page, hours=3))
    page.get_by_label("Reason").fill(PAYLOAD)
    page.get_by_role("button", name="Give").click()
    row = page.get_by_role("row", name=tess.email)
    expect(row).to_contain_text("active")
    expect(row).to_contain_text(re.compile(r"in \d hr"))
    expect(row).to_contain_text(PAYLOAD)
    assert page.evaluate(MADE) == 0
    given_up = time.monotonic() + 60
    while theirs.get_by_role("heading", name="Facts").count() == 0:
        assert time.monotonic() < given_up, "the grant does not count"
        theirs.wait_for_timeout(500)  # a page that is loaded at once again leaves others no time
        theirs.reload()
        expect(theirs.locator(".loading")).to_have_count(0)
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text(re.compile("revok(ed|ing)"))
    expect(theirs.get_by_role("heading", name="Access denied")).to_be_visible()


def test_a_machine_is_made_rotated_and_ended(visit: Callable[..., Visitor]) -> None:
    """Its secret is shown once and gone after a reload; a second one goes beside the first."""
    manager = visit()
    manager.open("machines")
    page = manager.sign_in("managers")
    name = f"line-{time.time_ns() % 10**9}"
    page.get_by_label("Name").fill(name)
    page.get_by_label("For", exact=True).fill(PAYLOAD)
    page.get_by_label("view: see devices").check()
    page.get_by_role("button", name="Make it").click()
    told = page.get_by_role("status").filter(has_text="It is told this once")
    first = told.locator("dd").nth(2).inner_text()
    assert len(first) > 20
    assert first not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert page.evaluate(MADE) == 0
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text(first)).to_have_count(0)
    page.get_by_role("button", name="Make a second secret").click()
    expect(told).to_be_visible()
    taken = page.get_by_role("button", name="Take away")
    expect(taken).to_have_count(2)
    taken.first.click()
    expect(taken).to_have_count(0)
    page.get_by_role("button", name=f"End {name} for good").click()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("row", name=name)).to_contain_text(re.compile("revok(ed|ing)"))
    page.reload()
    expect(page.get_by_text("It is told this once")).to_have_count(0)


def test_a_refusal_leaves_what_was_typed(visit: Callable[..., Visitor]) -> None:
    """The notice comes before the form, which stays the one that somebody filled in."""
    manager = visit()
    manager.open("machines")
    page = manager.sign_in("managers")
    name = f"line-{time.time_ns() % 10**9}"
    made = {"id": name, "scopes": ["view"]}
    assert manager.deployed.call("POST", "/v1/machines", json=made).status_code == 201
    page.get_by_label("Name").fill(name)
    page.get_by_label("For", exact=True).fill("the press")
    page.get_by_label("view: see devices").check()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text(f"There is a machine {name} already.")
    expect(page.get_by_label("Name")).to_have_value(name)
    expect(page.get_by_label("For", exact=True)).to_have_value("the press")
    expect(page.get_by_label("view: see devices")).to_be_checked()


def test_a_form_waits_for_its_list(visit: Callable[..., Visitor]) -> None:
    """Whoever may make machines makes one into a list that is there."""
    manager = visit()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    manager.page.route("**/v1/machines?*", hold)
    manager.open("machines")
    with manager.page.expect_response("**/v1/permissions/check") as answer:
        page = manager.sign_in("managers")
    answer.value.finished()
    page.evaluate(DRAWN)
    field = page.get_by_label("Name")
    assert (len(held), field.count()) == (1, 0)
    held[0].continue_()
    expect(field).to_be_visible()


def test_a_command_is_followed_through_the_audit(
    visit: Callable[..., Visitor], press: RealAgents, tmp_path: Path
) -> None:
    """From a form made of the catalogue to the device's word; the saved trail proves itself."""
    assert press.ids == ["press-01"]
    manager = visit()
    manager.open("commands?device=press-01&name=run-diagnostics")
    page = manager.sign_in("managers")
    page.get_by_label("scope").select_option(label="quick")
    with page.expect_request("**/v1/devices/press-01/commands") as sent:
        page.get_by_role("button", name="Send", exact=True).click()
    body = sent.value.post_data_json
    assert body is not None
    assert body["arguments"] == {"scope": "quick"}
    expect(page.get_by_role("heading", level=1)).to_have_text("run-diagnostics")
    page.get_by_role("link", name="Follow it through the audit").click()
    steps = page.get_by_role("heading", name="From the click to the device")
    expect(steps).to_be_visible()
    expect(page.locator(".steps")).to_contain_text("manager@acme.example asked to maintain device")
    expect(page.locator(".steps")).to_contain_text("allowed by managers-everything")
    page.get_by_role("link", name=re.compile("More of")).first.click()
    expect(page.get_by_role("heading", name="One entry")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the trail").click()
    file = tmp_path / "trail.jsonl"
    saved.value.save_as(file)
    lines = file.read_text().splitlines()
    assert json.loads(lines[-1])["line"] == "end"
    found = Verification().verify([lines])
    assert (found.problems, found.tenant) == ([], "acme")
    assert found.entries > 0


def test_a_refusal_says_why_and_what_if(visit: Callable[..., Visitor]) -> None:
    """An operator reads which condition stood in the way; a manager sees what would flip it."""
    operator, manager = visit(), visit()
    operator.open("devices/press-01")
    page = operator.sign_in("operators")
    action = page.get_by_role("listitem").filter(has=page.get_by_text("Download File"))
    action.get_by_role("link", name="Why?").click()
    expect(page.get_by_role("main")).to_contain_text("forbidden by policy operators-view-only")
    expect(page.get_by_role("main")).to_contain_text("the caller is also a manager")
    expect(page.get_by_role("heading", name="What if?")).to_have_count(0)
    manager.open("permissions/why?action=DownloadFile&device=press-01&person=operator@acme.example")
    page = manager.sign_in("managers")
    expect(page.get_by_role("main")).to_contain_text("forbidden by policy operators-view-only")
    expect(page.get_by_role("main")).to_contain_text(re.compile("To manage people: .*managers"))
    page.get_by_label("Who asks").select_option("persona")
    page.get_by_label("Groups", exact=True).fill("managers")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("Then\\s*allowed"))
