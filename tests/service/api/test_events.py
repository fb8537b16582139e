"""Events over HTTP: who is told what, from where on, and how a stream ends."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.events import MOST_EVENTS, EventCursor, EventPage
from service.domain.instants import new_ulid
from service.domain.work import Work, WorkKind
from service.settings import JobSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.service.conftest import ServiceUnderTest

BEGINNING = "0-0"
AT = 1_790_000_000_000


def told(service: ServiceUnderTest, *abouts: Mapping[str, str], tenant: str = "acme") -> None:
    """Have the worker told by a rule, as IoT Core sends it."""
    text = [
        json.dumps({"version": 1, "kind": "tell-event", "tenant": tenant, "at": AT, **about})
        for about in abouts
    ]
    handle(service, [Work.decode(one) for one in text])


def handle(service: ServiceUnderTest, work: list[Work]) -> None:
    """Have the worker do some work, and what comes of it."""
    worker = service.app.state.operations.worker(JobSettings())
    queue = service.ports.work_queue

    async def scenario() -> None:
        await queue.send(work)
        while queue.waiting:
            for received in await queue.receive():
                await worker.handle(received)
                assert not queue.postponed, "it was not done"

    asyncio.run(scenario())


def decided(service: ServiceUnderTest) -> None:
    """Have the worker make a link of the audit trail, and tell of its decisions."""
    for kind in (WorkKind.CHAIN_AUDIT, WorkKind.TELL_DECISIONS):
        queue = service.ports.work_queue
        due = [work for _, work in queue.delayed if work.kind is kind]
        queue.delayed = [one for one in queue.delayed if one[1] not in due]
        assert due, kind
        handle(service, due)


def state(device: str, state: str = "received", *, command: str | None = None) -> dict[str, str]:
    """What a device says of a command."""
    return {
        "happened": "command.state",
        "thing": f"acme--{device}",
        "command": command or new_ulid(AT),
        "sequence": "0001",
        "state": state,
    }


def connected(device: str, tenant: str = "acme", connection: str = "1") -> dict[str, str]:
    """What IoT Core says of a device that has come."""
    thing = f"{tenant}--{device}"
    return {"happened": "device.connected", "thing": thing, "connection": connection}


def messages(text: str) -> list[dict[str, str]]:
    """The messages of a stream, each by its fields (WHATWG HTML, 9.2.6)."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def follow(
    service: ServiceUnderTest, *, after: str | None = BEGINNING, as_: str = "managers", **query: Any
) -> tuple[list[dict[str, Any]], str]:
    """The events that there are behind a cursor, and the cursor behind them."""
    headers = {} if after is None else {"Last-Event-ID": after}
    params = {"seconds": 0, **query}
    answer = service.call("GET", "/v1/events", as_=as_, headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, *rest, end = messages(answer.text)
    assert first.keys() == {"retry", "id"}
    assert (end["event"], json.loads(end["data"])) == ("end", {"reason": "time-over"})
    events = [json.loads(one["data"]) | {"cursor": one["id"]} for one in rest if "data" in one]
    return events, end["id"]


def ask(service: ServiceUnderTest, after: str) -> Any:
    """The answer to a cursor."""
    headers = {"Last-Event-ID": after}
    return service.call("GET", "/v1/events", headers=headers, params={"seconds": 0})


def test_what_happens_is_told_and_gone_on_with(service: ServiceUnderTest) -> None:
    """Each event once and in order, also to who comes back with the last id that they have."""
    command = new_ulid(AT)
    told(service, connected("press-01"))
    told(service, state("press-01", command=command), state("press-02", "succeeded"))
    events, cursor = follow(service)
    assert [(one["type"], one["device"]) for one in events] == [
        ("device.connected", "press-01"),
        ("command.state", "press-01"),
        ("command.state", "press-02"),
    ]
    assert events[1]["data"] == {"command": command, "sequence": "0001", "state": "received"}
    assert events[1]["timestamp"] == "2026-09-21T14:13:20Z"
    assert follow(service, after=cursor) == ([], cursor)
    assert follow(service, after=events[0]["cursor"])[0] == events[1:]
    assert follow(service, after=events[1]["cursor"])[0] == events[2:]
    told(service, connected("press-03"))
    assert [one["device"] for one in follow(service, after=cursor)[0]] == ["press-03"]
    assert follow(service, after=None)[0] == []


def test_a_message_that_comes_twice_is_told_once(service: ServiceUnderTest) -> None:
    """Also to another worker, as long as it comes soon."""
    told(service, state("press-01", command=new_ulid(AT)))
    again = state("press-02", command=new_ulid(AT))
    told(service, again, connected("press-01"), again)
    told(service, connected("press-01"))
    types = [(one["type"], one["device"]) for one in follow(service)[0]]
    assert sorted(types) == [
        ("command.state", "press-01"),
        ("command.state", "press-02"),
        ("device.connected", "press-01"),
    ]


def test_events_that_wait_together_share_a_page(service: ServiceUnderTest) -> None:
    """Ten messages at once are one page or a few, and none of them is lost."""
    told(service, *(connected("press-01", connection=str(number)) for number in range(10)))
    worker = service.app.state.operations.worker(JobSettings())
    works = [
        Work.decode(
            json.dumps({"version": 1, "kind": "tell-event", "tenant": "acme", "at": AT, **about})
        )
        for about in (connected("press-02", connection=str(number)) for number in range(250))
    ]

    async def at_once() -> None:
        handler = worker.handlers[WorkKind.TELL_EVENT]
        await asyncio.gather(*(handler(service.acme.tenant, work) for work in works))

    asyncio.run(at_once())
    pages = [EventPage.read(text) for text in service.ports.event_log.texts["acme"].values()]
    assert len(pages) <= 10 + 4
    assert max(len(page.events) for page in pages) <= MOST_EVENTS
    numbers = [page.number for page in pages]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(follow(service)[0]) == 260


def test_nobody_is_told_of_a_device_that_they_may_not_view(service: ServiceUnderTest) -> None:
    """Decided as it is told: what a responder may view by its criticality, and nothing of old."""
    change = {"criticality": "low"}
    assert service.call("PATCH", "/v1/devices/press-02", json=change).status_code == 200
    told(service, connected("press-01"), connected("press-02"), state("press-02"))
    told(service, connected("gone-1"))
    assert [one["device"] for one in follow(service)[0]] == ["press-01", "press-02", "press-02"]
    events, cursor = follow(service, as_="emergency-responders")
    assert [one["device"] for one in events] == ["press-01"]
    assert follow(service, as_="nobody") == ([], cursor)
    change = {"criticality": "high"}
    assert service.call("PATCH", "/v1/devices/press-02", json=change).status_code == 200
    told(service, connected("press-02", connection="2"))
    assert len(follow(service, after=cursor, as_="emergency-responders")[0]) == 1
    assert len(follow(service, as_="emergency-responders")[0]) == 4


def test_a_rollout_is_told_to_who_may_view_it(service: ServiceUnderTest) -> None:
    """Of a group or of a device, by what it is for; a campaign to who may list all devices."""
    for target in ({"group": "line-press"}, {"device": "press-02"}):
        body = {"artifact": "recipes/steel.json", **target}
        answer = service.call("POST", "/v1/downloads", json=body)
        assert answer.status_code == 202, answer.text
    body = {"group": "line-press", "name": "reboot"}
    assert service.call("POST", "/v1/campaigns", json=body).status_code == 202
    handle(service, [])
    nouns = "rollout,campaign"
    events, cursor = follow(service, nouns=nouns)
    by_type = [(one["type"], one["device"], one["data"].get("target")) for one in events]
    assert [one for one in by_type if one[0].startswith("rollout")] == [
        ("rollout.started", None, "line-press"),
        ("rollout.started", "press-02", "press-02"),
    ]
    # The twin's user pool knows nobody, so the worker stops it at once.
    assert [one[0] for one in by_type if one[0].startswith("campaign")] == [
        "campaign.started",
        "campaign.stopped",
    ]
    # Who may not view it is told nothing, and goes on behind it; by default nobody is told.
    assert follow(service, as_="nobody", nouns="rollout") == ([], cursor)
    assert follow(service, nouns="device")[0] == []
    refused = service.call("GET", "/v1/events", as_="nobody", params={"nouns": "campaign"})
    assert refused.status_code == 403


def test_another_tenant_is_told_nothing(service: ServiceUnderTest) -> None:
    """Neither by the same cursor nor by a message that names the wrong tenant."""
    told(service, connected("press-01"))
    told(service, connected("pump-01", "globex"), tenant="globex")
    _, cursor = follow(service)
    token = service.globex.id_token("ann", ["managers"])
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": BEGINNING}
    answer = service.client.get("/v1/events", params={"seconds": 0}, headers=headers)
    assert "press-01" not in answer.text
    assert "pump-01" in answer.text
    headers["Last-Event-ID"] = str(EventCursor(page=int(cursor.partition("-")[0]) - 1000))
    answer = service.client.get("/v1/events", params={"seconds": 0}, headers=headers)
    assert answer.status_code == 410
    with pytest.raises(AssertionError, match="it was not done"):
        told(service, connected("pump-01", "globex"))


def test_what_people_did_is_told_of_once_it_is_done(service: ServiceUnderTest) -> None:
    """A command, a device and a refusal, each out of the trail, and shown as that is."""
    sent = service.call("POST", "/v1/devices/press-01/commands", json={"name": "reboot"})
    made = service.call("POST", "/v1/devices", json={"id": "press-09", "groups": ["line-press"]})
    again = service.call("POST", "/v1/devices", json={"id": "press-01", "groups": ["line-press"]})
    refused = service.call(
        "POST", "/v1/devices/press-02/commands", as_="operators", json={"name": "reboot"}
    )
    retired = service.call("POST", "/v1/devices/press-03/retire")
    statuses = [one.status_code for one in (sent, made, again, refused, retired)]
    assert statuses == [202, 201, 409, 403, 200]
    decided(service)
    events, _ = follow(service, nouns="command,device,decision")
    shown = [(one["type"], one["device"]) for one in events]
    assert shown == [
        ("command.requested", "press-01"),
        ("device.registered", "press-09"),
        ("decision.denied", None),
        ("device.retired", "press-03"),
    ]
    assert events[0]["data"]["command"] == sent.json()["id"]
    denied = events[2]["data"]
    assert denied["resource"] == 'Fleet::Device::"press-02"'
    assert (denied["action"], denied["policies"]) == ("OperateDevice", ["operators-view-only"])
    assert follow(service)[0] == [events[0], events[1], events[3]]
    answer = service.call("GET", "/v1/events", as_="operators", params={"nouns": "decision"})
    assert answer.status_code == 403


def test_a_cursor_of_nothing_that_is_kept_is_refused(service: ServiceUnderTest) -> None:
    """Whoever would miss something is told so, and told what to do; nothing is skipped."""
    for number in range(4):
        told(service, connected("press-01", connection=str(number)))
    events, end = follow(service)
    log = service.ports.event_log.texts["acme"]
    first, second, third, _ = sorted(log)
    del log[first]
    answer = ask(service, BEGINNING)
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:cedarfleet:problem:events-gone"
    # Who has the page that left misses nothing.
    assert follow(service, after=events[0]["cursor"])[0] == events[1:]
    del log[second]
    assert ask(service, events[0]["cursor"]).status_code == 410
    del log[third]
    assert follow(service, after=end)[0] == []
    log.clear()
    assert ask(service, end).status_code == 410
    for wrong in ("x", "1", "-1-1", "1-1-1", "1" * 30 + "-1"):
        assert ask(service, wrong).status_code == 400, wrong
    assert service.call("GET", "/v1/events", params={"nouns": "device,gate"}).status_code == 400


def test_a_cursor_says_how_far_somebody_is() -> None:
    """Text and back; the order of cursors is that of what they have."""
    cursors = [EventCursor(page=1, seen=2), EventCursor(page=1), EventCursor(page=2, seen=1)]
    assert sorted(cursors) == cursors
    assert [EventCursor.read(str(one)) for one in cursors] == cursors
