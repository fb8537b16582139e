"""Forms of commands, made of the schemas in the tenant's catalogue, with reason and emergency."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

PAYLOAD = "<img src=x onerror=alert(1)>"
PARAMETERS = {
    "type": "object",
    "required": ["speed", "mode"],
    "properties": {
        "speed": {"$ref": "#/$defs/speed", "description": PAYLOAD},
        "mode": {"enum": ["slow", "fast"]},
        "dry": {"type": "boolean"},
        "note": {"type": "string", "pattern": "^[a-z]+$"},
        "limits": {
            "type": "object",
            "properties": {"torque": {"type": "number", "minimum": 0}},
        },
        "steps": {"type": "array", "items": {"type": "integer"}},
    },
    "$defs": {"speed": {"type": "integer", "minimum": 1, "maximum": 50}},
}


@pytest.fixture
def calibrate(deployed: DeployedService) -> Iterator[str]:
    """A command of acme with arguments of each kind, whose sender says why."""
    name = f"calibrate-{time.time_ns() % 10**9}"
    body = {
        "name": name,
        "action": "MaintainDevice",
        "parameters": PARAMETERS,
        "needs_reason": True,
    }
    made = deployed.call("POST", "/v1/command-types", json=body)
    assert made.status_code == 201, made.text
    yield name
    ended = deployed.call("DELETE", f"/v1/command-types/{name}")
    assert ended.status_code == 200, ended.text


def test_a_form_is_made_of_a_schema(visit: Callable[..., Visitor], calibrate: str) -> None:
    """Each argument has its own field; what is left empty is left out; the API names what is wrong.

    What the browser cannot hold against the schema, a pattern here, the API does.
    """
    manager = visit()
    manager.open("commands?device=press-02")
    page = manager.sign_in("managers")
    page.get_by_label("Command", exact=True).first.select_option(calibrate)
    expect(page.get_by_text(PAYLOAD)).to_be_visible()
    page.get_by_label("speed (needed)").fill("40")
    page.get_by_label("mode (needed)").select_option(label="fast")
    page.get_by_label("dry").select_option(label="no")
    page.get_by_label("note").fill("NOT LOWER")
    page.get_by_label("torque").fill("1.5")
    page.get_by_label("steps").fill("[1, 2]")
    page.get_by_label("Reason (needed)").fill("drift")
    send = page.get_by_role("button", name="Send", exact=True)
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("note")
    page.get_by_label("note").fill("")
    with page.expect_request("**/v1/devices/press-02/commands") as sent:
        send.click()
    body = sent.value.post_data_json
    assert body is not None
    assert body["arguments"] == {
        "speed": 40,
        "mode": "fast",
        "dry": False,
        "limits": {"torque": 1.5},
        "steps": [1, 2],
    }
    assert (body["reason"], "emergency" in body) == ("drift", False)
    expect(page.get_by_role("heading", level=1)).to_have_text(calibrate)
    assert page.evaluate("document.querySelectorAll('main img').length") == 0
