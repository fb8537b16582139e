"""State over HTTP: asked for under an entity tag, and answered by the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import ReportedState

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/devices/press-01/state"


def ask(service: ServiceUnderTest, desired: Any, **request: Any) -> Any:
    """Change the state."""
    return service.call("PATCH", URL, json={"desired": desired}, **request)


def test_a_state_is_asked_for_and_answered(service: ServiceUnderTest) -> None:
    """Nothing at first; then what was asked, then what the device says of it."""
    assert service.call("GET", URL, as_="operators").json() == {"state": {}}
    asked = ask(service, {"speed-limit": {"value": {"rpm": 900}, "version": 2}})
    assert asked.status_code == 200, asked.text
    entry = asked.json()["state"]["speed-limit"]
    assert (entry["desired"]["value"], entry["desired"]["version"]) == ({"rpm": 900}, 2)
    assert (entry["reported"], entry["settled"]) == (None, False)
    held = service.ports.device_states.shadows["acme", "press-01"].desired["speed-limit"]
    service.ports.device_states.report(
        "acme",
        "press-01",
        "speed-limit",
        ReportedState(version=2, value='"off"', asked_at=held["asked_at"], failed="open", at=1),
    )
    entry = service.call("GET", URL).json()["state"]["speed-limit"]
    assert entry["settled"]
    assert entry["reported"] | {"at": None} == {
        "version": 2,
        "value": "off",
        "failed": "open",
        "at": None,
    }


def test_who_has_not_read_the_last_state_changes_nothing(service: ServiceUnderTest) -> None:
    """412 with the tag of now; a key that is let go leaves."""
    first = ask(service, {"mode": {"value": None}})
    assert first.json()["state"]["mode"]["desired"]["value"] is None
    tag = first.headers["ETag"]
    assert ask(service, {"mode": {"value": 1}}, headers={"If-Match": tag}).status_code == 200
    late = ask(service, {"mode": {"value": 2}}, headers={"If-Match": tag})
    assert late.status_code == 412
    now = service.call("GET", URL)
    assert late.headers["ETag"] == now.headers["ETag"]
    assert now.json()["state"]["mode"]["desired"]["value"] == 1
    gone = ask(service, {"mode": None}, headers={"If-Match": late.headers["ETag"]})
    assert gone.json() == {"state": {}}


def test_only_who_may_change_a_state_does(service: ServiceUnderTest) -> None:
    """Who may view the device reads; the audit names who asked for what."""
    assert ask(service, {"mode": {"value": 1}}, as_="operators").status_code == 403
    assert service.call("GET", URL, as_="operators").status_code == 200
    assert ask(service, {"mode": {"value": 1}}).status_code == 200
    record = service.ports.audit.trail[-1]
    assert (record.action, record.subject) == ("ChangeState", "mode")
    assert service.call("GET", "/v1/devices/pump-01/state").status_code == 404


@pytest.mark.parametrize(
    "desired",
    [
        {}, {"Mode": {"value": 1}}, {"mode": {"value": "x" * 1100}}, {"mode": {"version": 0}},
        {"mode": 1}, {f"key-{number}": {"value": 1} for number in range(11)},
        {"mode": {"value": 2**70}},
    ],
    ids=["none", "name", "large", "version", "form", "many", "digits"],
)  # fmt: skip
def test_what_no_device_could_read_is_refused(service: ServiceUnderTest, desired: Any) -> None:
    """400 before anything is asked of anybody."""
    answer = ask(service, desired)
    assert answer.status_code == 400, answer.text
    assert not service.ports.device_states.shadows
