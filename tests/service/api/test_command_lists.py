"""Lists of commands over HTTP: filters, spans of time, pages, and what each caller may view."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import CommandState

from service.domain.commands import ReportedState

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/commands"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def send(service: ServiceUnderTest, device: str = "press-01", name: str = "reboot") -> str:
    """A command; its id."""
    answer = service.call("POST", f"/v1/devices/{device}/commands", json={"name": name})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def page(
    service: ServiceUnderTest, query: str = "", *, as_: str = "managers", url: str = URL
) -> dict[str, Any]:
    """One page."""
    answer = service.call("GET", f"{url}?{query}", as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: dict[str, Any]) -> list[str]:
    """The commands of a page."""
    return [command["id"] for command in answer["commands"]]


def tell(service: ServiceUnderTest, command: str, state: CommandState) -> None:
    """Have the device report a state."""
    service.ports.command_records.states[command] = [
        ReportedState(sequence=1, state=state, detail={"exit": 0})
    ]


def test_commands_are_listed_the_newest_first(service: ServiceUnderTest) -> None:
    """In pages each one once, also while others are sent; results stand with them."""
    made = sorted((send(service, f"press-0{1 + number % 3}") for number in range(7)), reverse=True)
    tell(service, made[0], CommandState.SUCCEEDED)
    seen, cursor = list[str](), ""
    while True:
        answer = page(service, f"limit=3{cursor}")
        seen += ids(answer)
        send(service)
        if answer["cursor"] is None:
            break
        cursor = f"&cursor={answer['cursor']}"
    assert seen == made
    [newest] = [one for one in page(service)["commands"] if one["id"] == made[0]]
    assert (newest["state"], newest["is_final"], newest["detail"]) == (
        "succeeded",
        True,
        {"exit": 0},
    )
    assert newest == service.call("GET", f"{URL}/{made[0]}").json()


def test_a_list_is_filtered(service: ServiceUnderTest) -> None:
    """By device, name, state, and who sent it; several together ask for all of them."""
    reboot, stop = send(service), send(service, name="stop")
    other = send(service, "press-02")
    tell(service, stop, CommandState.FAILED)
    boss = page(service)["commands"][0]["created_by"]
    for query, expected in (
        ("device=press-01", {reboot, stop}),
        ("name=reboot", {reboot, other}),
        ("state=failed", {stop}),
        ("state=published", {reboot, other}),
        (f"created_by={boss}", {reboot, stop, other}),
        ("created_by=nobody", set[str]()),
        ("device=press-01&name=reboot&state=published", {reboot}),
        ("device=press-09", set[str]()),
    ):
        assert set(ids(page(service, query))) == expected, query
    of_device = page(service, "name=stop", url="/v1/devices/press-01/commands")
    assert ids(of_device) == [stop]


def test_a_list_is_of_a_span_of_time(service: ServiceUnderTest) -> None:
    """`since` is in it, `before` is not; with any offset."""
    made = list[str]()
    for minutes in range(3):
        service.ports.clock.now = NOON + timedelta(minutes=minutes)
        made.append(send(service))
    for query, expected in (
        ("since=2026-11-22T12:01:00Z", made[1:]),
        ("before=2026-11-22T12:01:00Z", made[:1]),
        ("since=2026-11-22T13:01:00%2B01:00&before=2026-11-22T12:02:00Z", made[1:2]),
        ("since=2026-11-22T12:02:00Z&before=2026-11-22T12:01:00Z", []),
    ):
        for url in (URL, "/v1/devices/press-01/commands"):
            assert sorted(ids(page(service, query, url=url))) == sorted(expected), (query, url)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=done", "state"),
        ("since=yesterday", "since"),
        ("since=2026-11-22T12:00:00", "since"),
        ("before=1900-01-01T00:00:00Z", "before"),
        ("device=a%2Fb", "device"),
        ("cursor=nonsense", "cursor"),
        ("requester=x", "requester"),
    ],
)
def test_a_filter_with_a_slip_is_refused(service: ServiceUnderTest, query: str, field: str) -> None:
    """400 that names the parameter: a time without its zone means two."""
    answer = service.call("GET", f"{URL}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field


def test_a_list_shows_what_its_caller_may_view(service: ServiceUnderTest) -> None:
    """Responders see those of critical devices alone; one device's list is refused as a whole."""
    critical = send(service)
    mild = service.device("press-02")
    service.ports.devices.add(replace(mild, attributes={**mild.attributes, "criticality": "low"}))
    send(service, "press-02")
    assert len(ids(page(service))) == 2
    assert ids(page(service, as_="emergency-responders")) == [critical]
    assert ids(page(service, as_="nobody")) == []
    refused = service.call("GET", "/v1/devices/press-02/commands", as_="emergency-responders")
    assert refused.status_code == 403
    assert service.call("GET", "/v1/devices/press-09/commands").status_code == 404
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    assert service.client.get(URL, headers=headers).json() == {"commands": [], "cursor": None}
    other = service.client.get("/v1/devices/press-01/commands", headers=headers)
    assert other.status_code == 404
    service.ports.devices.add(replace(mild, attributes={"utc_offset": "broken"}))
    assert ids(page(service)) == [critical], "of what cannot be read nobody knows who may see it"
