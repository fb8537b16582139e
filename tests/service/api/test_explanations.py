"""Refusals say why in words, and what would turn them; nobody learns more than they may view."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.devices import Device
from service.domain.people import Person
from tests.service.api.test_permissions import prepared

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

STOP = {"command": "stop", "device": "press-01"}


def explain(service: ServiceUnderTest, as_: str, **question: Any) -> dict[str, Any]:
    """Ask why."""
    answer = service.call("POST", "/v1/permissions/explain", as_=as_, json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def simulate(
    service: ServiceUnderTest, question: dict[str, Any], as_: str = "managers", **what_if: Any
) -> dict[str, Any]:
    """Ask what if."""
    body = {"question": question, **what_if}
    answer = service.call("POST", "/v1/permissions/simulate", as_=as_, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def conditions(found: dict[str, Any], policy: str) -> dict[str, dict[str, Any]]:
    """The conditions of one policy by their words."""
    (one,) = [one for one in found["explained"] if one["policy"] == policy]
    return {condition["words"]: condition for condition in one["conditions"]}


def person(service: ServiceUnderTest, name: str, *groups: str) -> str:
    """A person of acme."""
    one = Person(
        id=name,
        subject=name,
        email=f"{name}@acme.test",
        state="active",
        enabled=True,
        region=None,
        groups=groups,
    )
    service.ports.people.add("acme", one)
    return name


def test_a_permit_that_fails_says_what_it_lacks(service: ServiceUnderTest) -> None:
    """In the policy's own words, with the values that it met and who could change them."""
    prepared(service)
    service.ports.devices.add(
        Device(tenant="acme", id="press-01", attributes={"criticality": "high"})
    )
    found = explain(service, "emergency-responders", **STOP)
    assert (found["allowed"], found["policies"]) == (False, [])
    first = found["explained"][0]
    assert {name: first[name] for name in ("policy", "effect", "applies", "changes_if")} == {
        "policy": "emergency-responders-act",
        "effect": "permit",
        "applies": False,
        "changes_if": "all",
    }
    lacking = conditions(found, "emergency-responders-act")
    assert lacking.keys() == {"an emergency is declared", "a reason is given"}
    assert lacking["an emergency is declared"]["values"] == {"context.emergency": "false"}
    assert lacking["an emergency is declared"]["may_change"] == ["caller"]
    declared = explain(service, "emergency-responders", **STOP, emergency={"reason": "fire"})
    assert (declared["allowed"], declared["policies"]) == (True, ["emergency-responders-act"])


def test_a_forbid_says_what_would_lift_it(service: ServiceUnderTest) -> None:
    """Each of its conditions, and the groups that could change it, for who may view people."""
    prepared(service)
    found = explain(service, "operators", **STOP)
    assert found["policies"] == ["operators-view-only"]
    first = found["explained"][0]
    assert (first["effect"], first["applies"], first["changes_if"]) == ("forbid", True, "one")
    met = conditions(found, "operators-view-only")
    assert met["the caller is also a manager"] == {
        "words": "the caller is also a manager",
        "condition": 'principal in Fleet::Group::"managers"',
        "holds": False,
        "values": {"principal.groups": "operators"},
        "may_change": ["ManagePeople"],
    }
    assert met['principal in Fleet::Group::"operators"']["holds"]
    assert found["changers"] == {}, "operators may not view people"
    kim = person(service, "kim", "operators")
    of_kim = explain(service, "managers", **STOP, person=kim)
    assert of_kim["policies"] == ["operators-view-only"]
    assert of_kim["changers"] == {"ManagePeople": ["managers"]}


def test_a_refusal_says_why_by_itself(service: ServiceUnderTest) -> None:
    """The problem document of a 403 has what explain has, once there is a good copy."""
    refused = service.call(
        "POST", "/v1/devices/press-01/commands", as_="operators", json={"name": "stop"}
    )
    assert (refused.status_code, "explained" in refused.json()) == (403, False)
    prepared(service)
    refused = service.call(
        "POST", "/v1/devices/press-01/commands", as_="operators", json={"name": "stop"}
    )
    assert refused.status_code == 403
    assert refused.json()["policies"] == ["operators-view-only"]
    assert refused.json()["explained"] == explain(service, "operators", **STOP)["explained"]


