"""Whoever may not view a device gets the same answers whatever its facts are: they learn none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from service.domain.devices import Device
from tests.service.api.test_explanations import person
from tests.service.api.test_permissions import prepared

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

HIDDEN: Final = "pump-09"
WHO: Final = ("it-staff", "technicians", "emergency-responders")
# Each reads facts, in parts of which some hold and some do not, and none lets anybody stop it.
READERS: Final = {
    "reads-labels": """permit (principal, action == Fleet::Action::"StopDevice", resource) when {
        resource has region && resource.region == "eu-north" && resource has kind &&
        resource.kind == "pump" && context has reason && context.reason == "never said" };""",
    "reads-criticality": """permit (principal, action == Fleet::Action::"StopDevice", resource)
        when { resource has criticality && resource.criticality == "medium" &&
        context has reason && context.reason == "never said" };""",
    "reads-tags": """permit (principal, action == Fleet::Action::"StopDevice", resource) when {
        resource.hasTag("building") && resource.getTag("building") == "b1" &&
        context has reason && context.reason == "never said" };""",
    "reads-groups": """permit (principal, action == Fleet::Action::"StopDevice",
        resource in Fleet::DeviceGroup::"line-press")
        when { context has reason && context.reason == "never said" };""",
    "it-staff-see-people": """permit (principal in Fleet::Group::"it-staff",
        action == Fleet::Action::"ViewPeople", resource);""",
}
FACTS: Final = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["press", "pump"]),
        "region": st.sampled_from(["eu-central", "eu-north"]),
        "criticality": st.sampled_from(["low", "medium"]),  # responders view what is high
        "window": st.sampled_from(["00:00-23:59", "22:00-04:00"]),
        "utc_offset": st.sampled_from(["+00:00", "-09:30"]),
        "security_patch": st.sampled_from(["2020-01-01", "2026-11-01"]),
    },
)
DEVICES: Final = st.builds(
    Device,
    tenant=st.just("acme"),
    id=st.just(HIDDEN),
    attributes=FACTS,
    groups=st.sampled_from([(), ("line-press",)]),
    tags=st.sampled_from([{}, {"building": "b1"}, {"building": "b2"}]),
)


def questions() -> list[tuple[str, dict[str, Any]]]:
    """All that can be asked of it, and of what would become of it."""
    stop = {"command": "stop", "device": HIDDEN}
    firmware = {"action": "UpdateFirmware", "device": HIDDEN, "artifact": "firmware/press-2.bin"}
    view = {"action": "ViewDevice", "device": HIDDEN}
    high = {"device_state": {"facts": {"criticality": "high"}}}
    urgent = {**stop, "emergency": {"reason": "fire"}}
    without = {"policies": {"without": ["it-staff-no-operation", "firmware-when-patch-is-old"]}}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("check", {"checks": [stop, firmware, view, urgent]})
    ]
    for one in (stop, firmware):
        asked += [
            ("explain", one),
            ("explain", {**one, "person": "kim"}),
            ("who", one),
            *(("simulate", {"question": one, **what}) for what in ({}, high, without)),
            ("simulate", {"question": one, "persona": {"groups": ["managers"]}}),
        ]
    return asked


def told(service: ServiceUnderTest, device: Device, who: str) -> list[Any]:
    """Every answer but for the ids of the requests; and the reason why a command is refused."""
    service.ports.devices.add(device)
    answers = [
        service.call("POST", f"/v1/permissions/{path}", as_=who, json=body)
        for path, body in questions()
    ]
    answers += [
        service.call("POST", "/v1/downloads/plan", as_=who, json={**named, "artifact": artifact})
        for named in ({"device": HIDDEN}, {"devices": [HIDDEN]})
        for artifact in ("recipes/steel.json", "firmware/press-2.bin")
    ]
    refused = service.call("POST", f"/v1/devices/{HIDDEN}/commands", as_=who, json={"name": "stop"})
    assert refused.status_code == 403
    answers.append(refused)
    return [
        (answer.status_code, {**answer.json(), "request_id": None, "instance": None})
        for answer in answers
    ]


def test_no_answer_depends_on_hidden_facts(service: ServiceUnderTest) -> None:
    """Two devices of one name and any facts are answered for alike, as one that there is not."""
    prepared(service, **READERS)
    person(service, "kim", "managers")

    # An example is 40 requests: one that fails is read as it is, not made smaller for minutes.
    @settings(max_examples=8, phases=[Phase.generate])
    @given(one=DEVICES, other=DEVICES, who=st.sampled_from(WHO))
    def alike(one: Device, other: Device, who: str) -> None:
        assume(one != other)
        first = told(service, one, who)
        assert first == told(service, other, who)
        for status, body in first[1:]:
            assert status in (403, 404), body

    alike()


def test_what_is_shown_depends_on_the_facts(service: ServiceUnderTest) -> None:
    """Of a device that may be viewed the same questions are answered by its facts."""
    prepared(service, **{"reads-labels": READERS["reads-labels"]})
    explained: list[Any] = []
    for region in ("eu-central", "eu-north"):
        facts = {"criticality": "high", "region": region}
        service.ports.devices.add(Device(tenant="acme", id=HIDDEN, attributes=facts))
        answer = service.call(
            "POST",
            "/v1/permissions/explain",
            as_="emergency-responders",
            json={"command": "stop", "device": HIDDEN},
        )
        assert answer.status_code == 200
        explained.append(answer.json()["explained"])
    assert explained[0] != explained[1]
