"""Last values over HTTP: of a device that the caller may view, whatever it has sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.domain.telemetry import LastValue

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/devices/press-01/telemetry"


def wrote(service: ServiceUnderTest, topic: str, text: str) -> None:
    """What the rule does with a message."""
    value = LastValue(topic=topic, text=text, sequence=7, at=1_700_000_000_000, received_at=1)
    service.ports.telemetry.write("acme", "press-01", value)


def test_last_values_come_topic_by_topic(service: ServiceUnderTest) -> None:
    """With the device's own time, a page at a time."""
    for topic, text in (("speed", "3"), ("motor/left", '{"temperature":21.5}'), ("note", "null")):
        wrote(service, topic, text)
    first = service.call("GET", URL, as_="operators", params={"limit": 2}).json()
    assert [value["topic"] for value in first["values"]] == ["motor/left", "note"]
    assert first["values"][0] | {"received_at": None} == {
        "topic": "motor/left",
        "value": {"temperature": 21.5},
        "at": "2023-11-14T22:13:20Z",
        "received_at": None,
        "sequence": 7,
        "unreadable": None,
    }
    rest = service.call("GET", URL, params={"cursor": first["cursor"]}).json()
    assert [value["value"] for value in rest["values"]] == [3]
    assert rest["cursor"] is None


@pytest.mark.parametrize(
    "text", ["{", "NaN", "1e999", "9" * 30, "[" * 100 + "]" * 100, '"\\ud800"']
)
def test_what_cannot_be_said_again_is_named(service: ServiceUnderTest, text: str) -> None:
    """A device that is not our agent may send anything: the answer holds, and says so."""
    wrote(service, "odd", text)
    answer = service.call("GET", URL)
    assert answer.status_code == 200
    [odd] = [value for value in answer.json()["values"] if value["topic"] == "odd"]
    assert odd["value"] is None
    assert "no JSON" in odd["unreadable"]


def test_nobody_reads_a_device_that_they_may_not_view(service: ServiceUnderTest) -> None:
    """Another tenant's is unknown, and who is in no group is denied."""
    assert service.call("GET", "/v1/devices/pump-01/telemetry").status_code == 404
    assert service.call("GET", URL, as_="nobody").status_code == 403
