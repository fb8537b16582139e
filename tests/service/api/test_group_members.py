"""Devices are put into groups that were made at run time, and taken out, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.operations.membership import MAX_ROWS
from tests.service.api.made_groups import change, make, problem

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest


def test_many_devices_are_put_in_and_taken_out(service: ServiceUnderTest) -> None:
    """A result a row in their order; it may be sent again; what is wrong is named by row."""
    make(service, "cell-9", "zone-hall-1")
    rows = {"put_in": ["press-02", "press-99", "press-01"]}
    first = change(service, "cell-9", **rows).json()["results"]
    assert [(one["device"], one["status"]) for one in first] == [
        ("press-02", "put-in"),
        ("press-99", "refused"),
        ("press-01", "put-in"),
    ]
    assert first[1]["type"] == "urn:cedarfleet:problem:not-found"
    again = change(service, "cell-9", put_in=["press-02"], take_out=["press-01", "press-03"])
    assert [one["status"] for one in again.json()["results"]] == [
        *("unchanged", "taken-out", "unchanged"),
    ]
    members = service.call("GET", "/v1/groups/cell-9/members").json()["devices"]
    assert [(one["id"], one["groups"]) for one in members] == [
        ("press-02", ["cell-9", "line-press"])
    ]
    assert service.call("GET", "/v1/groups/cell-10/members").status_code == 404
    for path in ("/v1/devices/press-02", "/v1/devices?group=zone-hall-1"):
        assert "cell-9" in service.call("GET", path).text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, f"give 1 to {MAX_ROWS} devices"),
        ({"put_in": ["press-01"], "take_out": ["press-01"]}, "stands twice"),
        (
            {"put_in": [f"d{n}" for n in range(150)], "take_out": [f"e{n}" for n in range(51)]},
            "1 to",
        ),
    ],
)
def test_rows_that_contradict_are_refused(
    service: ServiceUnderTest, rows: dict[str, list[str]], words: str
) -> None:
    """The whole request, before anybody is asked."""
    refused = change(service, "cell-4", **rows)
    assert (refused.status_code, words in problem(refused)) == (400, True)
    assert service.ports.audit.trail == []
    assert change(service, "all", put_in=["press-01"]).status_code == 400


def test_who_may_nothing_of_it_is_refused_as_for_one(service: ServiceUnderTest) -> None:
    """Not with a list of refusals: 403 as for one device, 404 if there is none of them."""
    path, rows = "/v1/groups/cell-4/members", {"put_in": ["press-01", "press-99"]}
    denied = service.call("POST", path, as_="operators", json=rows)
    assert (denied.status_code, denied.json()["action"]) == (403, "SetDeviceGroups")
    assert change(service, "cell-4", put_in=["press-99"]).status_code == 404
    assert make(service, "cell-9", as_="operators") == 403
    assert service.ports.groups.rows == {}


def test_a_device_is_registered_into_a_made_group(service: ServiceUnderTest) -> None:
    """By one request and by rows, and gets files that are sent to the group."""
    make(service, "cell-9", "zone-hall-1")
    one = service.call("POST", "/v1/devices", json={"id": "press-50", "groups": ["cell-9"]})
    assert (one.status_code, one.json()["device"]["groups"]) == (201, ["cell-9"])
    rows = service.call(
        "POST",
        "/v1/registrations",
        content='{"id": "press-51", "groups": ["cell-9"]}\n',
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert '"status":"registered"' in rows.text, rows.text
    code = service.call("POST", "/v1/devices/press-50/enrolment-code")
    assert code.status_code == 201, code.text
    body = {"group": "cell-9", "artifact": "recipes/steel.json"}
    sent = service.call("POST", "/v1/downloads", json=body)
    assert sent.status_code == 202, sent.text
    shown = service.call("GET", sent.json()["url"]).json()
    assert [one["device"] for one in shown["deliveries"]] == ["press-50", "press-51"]
