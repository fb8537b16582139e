"""Maintenance windows in local time, where clocks change twice a year."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.service.conftest import ServiceUnderTest

PRESS = "/v1/devices/press-01"


def store(service: ServiceUnderTest, attributes: Mapping[str, str]) -> None:
    """Give press-01 these attributes, as somebody with the AWS console could."""
    device = service.device("press-01")
    service.ports.devices.add(replace(device, attributes=attributes))


@pytest.mark.parametrize(
    ("utc", "local", "inside"),
    [
        ("2026-03-28T20:59:00Z", "21:59+01:00", False),
        ("2026-03-28T21:00:00Z", "22:00+01:00", True),
        ("2026-03-29T01:59:00Z", "03:59+02:00", True),
        ("2026-03-29T02:00:00Z", "04:00+02:00", False),
        ("2026-03-29T19:59:00Z", "21:59+02:00", False),
        ("2026-03-29T20:00:00Z", "22:00+02:00", True),
        ("2026-10-24T19:59:00Z", "21:59+02:00", False),
        ("2026-10-24T20:00:00Z", "22:00+02:00", True),
        ("2026-10-25T02:59:00Z", "03:59+01:00", True),
        ("2026-10-25T03:00:00Z", "04:00+01:00", False),
        ("2026-10-25T20:59:00Z", "21:59+01:00", False),
        ("2026-10-25T21:00:00Z", "22:00+01:00", True),
    ],
)
def test_a_window_holds_in_local_time_over_both_changeovers(
    service: ServiceUnderTest, utc: str, local: str, inside: bool
) -> None:
    """Europe/Berlin in 2026, 22:00 to 04:00: firmware gets in by local time on both days."""
    berlin = {"utc_offset": None, "time_zone": "Europe/Berlin"}
    assert (
        service.call("PATCH", PRESS, json=berlin).json()["attributes"]["time_zone"]
        == "Europe/Berlin"
    )
    service.ports.clock.now = datetime.fromisoformat(utc)
    token = service.acme.access_token("rollout", "fleet/update", exp=4_000_000_000)
    body = {"device": "press-01", "artifact": "firmware/press-2.bin"}
    answer = service.client.post(
        "/v1/downloads", headers={"Authorization": f"Bearer {token}"}, json=body
    )
    assert answer.status_code == (202 if inside else 403), (local, answer.text)
    if not inside:
        assert answer.json()["policies"] == ["firmware-in-maintenance-window"]


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Atlantis",
        "Europe",
        "europe/berlin",
        "localtime",
        "right/Europe/Berlin",
        "/etc/passwd",
        "Etc/GMT+1",
        "../UTC",
        "Europe/../Europe/Berlin",
        "Europe/Berlin\n",
        "",
    ],
)
def test_an_unknown_zone_is_refused(service: ServiceUnderTest, zone: str) -> None:
    """400 with the attribute's name for names of no zone, of other files, or not storable."""
    answer = service.call("PATCH", PRESS, json={"utc_offset": None, "time_zone": zone})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].endswith("time_zone")
    assert "time_zone" not in service.device("press-01").attributes


def test_a_zone_and_an_offset_exclude_each_other(service: ServiceUnderTest) -> None:
    """Either beside the other, stored or in one request, is refused with a remedy that works."""
    both = {"time_zone": "Europe/Berlin", "utc_offset": "+02:00"}
    for stored, given, remedy in (
        ({"utc_offset": "+01:00"}, {"time_zone": "Europe/Berlin"}, {"utc_offset": None}),
        ({"time_zone": "Europe/Berlin"}, {"utc_offset": "+01:00"}, {"time_zone": None}),
        ({}, both, {"utc_offset": None}),
    ):
        store(service, stored)
        answer = service.call("PATCH", PRESS, json=given)
        assert answer.status_code == 400, given
        [error] = answer.json()["errors"]
        assert error["field"] in given
        assert f"set `{next(iter(remedy))}` to null" in error["problem"]
        assert service.device("press-01").attributes == stored
        assert service.call("PATCH", PRESS, json=given | remedy).status_code == 200, given


def test_a_device_of_unknown_offset_is_not_decided_on(
    service: ServiceUnderTest,
) -> None:
    """If somebody stored that past the API, no policy is asked with a guessed offset: 409."""
    for stored in (
        {"time_zone": "Europe/Berlin", "utc_offset": "+01:00"},
        {"time_zone": "Europe/Atlantis"},
    ):
        store(service, stored)
        assert service.call("GET", PRESS).json()["unreadable"]  # by who may list all devices
        answer = service.call("POST", f"{PRESS}/commands", json={"name": "reboot"})
        assert answer.status_code == 409, stored
        assert "`time_zone`" in answer.json()["detail"]
