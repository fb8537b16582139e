"""Lists of devices by what is known of them: each filter, its slips, and the edges of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.domain.device_filter import MAX_LOOKED_AT
from service.domain.devices import Connectivity, Device, ReportedVersions

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest


@pytest.fixture
def fleet(service: ServiceUnderTest) -> ServiceUnderTest:
    """Three presses of line-press, the first connected, and a few others."""
    for device in (
        Device(tenant="acme", id="a-cell", groups=("cell-4",), tags={"building": "7"}),
        Device(tenant="acme", id="b-hall", groups=("zone-hall-1",), tags={"building": "8"}),
        Device(tenant="acme", id="c-bare"),
        Device(
            tenant="acme",
            id="d-pump",
            groups=("line-pump",),
            attributes={"kind": "pump", "criticality": "low", "time_zone": "Europe/Berlin"},
            tags={"building": "7", "customer": "A:B", "floor": "2"},
            connectivity=Connectivity(connected=True, since_ms=1),
        ),
    ):
        service.ports.devices.add(device)
    for name, packages in (
        ("a-cell", {"firmware": "1.4.2", "recipes": "7"}),
        ("c-bare", {"firmware": "1.4.2"}),
        ("d-pump", {"firmware": "1.4.20"}),
        ("press-01", {}),
    ):
        service.ports.devices.says(
            "acme", name, ReportedVersions(at=1, agent="0.2.0", packages=packages)
        )
    return service


def get(service: ServiceUnderTest, **params: str | list[str]) -> httpx.Response:
    """Ask for a list."""
    return service.call("GET", "/v1/devices", as_="operators", params=params)


PRESSES = ["press-01", "press-02", "press-03"]


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"group": "line-press"}, PRESSES),
        ({"group": "zone-hall-1"}, ["a-cell", "b-hall"]),
        ({"group": "cell-4"}, ["a-cell"]),
        ({"group": "all"}, ["a-cell", "b-hall", "c-bare", "d-pump", *PRESSES]),
        ({"tag": "building"}, ["a-cell", "b-hall", "d-pump"]),
        ({"tag": "building:7"}, ["a-cell", "d-pump"]),
        ({"tag": ["building:7", "floor"]}, ["d-pump"]),
        ({"tag": "customer:A:B"}, ["d-pump"]),
        ({"tag": "building:9"}, []),
        ({"kind": "pump"}, ["d-pump"]),
        ({"version": "firmware:1.4.2"}, ["a-cell", "c-bare"]),
        ({"version": "firmware"}, ["a-cell", "c-bare", "d-pump"]),
        ({"version": ["firmware:1.4.2", "recipes"]}, ["a-cell"]),
        ({"version": "firmware:1.4.2", "tag": "building"}, ["a-cell"]),
        ({"version": "recipes:8"}, []),
        ({"criticality": "high", "region": "eu-central"}, PRESSES),
        ({"time_zone": "Europe/Berlin"}, ["d-pump"]),
        (
            {"utc_offset": "+01:00", "window": "22:00-04:00", "security_patch": "2026-01-01"},
            PRESSES,
        ),
        ({"connected": "true"}, ["d-pump", "press-01"]),
        ({"connected": "false", "kind": "press"}, ["press-02", "press-03"]),
        ({"connected": "false", "tag": "building"}, ["a-cell", "b-hall"]),
        ({"kind": "pump", "group": "line-press"}, []),
        ({"text": "PRESS-0"}, PRESSES),
        ({"text": "pump", "connected": "true"}, ["d-pump"]),
        ({"text": "a:b"}, ["d-pump"]),
        ({"text": "berlin"}, ["d-pump"]),
        ({"text": "building"}, []),
    ],
)
def test_a_list_shows_what_fits_all_of_it(
    fleet: ServiceUnderTest, params: dict[str, str | list[str]], ids: list[str]
) -> None:
    """The same whatever the size of a page."""
    for limit in ("1", "2", "50"):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = get(fleet, limit=limit, **params, **cursor)
            assert answer.status_code == 200, answer.text
            seen += [device["id"] for device in answer.json()["devices"]]
            if answer.json()["cursor"] is None:
                break
            cursor = {"cursor": answer.json()["cursor"]}
        assert seen == ids


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"group": "line-pres"}, "group", "the tenant has no group `line-pres`; it has: cell-4, "),
        ({"tag": "7th"}, "tag", "`7th`: must be a letter and up to 63"),
        ({"tag": ""}, "tag", "``: must be a letter"),
        ({"tag": "building:"}, "tag", "`building`: must be 1 to 128 printable"),
        ({"tag": ["building:7", "building:8"]}, "tag", "`building` stands twice"),
        ({"tag": [f"t{number}" for number in range(11)]}, "tag", ""),
        ({"criticality": "urgent"}, "criticality", "must be one of low, medium, high"),
        ({"kind": "a b"}, "kind", "must be 1 to 64 characters"),
        ({"kind": ["press", "pump"]}, "kind", "stands twice"),
        ({"version": "Firmware:1"}, "version", "must be a package and its version"),
        ({"version": "firmware:1 2"}, "version", "must be a package and its version"),
        ({"version": ["firmware:1", "firmware"]}, "version", "`firmware` stands twice"),
        ({"connected": "perhaps"}, "connected", ""),
        ({"knd": "press"}, "knd", "no such parameter here; there are: connected, criticality, "),
        ({"knd": "press"}, "knd", "did you mean `kind`?"),
        ({"Kind": "press"}, "Kind", "no such parameter here"),
    ],
)
def test_a_filter_with_a_slip_is_told(
    fleet: ServiceUnderTest, params: dict[str, str | list[str]], field: str, words: str
) -> None:
    """By its name, with what would be right; a misspelt one would show nothing, or everything."""
    answer = get(fleet, **params)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert words in error["problem"]


def test_no_route_takes_a_parameter_that_it_does_not_know(service: ServiceUnderTest) -> None:
    """Whatever the method; nothing is done."""
    for method, path, body in (
        ("GET", "/v1/me", None),
        ("GET", "/v1/devices/press-01", None),
        ("PATCH", "/v1/devices/press-01", {"kind": "pump"}),
        ("POST", "/v1/devices/press-01/commands", {"name": "reboot"}),
    ):
        answer = service.call(method, path, json=body, params={"dry_run": "true"})
        assert answer.status_code == 400, (method, path)
        assert answer.json()["errors"][0]["field"] == "dry_run"
    assert service.device("press-01").attributes["kind"] == "press"
    assert service.ports.command_records.once.records == {}


def test_an_empty_page_goes_on_where_it_ended(service: ServiceUnderTest) -> None:
    """A request looks at so many devices; the next begins behind them, whatever was shown."""
    for number in range(2 * MAX_LOOKED_AT):
        service.ports.devices.add(Device(tenant="acme", id=f"a{number:05}"))
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = get(service, kind="press", limit="2", **cursor).json()
        pages.append([device["id"] for device in answer["devices"]])
        if answer["cursor"] is None:
            break
        cursor = {"cursor": answer["cursor"]}
    assert pages == [[], [], ["press-01", "press-02"], ["press-03"]]


def test_a_campaign_goes_to_what_runs_a_version(fleet: ServiceUnderTest) -> None:
    """By the same filter as the list."""
    wanted = {"name": "reboot", "filter": {"version": ["firmware:1.4.2"]}}
    answer = fleet.call("POST", "/v1/campaigns", json=wanted)
    assert answer.status_code == 202, answer.text
    assert fleet.call("GET", answer.json()["url"]).json()["devices"] == 2
    odd = fleet.call(
        "POST", "/v1/campaigns", json={"name": "reboot", "filter": {"version": ["firmware:"]}}
    )
    assert (odd.status_code, odd.json()["errors"][0]["field"]) == (400, "version")
