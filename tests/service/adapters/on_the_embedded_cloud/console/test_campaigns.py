"""One command to many devices from a page: begun, watched, refused device by device, taken back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents
from tests.service.adapters.on_the_embedded_cloud.test_files import digest, ended, sent, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

BUILDING = "console-hall"


@pytest.fixture(scope="module")
def line(
    deployed: DeployedService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, str]]:
    """A group of these tests alone with two tagged devices, the first of which has an agent."""
    iot = deployed.setup.cloud.client("iot")
    group = f"campaign-{time.time_ns() % 10**9}"  # a group's id is given once
    first, second = f"{group}-1", f"{group}-2"
    assert deployed.call("POST", "/v1/groups", json={"id": group}).status_code == 201
    for device in (first, second):
        iot.create_thing(thingName=f"acme--{device}")
        for method, what, body in (
            ("PUT", "groups", {"groups": [group]}),
            ("PATCH", "tags", {"tags": {"building": BUILDING}}),
        ):
            answer = deployed.call(method, f"/v1/devices/{device}/{what}", json=body)
            assert answer.status_code == 200, answer.text
    agents = RealAgents(deployed.setup.cloud, [first], tmp_path_factory.mktemp("campaign"))
    agents.start()
    yield group, first, second
    agents.stop()
    for device in (first, second):
        answer = deployed.call("PUT", f"/v1/devices/{device}/groups", json={"groups": []})
        assert answer.status_code == 200, answer.text
        iot.delete_thing(thingName=f"acme--{device}")
    assert deployed.call("DELETE", f"/v1/groups/{group}").status_code == 200


@pytest.mark.parametrize("how", ["group", "filter"])
def test_a_campaign_is_begun_watched_and_taken_back(
    visit: Callable[..., Visitor], line: tuple[str, str, str], how: str
) -> None:
    """Whoever is there does it and says so, live; who is away is told of, and it is ended."""
    group, first, second = line
    manager = visit()
    manager.open(f"groups/{group}")
    page = manager.sign_in("managers")
    page.get_by_role("link", name="Send a command").click()
    page.get_by_label("For", exact=True).select_option(how)
    if how == "filter":
        page.get_by_label("Tags").fill(f"building:{BUILDING}")
    else:
        assert page.get_by_label("Group", exact=True).first.input_value() == group
    page.get_by_label("Command", exact=True).first.select_option("reboot")
    page.get_by_label("Seconds until it starts no more").fill("600")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reboot")
    expect(page.get_by_role("definition").filter(has_text="you")).to_be_visible()
    devices = page.get_by_role("table", name="What became of each device")
    expect(devices.get_by_role("row", name=first)).to_contain_text("succeeded", timeout=60_000)
    expect(devices.get_by_role("row", name=second)).to_contain_text("published")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing more is sent")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("definition").filter(has_text="canceled").first).to_be_visible()
    page.locator(".bars").get_by_role("link").filter(has_text="succeeded").click()
    expect(page.get_by_role("heading", name="Devices: succeeded")).to_be_visible()
    expect(devices.get_by_role("row", name=second)).to_have_count(0)
    page.go_back()
    expect(devices.get_by_role("row", name=second)).to_be_visible()
    page.get_by_role("link", name="Campaigns", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="reboot").first).to_be_visible()


def test_who_may_send_it_to_none_is_refused_in_words(
    visit: Callable[..., Visitor], line: tuple[str, str, str]
) -> None:
    """The API's refusal is a state of the page, with the policy; nothing is begun."""
    operator = visit()
    operator.open("campaigns?for=devices")
    page = operator.sign_in("operators")
    page.get_by_label("Devices", exact=True).fill(line[0] + "-1")
    page.get_by_label("Command", exact=True).first.select_option("reboot")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("alert")).to_contain_text("Access denied")
    expect(page.get_by_role("heading", level=1)).to_have_text("Campaigns")


def test_a_version_is_wanted_pinned_and_wanted_no_more(
    visit: Callable[..., Visitor], line: tuple[str, str, str], deployed: DeployedService
) -> None:
    """A pinned device stays as it is, the others come to it, and the wish ends in the browser."""
    group, first, second = line
    package = f"app-{time.time_ns() % 10**9}"
    content = package.encode()
    body = {
        "name": f"apps/{package}.bin",
        "size": len(content),
        "sha256": digest(content),
        "package": {"name": package, "version": "2.0"},
    }
    begun = deployed.call("POST", "/v1/files", json=body).json()
    assert sent(signed(deployed, begun["id"], 1, content), content).status_code == 200
    assert ended(deployed, begun["id"])["state"] == "available"
    manager = visit()
    manager.open(f"devices/{second}")
    page = manager.sign_in("managers")
    page.get_by_role("button", name="Pin packages").click()
    page.get_by_label("Packages", exact=True).fill(package)
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text(f"{package}: brought to no wanted version")).to_be_visible()
    manager.open(f"groups/{group}")
    page.get_by_label("Package", exact=True).fill(package)
    page.get_by_label("Id of the file that brings it").fill(begun["id"])
    page.get_by_text("How fast, and when").click()
    page.get_by_label("Devices an hour, at most").fill("6000")
    page.get_by_role("button", name="Want it", exact=True).click()
    wish = page.locator("section.policy").filter(has_text=f"{package} 2.0")
    expect(wish).to_contain_text("1 begun, 1 pinned", timeout=60_000)
    [batch] = deployed.call("GET", f"/v1/downloads?group={group}").json()["downloads"]
    done = deployed.watch(f"/v1/downloads/{batch['id']}", lambda seen: seen["counts"] != {})
    assert [one["device"] for one in done["deliveries"]] == [first]
    page.get_by_role("link", name="which they are").click()
    expect(page.get_by_role("row", name=first)).to_be_visible()
    page.go_back()
    wish.get_by_role("button", name="Want it no more").click()
    expect(page.get_by_text("What has begun goes on")).to_be_visible()
    expect(wish).to_have_count(0, timeout=30_000)
