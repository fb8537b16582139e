"""State in the tenant's own shadows: by the tenant's role, version by version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cedarfleet_device.wire import STATE_SHADOW, DesiredState

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

URL = "/v1/devices/press-01/state"


def test_a_state_stands_in_the_devices_shadow(deployed: DeployedService) -> None:
    """Asked for by HTTP, it is where the device looks; 412 for who has not read the last one."""
    before = deployed.call("GET", URL)
    assert before.status_code == 200, before.text
    asked = deployed.call("PATCH", URL, json={"desired": {"speed": {"value": {"rpm": 900}}}})
    assert asked.status_code == 200, asked.text
    shadow = deployed.setup.cloud.client("iot-data").get_thing_shadow(
        thingName="acme--press-01", shadowName=STATE_SHADOW
    )
    held = json.loads(shadow["payload"].read())["state"]["desired"]["speed"]
    assert DesiredState.of(held).value == '{"rpm":900}'
    tag = {"If-Match": asked.headers["ETag"]}
    change = {"desired": {"speed": {"value": 1}}}
    assert deployed.call("PATCH", URL, json=change, headers=tag).status_code == 200
    assert deployed.call("PATCH", URL, json=change, headers=tag).status_code == 412
    read = deployed.call("GET", URL).json()["state"]["speed"]
    assert (read["desired"]["value"], read["settled"]) == (1, False)


def test_a_state_that_is_too_large_is_refused(deployed: DeployedService) -> None:
    """AWS's 8 KB are the caller's fault, in words."""
    path = "/v1/devices/press-02/state"
    answers = [
        deployed.call("PATCH", path, json={"desired": {f"key-{number}": {"value": "x" * 1000}}})
        for number in range(9)
    ]
    refused = next(one for one in answers if one.status_code != 200)
    assert refused.status_code == 400, refused.text
    assert "8 KB" in refused.text


def test_last_values_are_read_by_the_tenants_role(deployed: DeployedService) -> None:
    """Nothing was measured yet; and nothing of another tenant's device is known."""
    answer = deployed.call("GET", "/v1/devices/press-01/telemetry")
    assert (answer.status_code, answer.json()["values"]) == (200, [])
    assert deployed.call("GET", "/v1/devices/pump-01/telemetry").status_code == 404
