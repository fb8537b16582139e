"""The fleet index leads through a tenant's devices, and the registry keeps their attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def test_pages_of_the_fleet_index_follow_each_other(deployed: DeployedService) -> None:
    """The cursor leads on, belongs to its tenant, and a made-up one is refused."""
    first = deployed.call("GET", "/v1/devices", params={"limit": 1}).json()
    second = deployed.call(
        "GET", "/v1/devices", params={"limit": 1, "cursor": first["cursor"]}
    ).json()
    assert [page["devices"][0]["id"] for page in (first, second)] == ["press-01", "press-02"]
    for tenant, cursor in (("globex", first["cursor"]), ("acme", "AAAA"), ("acme", "!")):
        answer = deployed.call("GET", "/v1/devices", tenant=tenant, params={"cursor": cursor})
        assert answer.status_code == 400, cursor


def test_attributes_are_set_in_the_registry(deployed: DeployedService) -> None:
    """Set and removed in IoT Core, and read back."""
    answer = deployed.call(
        "PATCH", "/v1/devices/press-02", json={"window": "22:00-04:00", "kind": None}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["attributes"]["window"] == "22:00-04:00"
    stored = deployed.setup.cloud.client("iot").describe_thing(thingName="acme--press-02")[
        "attributes"
    ]
    assert stored["window"] == "22:00-04:00"
    assert "kind" not in stored


def test_an_offset_east_and_west_is_stored_and_read_back(deployed: DeployedService) -> None:
    """AWS refuses a `+` in an attribute: callers and policies see one all the same."""
    iot = deployed.setup.cloud.client("iot")
    listed = deployed.call("GET", "/v1/devices").json()["devices"]
    assert listed[0]["attributes"]["utc_offset"] == "+01:00"
    for offset, stored in (("-05:30", "-05:30"), ("+02:00", "02:00")):
        answer = deployed.call("PATCH", "/v1/devices/press-02", json={"utc_offset": offset})
        assert answer.status_code == 200, answer.text
        assert answer.json()["attributes"]["utc_offset"] == offset
        assert (
            deployed.call("GET", "/v1/devices/press-02").json()["attributes"]["utc_offset"]
            == offset
        )
        assert iot.describe_thing(thingName="acme--press-02")["attributes"]["utc_offset"] == stored


def test_a_time_zone_takes_the_place_of_an_offset_in_one_request(deployed: DeployedService) -> None:
    """Stored under its own name, slash and all: the policy store takes the computed offset."""
    zone = {"time_zone": "America/Port-au-Prince", "utc_offset": None}
    assert deployed.call("PATCH", "/v1/devices/press-02", json=zone).status_code == 200
    read = deployed.call("GET", "/v1/devices/press-02")
    assert read.status_code == 200, read.text
    assert read.json()["attributes"]["time_zone"] == "America/Port-au-Prince"
    assert "utc_offset" not in read.json()["attributes"]
    back = {"time_zone": None, "utc_offset": "+02:00"}
    assert deployed.call("PATCH", "/v1/devices/press-02", json=back).status_code == 200
