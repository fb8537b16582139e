"""A download to a group: planned, approved by a second person, paused and gone on with."""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from infra.local.people import Person, add_person
from infra.policies.store.deployed import read
from infra.stacks.tenant_stack.policy_digest import digest_item
from service.cedar.digest import policies_digest
from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

FILE = "recipes/steel.json"
_LOOKED_AGAIN_MS = 500  # a page that is loaded at once again leaves others no time
ASKED = {"action": "ListDevices"}
FOUR_EYES = """forbid (principal, action == Fleet::Action::"DownloadFile", resource)
when { context has targets && context.targets > 1 }
unless { context has approved && context.approved };"""


@pytest.fixture(scope="module")
def line(
    deployed: DeployedService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, str]]:
    """A group of these tests alone with its two devices, the first of which has a real agent.

    Others put devices of theirs into acme's own groups.
    """
    iot = deployed.setup.cloud.client("iot")
    group = f"console-{time.time_ns() % 10**9}"  # a group's id is given once
    first, second = f"{group}-1", f"{group}-2"
    assert deployed.call("POST", "/v1/groups", json={"id": group}).status_code == 201

    def put(device: str, groups: list[str]) -> None:
        answer = deployed.call("PUT", f"/v1/devices/{device}/groups", json={"groups": groups})
        assert answer.status_code == 200, answer.text

    for device in (first, second):
        iot.create_thing(thingName=f"acme--{device}")
        put(device, [group])
    agents = RealAgents(deployed.setup.cloud, [first], tmp_path_factory.mktemp("line"))
    agents.start()
    yield group, first, second
    agents.stop()
    for device in (first, second):
        put(device, [])
        iot.delete_thing(thingName=f"acme--{device}")
    assert deployed.call("DELETE", f"/v1/groups/{group}").status_code == 200


def test_a_group_download_goes_in_waves(
    visit: Callable[..., Visitor], line: tuple[str, str, str]
) -> None:
    """The plan says who gets it; it starts in two waves, is paused, goes on, and is taken back."""
    group, _, second = line
    manager = visit()
    manager.open(f"downloads/new?group={group}&artifact={FILE}")
    page = manager.sign_in("managers")
    page.get_by_text("In waves, with pauses").click()
    page.get_by_label("First waves").fill("1")
    page.get_by_label("Minutes between two waves").fill("600")
    page.get_by_role("button", name="Download File").click()
    expect(page.get_by_role("row", name=second)).to_contain_text("allowed")
    expect(page.get_by_role("definition").filter(has_text="1, then 1")).to_be_visible()
    page.get_by_role("button", name="Start for 2 of 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Download")
    waves = page.get_by_role("table", name="Waves")
    expect(waves.get_by_role("row", name="1 1 ")).to_contain_text("begun", timeout=30_000)
    expect(waves.get_by_role("row", name="2 1 ")).to_contain_text("waiting")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0, timeout=30_000)
    expect(page.get_by_text(re.compile("cancel(ing|ed)")).first).to_be_visible()


def test_a_file_goes_to_what_a_filter_finds(
    visit: Callable[..., Visitor], line: tuple[str, str, str]
) -> None:
    """From the list of devices with its filter: those are planned, and one of them has it, live."""
    group, first, second = line
    manager = visit()
    manager.open(f"devices?group={group}&text={first}")
    page = manager.sign_in("managers")
    page.get_by_role("link", name="Download File", exact=True).click()
    page.get_by_label("File", exact=True).fill(FILE)
    assert page.get_by_label("In the group").input_value() == group
    page.get_by_role("button", name="Download File").click()
    expect(page.get_by_role("row", name=first)).to_contain_text("allowed")
    expect(page.get_by_role("row", name=second)).to_have_count(0)
    page.get_by_role("button", name="Start for 1 of 1").click()
    expect(page.get_by_text(f"chosen devices of {group}")).to_be_visible()
    devices = page.get_by_role("table", name="How far each device is")
    expect(devices.get_by_role("row", name=first)).to_contain_text("succeeded", timeout=60_000)
    page.get_by_role("link", name="Downloads", exact=True).click()
    listed = page.get_by_role("table", name="Downloads")
    expect(listed.get_by_role("row").filter(has_text=f"chosen devices of {group}")).to_have_count(1)


