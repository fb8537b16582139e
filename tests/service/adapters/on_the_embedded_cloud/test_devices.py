"""A tenant's devices: their facts in the table, their connections from the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def facts(deployed: DeployedService, device: str) -> dict[str, Any]:
    """The facts row of one of acme's devices."""
    key = {"partition": {"S": "acme--devices"}, "sk": {"S": f"{device}#facts"}}
    table = deployed.setup.stacks["platform"]["devices_table"]
    return deployed.setup.cloud.client("dynamodb").get_item(TableName=table, Key=key)["Item"]


def test_pages_of_devices_follow_each_other(deployed: DeployedService) -> None:
    """The cursor leads on, belongs to its tenant, and a made-up one is refused."""
    first = deployed.call("GET", "/v1/devices", params={"limit": 1}).json()
    second = deployed.call(
        "GET", "/v1/devices", params={"limit": 1, "cursor": first["cursor"]}
    ).json()
    assert [page["devices"][0]["id"] for page in (first, second)] == ["press-01", "press-02"]
    for tenant, cursor in (("globex", first["cursor"]), ("acme", "AAAA"), ("acme", "!")):
        answer = deployed.call("GET", "/v1/devices", tenant=tenant, params={"cursor": cursor})
        assert answer.status_code == 400, cursor


def test_facts_are_stored_with_who_changed_them(deployed: DeployedService) -> None:
    """Attributes and groups stand in one row, for the thing that bears the name."""
    answer = deployed.call(
        "PATCH", "/v1/devices/press-02", json={"window": "22:00-04:00", "kind": None}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["attributes"]["window"] == "22:00-04:00"
    row, me = facts(deployed, "press-02"), deployed.call("GET", "/v1/me").json()
    assert row["attributes"]["M"]["window"] == {"S": "22:00-04:00"}
    assert row["attributes"]["M"]["utc_offset"] == {"S": "+01:00"}
    assert "kind" not in row["attributes"]["M"]
    assert row["groups"] == {"L": [{"S": "line-press"}]}
    assert row["changed_by"] == {"S": me["principal"]}
    thing = deployed.setup.cloud.client("iot").describe_thing(thingName="acme--press-02")
    assert row["origin"] == {"S": thing["thingId"]}


def test_a_time_zone_takes_the_place_of_an_offset_in_one_request(deployed: DeployedService) -> None:
    """The policy store takes the computed offset."""
    zone = {"time_zone": "America/Port-au-Prince", "utc_offset": None}
    assert deployed.call("PATCH", "/v1/devices/press-02", json=zone).status_code == 200
    read = deployed.call("GET", "/v1/devices/press-02")
    assert read.status_code == 200, read.text
    assert read.json()["attributes"]["time_zone"] == "America/Port-au-Prince"
    assert "utc_offset" not in read.json()["attributes"]
    back = {"time_zone": None, "utc_offset": "+02:00"}
    assert deployed.call("PATCH", "/v1/devices/press-02", json=back).status_code == 200


def test_a_thing_made_anew_is_a_device_without_facts(deployed: DeployedService) -> None:
    """Registry events tell that it came and went; nobody inherits what a name once had."""
    iot = deployed.setup.cloud.client("iot")
    path = "/v1/devices/press-99"
    for _ in range(2):
        assert deployed.call("GET", path).status_code == 404
        iot.create_thing(thingName="acme--press-99")
        try:
            seen = deployed.call("GET", path).json()
            assert (seen["groups"], seen["attributes"], seen["connectivity"]) == ([], {}, None)
            put = deployed.call("PUT", f"{path}/groups", json={"groups": ["line-pump"]})
            assert put.json()["groups"] == ["line-pump"], put.text
        finally:
            iot.delete_thing(thingName="acme--press-99")
    assert deployed.call("GET", path).status_code == 404


def test_a_group_decides_as_soon_as_it_is_set(deployed: DeployedService) -> None:
    """Inspectors see presses of their line: moved out of it, the next read is decided without."""
    path = "/v1/devices/press-02/groups"
    for groups in (["line-pump"], ["line-press"]):
        answer = deployed.call("PUT", path, json={"groups": groups})
        assert answer.status_code == 200, answer.text
        listed = deployed.call("GET", "/v1/devices").json()["devices"]
        assert listed[1]["groups"] == groups
    unknown = deployed.call("PUT", path, json={"groups": ["line-pres"]})
    assert unknown.status_code == 400
    assert "did you mean `line-press`?" in unknown.text


def test_a_tag_decides_as_soon_as_it_is_set(deployed: DeployedService) -> None:
    """Whom the store's policies let set it, and whom they let see a device that has it."""
    path = "/v1/devices/press-02"

    def tag(group: str, **tags: str | None) -> int:
        body = {"tags": tags}
        return deployed.call("PATCH", f"{path}/tags", group=group, json=body).status_code

    def inspected() -> int:
        return deployed.call("GET", path, group="quality-inspectors").status_code

    assert deployed.call("PATCH", path, json={"kind": None}).status_code == 200
    assert tag("managers", certified_by="me") == 403
    assert inspected() == 403
    assert tag("it-staff", certified_by="Kim") == 200
    assert inspected() == 200
    assert facts(deployed, "press-02")["tags"] == {"M": {"certified_by": {"S": "Kim"}}}
    assert tag("managers", building="foundry") == 200
    assert tag("it-staff", certified_by=None) == 200
    assert inspected() == 403
    assert tag("managers", building="laboratory") == 200
    assert inspected() == 200
    found = deployed.call("GET", "/v1/devices", params={"tag": "building:laboratory"}).json()
    assert [device["id"] for device in found["devices"]] == ["press-02"]
    assert tag("managers", building=None) == 200
