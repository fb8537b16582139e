"""Planned downloads over HTTP: the plan says what would happen, and exactly that is started."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.domain.artifacts import Artifact
from service.domain.devices import Device
from tests.service.api.test_downloads import FILE, FIRMWARE, URL, planned

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

PLAN = "/v1/downloads/plan"


def plan(service: ServiceUnderTest, *, as_: str = "managers", **body: Any) -> dict[str, Any]:
    """A plan for the presses."""
    asked = {"artifact": FILE, "group": "line-press", **body}
    answer = service.call("POST", PLAN, as_=as_, json=asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/downloads/plans/{answer.json()['id']}"
    return answer.json()


def start(
    service: ServiceUnderTest, made: dict[str, Any], *, as_: str = "managers"
) -> httpx.Response:
    """Start what was planned."""
    return service.call("POST", URL, as_=as_, json={"plan": made["id"]})


def test_a_plan_says_what_would_become_of_each(service: ServiceUnderTest) -> None:
    """Allowed by which policy, skipped and why, and how much of the fleet; nothing is done."""
    service.ports.devices.add(Device(tenant="acme", id="pump-01", groups=("line-pump",)))
    odd = Device(tenant="acme", id="press-09", groups=("line-press",), attributes={"window": "?"})
    service.ports.devices.add(odd)
    made = plan(service)
    assert made["counts"] == {"allowed": 3, "skipped": 1}
    assert made["skipped_for"] == {"its facts cannot be read": 1}
    assert [one["verdict"] for one in made["devices"]] == ["allowed"] * 3
    assert made["devices"][0]["policies"] == ["managers-everything"]
    assert made["hidden"] == 1, "nobody may view what cannot be read but in the list"
    assert made["reach"] == {
        "targets": 3,
        "share_of_fleet": 60,
        "critical_targets": 3,
        "share_of_critical": 100,
    }
    assert (planned(service), service.ports.audit.trail) == ([], [])


def test_a_plan_is_started_exactly(service: ServiceUnderTest) -> None:
    """Its allowed devices, in its waves, under its id; asked again it is the same download."""
    made = plan(service, waves=[{"devices": 1}], pause_minutes=10)
    assert made["waves"] == [1, 2]
    answer = start(service, made)
    assert (answer.status_code, answer.json()["id"]) == (202, made["id"])
    assert planned(service) == [("press-01",), ("press-02", "press-03")]
    seen = service.call("GET", answer.headers["Location"]).json()
    assert [wave["devices"] for wave in seen["rollout"]["waves"]] == [1, 2]
    assert seen["counts"] == {"created": 3}
    assert start(service, made).json()["id"] == made["id"]
    assert len(service.ports.download_records.once.records) == 1


def test_a_stale_plan_is_refused_with_what_changed(service: ServiceUnderTest) -> None:
    """Who joined, who left, another version of the file: 409, by name, and nothing is begun."""
    made = plan(service)
    service.ports.devices.add(Device(tenant="acme", id="press-04", groups=("line-press",)))
    service.ports.devices.add(Device(tenant="acme", id="press-01", groups=()))
    service.ports.artifacts.add(
        Artifact(tenant="acme", name=FILE, size=1024, sha256="cd" * 32, etag='"e9"')
    )
    answer = start(service, made)
    assert (answer.status_code, answer.json()["type"][-10:]) == (409, "plan-stale")
    assert answer.json()["changes"] == [
        f"file `{FILE}` is another version",
        "joined: `press-04`",
        "left: `press-01`",
    ]
    assert planned(service) == []


def test_a_refusal_of_a_device_is_named_by_its_policy(service: ServiceUnderTest) -> None:
    """Firmware by IT staff: nobody permits it, and who may not view a device learns no name."""
    made = plan(service, as_="it-staff", artifact=FIRMWARE)
    assert made["counts"] == {"denied": 3}
    assert (made["hidden"], made["devices"]) == (3, [])
    refused = start(service, made, as_="it-staff")
    assert refused.status_code == 403


def test_a_plan_is_of_who_made_it(service: ServiceUnderTest) -> None:
    """Nobody else reads or starts it."""
    made = plan(service)
    url = f"/v1/downloads/plans/{made['id']}"
    assert service.call("GET", url).status_code == 200
    assert service.call("GET", url, as_="operators").status_code == 404
    assert start(service, made, as_="operators").status_code == 404


def test_a_plan_ends_after_a_day(service: ServiceUnderTest) -> None:
    """Then it is as none."""
    made = plan(service)
    key = ("acme", made["id"])
    kept, devices = service.ports.plans.kept[key]
    service.ports.plans.kept[key] = (replace(kept, made_at=kept.made_at - 86_400_000), devices)
    assert start(service, made).status_code == 404


def test_a_plan_pages_its_devices(service: ServiceUnderTest) -> None:
    """In the order of their ids, each once."""
    made = plan(service)
    url, seen, cursor = f"/v1/downloads/plans/{made['id']}", [], ""
    while cursor is not None:
        page = service.call("GET", f"{url}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [one["device"] for one in page.json()["devices"]]
        cursor = page.json()["cursor"]
    assert seen == ["press-01", "press-02", "press-03"]


def test_nothing_stands_beside_a_plan(service: ServiceUnderTest) -> None:
    """A plan says it all: a member beside it is 400."""
    body = {"plan": plan(service)["id"], "device": "press-01"}
    assert service.call("POST", URL, json=body).status_code == 400


def test_a_shape_that_nobody_can_mean_is_refused(service: ServiceUnderTest) -> None:
    """A wave of both or neither, a window that is never open, an offset of no clock."""
    for shape in (
        {"waves": [{}]},
        {"waves": [{"devices": 1, "percent": 1}]},
        {"waves": [{"percent": 101}]},
        {"window": "22:00-22:00"},
        {"window": "25:00-26:00"},
        {"window": "22:00-23:00", "utc_offset": "CET"},
        {"abort_percent": 0},
    ):
        body = {"artifact": FILE, "group": "line-press", **shape}
        answer = service.call("POST", PLAN, json=body)
        assert answer.status_code == 400, shape