def test_a_file_goes_to_devices_by_name(
    visit: Callable[..., Visitor], line: tuple[str, str, str]
) -> None:
    """Several names are one plan with waves, whose start is one download that can be taken back."""
    _, first, second = line
    manager = visit()
    manager.open(f"downloads/new?artifact={FILE}")
    page = manager.sign_in("managers")
    page.get_by_label("Devices", exact=True).fill(f"{first}, {second}, {first}")
    page.get_by_text("More than one: in waves").click()
    page.get_by_label("First waves").fill("1")
    page.get_by_label("Minutes between two waves").fill("600")
    page.get_by_role("button", name="Download File").click()
    expect(page.get_by_role("definition").filter(has_text="1, then 1")).to_be_visible()
    page.get_by_role("button", name="Start for 2 of 2").click()
    waves = page.get_by_role("table", name="Waves")
    expect(waves.get_by_role("row", name="2 1 ")).to_contain_text("waiting", timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)


@pytest.fixture
def deputy(deployed: DeployedService) -> Person:
    """A second manager of acme."""
    return add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email="deputy@acme.example",
        groups=["managers"],
        region="eu-central",
    )


@pytest.fixture
def four_eyes(deployed: DeployedService) -> Iterator[None]:
    """While it lasts, acme's policies ask for a second person's word on more than one device."""
    store: Any = deployed.setup.cloud.client("verifiedpermissions")
    outputs = deployed.setup.stacks["acme"]
    named = {"policyStoreId": outputs["policy_store_id"]}
    table: Any = deployed.setup.cloud.client("dynamodb")

    def tell(digest: str) -> None:
        item = json.loads(digest_item(issuer=outputs["issuer"], digest=digest))
        table.put_item(TableName=deployed.setup.stacks["platform"]["tenants_table"], Item=item)

    before = policies_digest(read(store, outputs["policy_store_id"]))
    made = store.create_policy(**named, definition={"static": {"statement": FOUR_EYES}})
    tell(policies_digest(read(store, outputs["policy_store_id"])))
    yield
    tell(before)
    store.delete_policy(**named, policyId=made["policyId"])

    def explained() -> bool:
        answer = deployed.call("POST", "/v1/permissions/explain", json=ASKED)
        return answer.status_code == HTTPStatus.OK

    within(60, explained)  # the next test finds a copy of the policies as they are again


def planned(page: Page) -> None:
    """Plan the file for the line, until the page shows the plan."""
    page.get_by_role("button", name="Download File").click()
    expect(page.get_by_role("heading", name="Plan", exact=True)).to_be_visible()


@pytest.mark.usefixtures("four_eyes")
def test_a_second_person_approves_a_rollout(
    visit: Callable[..., Visitor], deputy: Person, line: tuple[str, str, str]
) -> None:
    """Who asked for it may not approve it, and reads why; the second person's click begins it."""
    manager, second = visit(), visit()
    manager.open(f"downloads/new?group={line[0]}&artifact={FILE}")
    page = manager.sign_in("managers")
    planned(page)
    given_up = time.monotonic() + 60
    # The policy is seconds old, and a plan may be of before it.
    while page.get_by_text("has to approve it").count() == 0:
        assert time.monotonic() < given_up
        page.wait_for_timeout(_LOOKED_AGAIN_MS)
        page.reload()
        planned(page)
    page.get_by_role("button", name="Start for 2 of 2").click()
    expect(page.get_by_role("definition").filter(has_text="awaiting approval")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("Access denied")
    second.open(page.url.partition("/acme/")[2])
    other = second.sign_in_as(deputy)
    other.get_by_role("button", name="Approve").click()
    expect(other.get_by_role("status")).to_contain_text("Approved")
    waves = page.get_by_role("table", name="Waves")
    expect(waves.get_by_role("row", name="1 2 ")).to_contain_text("begun", timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)