def test_nothing_is_told_of_what_may_not_be_viewed(service: ServiceUnderTest) -> None:
    """No fact, no tag, no group and no condition of a device, by any route or to any question."""
    secret = {"criticality": "low", "region": "hidden-region", "kind": "hidden-kind"}
    service.ports.devices.add(
        Device(tenant="acme", id="pump-09", attributes=secret, tags={"building": "hidden-tag"})
    )
    policies = {
        "reads-all": """permit (principal, action == Fleet::Action::"StopDevice", resource)
            when { resource has region && resource.region == "x" && resource has kind
              && resource.kind == "y" && resource.hasTag("building")
              && resource.getTag("building") == "z" };""",
    }
    prepared(service, **policies)
    answers = [
        service.call("POST", path, as_="emergency-responders", json=body)
        for path, body in (
            ("/v1/devices/pump-09/commands", {"name": "stop"}),
            ("/v1/devices/pump-09/commands", {"name": "stop", "emergency": {"reason": "fire"}}),
            ("/v1/permissions/explain", {"command": "stop", "device": "pump-09"}),
            ("/v1/permissions/explain", {"action": "ViewDevice", "device": "pump-09"}),
        )
    ]
    answers.append(service.call("GET", "/v1/devices/pump-09", as_="emergency-responders"))
    assert [one.status_code for one in answers] == [403, 403, 404, 404, 403]
    for answer in answers:
        told = answer.text
        assert not [word for word in ("hidden", "explained", '"low"') if word in told], told
    # The same question of one that may be viewed is explained: so the above can fail.
    visible = {**secret, "criticality": "high"}
    service.ports.devices.add(Device(tenant="acme", id="pump-08", attributes=visible))
    told = service.call(
        "POST", "/v1/devices/pump-08/commands", as_="emergency-responders", json={"name": "stop"}
    )
    assert "hidden-region" in told.text


def test_others_are_asked_about_by_who_may_view_people(service: ServiceUnderTest) -> None:
    """Whoever else asks is refused, audited, and learns nothing, not even of a slip."""
    prepared(service)
    kim = person(service, "kim", "operators")
    for path, body in (
        ("explain", {**STOP, "person": kim}),
        ("explain", {"action": "ListDevices", "person": "nobody"}),
        ("simulate", {"question": STOP, "persona": {"groups": ["managers"]}}),
        ("simulate", {"question": STOP}),
        ("simulate", {"question": {"command": "dance", "device": "none"}}),
    ):
        answer = service.call("POST", f"/v1/permissions/{path}", as_="operators", json=body)
        assert answer.status_code == 403, answer.text
        assert answer.json()["action"] == "ViewPeople"


def test_a_grant_to_another_person_is_not_told_of(service: ServiceUnderTest) -> None:
    """A permit that names somebody else is none of those that nearly said yes."""
    grant = """permit (principal == Fleet::User::"somebody-else",
        action == Fleet::Action::"StopDevice", resource);"""
    prepared(service, **{"for-somebody-else": grant})
    for who in ("operators", "process-engineers"):
        found = explain(service, who, **STOP)
        assert "somebody-else" not in json.dumps(found)


@pytest.mark.parametrize(
    ("what_if", "allowed"),
    [
        ({"persona": {"groups": ["operators"]}}, False),
        ({"persona": {"groups": ["emergency-responders"]}}, False),
        ({"persona": {"groups": ["operators", "managers"]}}, True),
        ({"policies": {"without": ["managers-everything"]}}, False),
        (
            {
                "policies": {
                    "added": {
                        "no-stop": "forbid (principal, action, resource is Fleet::Device) "
                        'when { resource has criticality && resource.criticality == "low" };'
                    }
                },
                "device_state": {"facts": {"criticality": "low"}},
            },
            False,
        ),
    ],
)
def test_what_if_somebody_or_something_were_otherwise(
    service: ServiceUnderTest, what_if: dict[str, Any], allowed: bool
) -> None:
    """The decision as it would be stands beside the one as it is."""
    prepared(service)
    found = simulate(service, STOP, **what_if)
    assert found["now"]["allowed"] is True
    assert (found["then"]["allowed"], found["flips"]) == (allowed, not allowed)


