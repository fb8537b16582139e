"""Plans for what a filter finds, and for devices by name: those of that moment, and no others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.devices import Device
from service.domain.downloads import DeliveryState, Outcome
from tests.service.api.test_audit import look_at
from tests.service.api.test_downloads import FILE, FIRMWARE, URL, planned
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

PLAN = "/v1/downloads/plan"


def ask(service: ServiceUnderTest, *, as_: str = "managers", **body: Any) -> httpx.Response:
    """Ask for a plan."""
    return service.call("POST", PLAN, as_=as_, json={"artifact": FILE, **body})


def plan(service: ServiceUnderTest, *, as_: str = "managers", **body: Any) -> dict[str, Any]:
    """A plan that is made."""
    answer = ask(service, as_=as_, **body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def start(service: ServiceUnderTest, made: dict[str, Any], *, as_: str = "managers") -> Any:
    """Start what was planned."""
    return service.call("POST", URL, as_=as_, json={"plan": made["id"]})


def add(service: ServiceUnderTest, name: str, **facts: Any) -> None:
    """One more device of acme."""
    service.ports.devices.add(Device(tenant="acme", id=name, **facts))


def test_a_filter_finds_what_the_own_list_shows(service: ServiceUnderTest) -> None:
    """The same devices as `GET /v1/devices` under it, in one download that says of what."""
    add(service, "pump-01", groups=("line-pump",), tags={"building": "7"})
    add(service, "press-07", groups=("line-press",), tags={"building": "7"})
    made = plan(service, filter={"group": "line-press", "kind": "press"})
    listed = service.call("GET", "/v1/devices", params={"group": "line-press", "kind": "press"})
    assert [one["device"] for one in made["devices"]] == [
        one["id"] for one in listed.json()["devices"]
    ]
    assert (made["group"], made["selected_in"]) == (None, "line-press")
    tagged = plan(service, filter={"tag": ["building:7"]})
    assert (tagged["selected_in"], tagged["counts"]) == ("all", {"allowed": 2})
    assert tagged["reach"]["targets"] == 2
    assert start(service, tagged).status_code == 202
    assert planned(service) == [("press-07", "pump-01")]
    seen = service.call("GET", f"{URL}/{tagged['id']}").json()
    assert (seen["device"], seen["group"], seen["selected_in"]) == (None, None, "all")


def test_devices_by_name_are_those(service: ServiceUnderTest) -> None:
    """Whatever their groups, in the order of their ids; one that is not there is named."""
    add(service, "pump-01", groups=("line-pump",))
    made = plan(service, devices=["pump-01", "press-02"], waves=[{"devices": 1}])
    assert made["waves"] == [1, 1]
    assert start(service, made).status_code == 202
    assert planned(service) == [("press-02",), ("pump-01",)]
    assert ask(service, devices=["press-02", "press-99"]).status_code == 404
    assert ask(service, devices=["press-02", "press-02"]).status_code == 400
    assert ask(service, devices=["press-02"], group="line-press").status_code == 400
    assert ask(service, device="press-02", filter={}).status_code == 400
    assert ask(service, devices=[f"d{n}" for n in range(501)]).status_code == 400


def test_a_filter_that_finds_none_is_refused(service: ServiceUnderTest) -> None:
    """None: 409; one that none can fit, since it was misspelt: 400; another group: 404."""
    assert ask(service, filter={"tag": ["building:9"]}).status_code == 409
    assert ask(service, filter={"group": "line-pres"}).status_code == 404
    assert ask(service, filter={"time_zone": "Europe/Nowhere"}).status_code == 400
    assert ask(service, filter={"version": ["?:?"]}).status_code == 400


@pytest.mark.parametrize("change", ["joined", "left", "retired"])
def test_another_set_of_devices_is_stale(service: ServiceUnderTest, change: str) -> None:
    """Whoever fits by now, or no more, makes the plan stale, by name; nothing is begun."""
    made = plan(service, filter={"kind": "press"})
    changed = {
        "joined": Device(tenant="acme", id="press-04", attributes={"kind": "press"}),
        "left": Device(tenant="acme", id="press-02", attributes={"kind": "pump"}),
        "retired": service.device("press-02"),
    }[change]
    service.ports.devices.add(changed)
    if change == "retired":
        gone = service.call("POST", "/v1/devices/press-02/retire")
        assert gone.status_code == 200, gone.text
    answer = start(service, made)
    assert (answer.status_code, answer.json()["type"][-10:]) == (409, "plan-stale")
    word = "joined: `press-04`" if change == "joined" else "left: `press-02`"
    assert answer.json()["changes"] == [word]
    assert service.ports.download_records.once.records == {}


def test_who_fits_later_is_not_reached(service: ServiceUnderTest) -> None:
    """Once it is started it is for these; asked again it is the same download."""
    made = plan(service, filter={"kind": "press"})
    assert start(service, made).status_code == 202
    add(service, "press-04", attributes={"kind": "press"})
    assert start(service, made).json()["id"] == made["id"]
    assert set(planned(service)) == {("press-01", "press-02", "press-03")}


def test_nobody_reaches_by_a_filter_whom_they_may_not(service: ServiceUnderTest) -> None:
    """Each is denied by its policy, who may not be viewed is not found, and a start is 403."""
    denied = plan(service, as_="operators", filter={"kind": "press"})
    assert denied["denied_by"] == {"operators-view-only": 3}
    refused = start(service, denied, as_="operators")
    assert (refused.status_code, refused.json()["policies"]) == (403, ["operators-view-only"])
    unseen = ask(service, as_="it-staff", artifact=FIRMWARE, filter={"kind": "press"})
    assert unseen.status_code == 409
    assert planned(service) == []
    for named in ({"devices": ["press-01"]}, {"device": "press-01"}):
        assert ask(service, as_="it-staff", artifact=FIRMWARE, **named).status_code == 404


def test_the_whole_is_held_by_its_owner_or_group(service: ServiceUnderTest) -> None:
    """Who began it by a device of it; others by the group that it was selected in."""
    made = plan(service, filter={"kind": "press"}, waves=[{"devices": 1}], pause_minutes=9)
    assert start(service, made).status_code == 202
    url = f"{URL}/{made['id']}"
    assert service.call("POST", f"{url}/pause", as_="operators").status_code == 403
    audited = service.ports.audit.trail[-1]
    assert audited.resource == 'Fleet::DeviceGroup::"all"'
    for act in ("pause", "resume", "cancel"):
        assert service.call("POST", f"{url}/{act}").status_code == 202
        assert service.ports.audit.trail[-1].resource == 'Fleet::Device::"press-01"'
    assert service.call("GET", url).json()["state"] == "canceling"
    listed = service.call("GET", URL, params={"device": "press-02"}).json()["downloads"]
    assert listed == []
    of_device = service.call("GET", "/v1/devices/press-02/downloads").json()["downloads"]
    assert [(one["id"], one["group"]) for one in of_device] == [(made["id"], None)]


def test_its_ends_are_in_the_audit(service: ServiceUnderTest) -> None:
    """With the decision on the device that stood for all."""
    made = plan(service, devices=["press-01", "press-03"])
    assert start(service, made).status_code == 202
    stored = service.ports.download_records.once.records["acme", made["id"]]
    said = Outcome(state=DeliveryState.SUCCEEDED, at=1_790_000_000_000)
    service.ports.deliveries.end(stored, "press-03", said)
    look_at(service, made["id"])
    trail = service.call("GET", "/v1/audit", params={"command": made["id"]}).json()["entries"]
    outcome, decision = trail
    assert decision["resource"] == 'Fleet::Device::"press-01"'
    assert outcome["about"] == {"download": made["id"], "decision": decision["id"]}
    assert list(outcome["outcome"]["devices"]) == ["press-03"]


@pytest.mark.timeout(120)
def test_a_filter_finds_ten_thousand(service: ServiceUnderTest, record_property: Any) -> None:
    """Each once, in the time of a request; one more than a download can serve is refused."""
    acme = service.acme.tenant
    service.ports.policy_stores.stamp(acme, stamped(acme))
    assert asyncio.run(service.app.state.operations.decisions.prepare(acme))
    for number in range(10_000):
        add(service, f"m{number:05}", attributes={"kind": "sensor"})
    made = plan(service, filter={"kind": "sensor"}, waves=[{"percent": 1}, {"percent": 10}])
    assert (made["counts"], made["waves"]) == ({"allowed": 10_000}, [100, 1000, 8900])
    answer = start(service, made)
    assert answer.status_code == 202
    reached = [one for members in planned(service) for one in members]
    assert (len(reached), len(set(reached))) == (10_000, 10_000)
    add(service, "m10000", attributes={"kind": "sensor"})
    refused = ask(service, filter={"kind": "sensor"})
    assert refused.status_code == 409
    assert "10000" in refused.json()["detail"]
    record_property("devices", len(reached))