def test_what_if_it_were_another_time(service: ServiceUnderTest) -> None:
    """Firmware at noon and at night, for a window at night; the device's facts are thought too."""
    prepared(service)
    question = {"action": "UpdateFirmware", "device": "press-01"}
    state = {
        "facts": {
            "window": "22:00-04:00",
            "utc_offset": "+01:00",
            "time_zone": None,
            "security_patch": "2026-01-01",
        }
    }
    permit = """permit (principal in Fleet::Group::"it-staff",
        action == Fleet::Action::"UpdateFirmware", resource);"""
    for at, allowed in (("2026-11-30T12:00:00Z", False), ("2026-11-30T22:00:00Z", True)):
        found = simulate(
            service,
            question,
            persona={"groups": ["it-staff"]},
            at=at,
            device_state=state,
            policies={"added": {"it-staff-anywhere": permit}},
        )
        assert found["then"]["allowed"] is allowed, found["then"]
        if not allowed:
            met = conditions(found["then"], "firmware-in-maintenance-window")
            values = met["the device's own time is in its maintenance window"]["values"]
            assert values["resource.window_start"] == "22:00"


def test_what_would_turn_a_refusal_turns_it(service: ServiceUnderTest) -> None:
    """The conditions that explain names, thought otherwise, make the answer yes."""
    prepared(service)
    service.ports.devices.add(
        Device(tenant="acme", id="press-01", attributes={"criticality": "low"})
    )
    kim = person(service, "kim", "emergency-responders")
    declared = {**STOP, "emergency": {"reason": "fire"}}
    refused = simulate(service, declared, person=kim)["then"]
    (lacks,) = conditions(refused, "emergency-responders-act").values()
    assert lacks["values"] == {"resource.criticality": "low"}
    turned = simulate(
        service, declared, person=kim, device_state={"facts": {"criticality": "high"}}
    )
    assert turned["then"]["policies"] == ["emergency-responders-act"]


@pytest.mark.parametrize(
    ("what_if", "field", "words"),
    [
        ({"policies": {"added": {"p": "permit (principal, action, resource)"}}}, "added", "p:1"),
        (
            {"policies": {"added": {"p": "permit(principal,action,resource) when {context.x};"}}},
            "added",
            "`x`",
        ),
        (
            {"policies": {"added": {"p": "permit (principal == ?principal, action, resource);"}}},
            "added",
            "blank",
        ),
        ({"policies": {"added": {"p": "(" * 3000}}}, "added", "nested"),
        ({"policies": {"without": ["none-such"]}}, "without", "no policy `none-such`"),
        ({"policies": {"added": {"p": "x" * 4001}}}, "", ""),
        ({"device_state": {"facts": {"window": "late"}}}, "device_state.facts.window", "22:00"),
        ({"device_state": {"facts": {"size": "1"}}}, "device_state.facts.size", "no fact"),
        ({"device_state": {"groups": ["line-none"]}}, "device_state.groups", "line-none"),
        ({"at": "2026-11-30T12:00:00"}, "at", "2026-11-30T06:00:00Z"),
        ({"person": "kim", "persona": {"groups": []}}, "persona", "either"),
    ],
)
def test_a_what_if_with_a_slip_is_told(
    service: ServiceUnderTest, what_if: dict[str, Any], field: str, words: str
) -> None:
    """By its place, with what is wrong; a policy is held to the schema as the tenant's own."""
    prepared(service)
    answer = service.call("POST", "/v1/permissions/simulate", json={"question": STOP, **what_if})
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert field in error["field"], error
    assert words in error["problem"], error


def test_a_simulation_changes_nothing(service: ServiceUnderTest) -> None:
    """The copy decides as before, the device is as before, and no store was written."""
    prepared(service)
    device = service.call("GET", "/v1/devices/press-01").json()
    simulate(
        service,
        STOP,
        policies={"without": ["managers-everything"]},
        device_state={"facts": {"criticality": "low"}},
    )
    assert explain(service, "managers", **STOP)["allowed"] is True
    assert service.call("GET", "/v1/devices/press-01").json() == device


def test_nobody_is_told_why_by_old_policies(service: ServiceUnderTest) -> None:
    """Without a good copy there is no explanation, and no simulation."""
    for path, body in (("explain", STOP), ("simulate", {"question": STOP})):
        answer = service.call("POST", f"/v1/permissions/{path}", json=body)
        assert answer.status_code == 503, answer.text
