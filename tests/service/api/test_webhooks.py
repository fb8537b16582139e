"""Webhooks: made by managers, signed, retried, disabled, sent again by the worker over twins."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.adapters.memory.webhooks import MemoryWebhooks
from service.domain.events import EventType
from service.domain.webhooks import MOST_WEBHOOKS, RETRIES
from service.domain.work import Work, WorkKind
from service.operations.operations import Operations
from service.settings import JobSettings, TokenSettings
from tests.service.api.test_events import connected, state, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.tenants import Tenant
    from service.domain.webhooks import Webhook
    from tests.service.conftest import ServiceUnderTest

NEW = {"url": "https://hooks.example.com/in", "nouns": ["device", "command"]}
SENDING = {WorkKind.SEND_EVENTS, WorkKind.SEND_EVENT_AGAIN}


def made(service: ServiceUnderTest, **changes: Any) -> tuple[str, str]:
    """The id and the secret of a new webhook."""
    answer = service.call("POST", "/v1/webhooks", json=NEW | changes)
    assert answer.status_code == 201, answer.text
    webhook, secret = answer.json()["webhook"], answer.json()["secret"]
    assert answer.headers["location"] == f"/v1/webhooks/{webhook['id']}"
    return webhook["id"], secret


def sent(service: ServiceUnderTest) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Have the worker send what it was told of; headers and body of each request."""
    worker, queue = service.app.state.operations.worker(JobSettings()), service.ports.work_queue
    before = len(service.ports.webhook_sender.sent)
    # What comes within a second of a notice gives none, and is found by it: nobody waits for that
    # second here, so the next event is told by another process, as it were.
    vars(service.app.state.operations).pop("telling", None)

    async def scenario() -> None:
        due = [work for _, work in queue.delayed if work.kind in SENDING]
        queue.delayed = [one for one in queue.delayed if one[1].kind not in SENDING]
        await queue.send(due)
        for received in await queue.receive():
            await worker.handle(received)
            assert not queue.postponed, Work.decode(received.text)

    asyncio.run(scenario())
    return [
        (dict(headers), json.loads(body))
        for _, headers, body in service.ports.webhook_sender.sent[before:]
    ]


@dataclass(kw_only=True)
class NotedMeanwhile(MemoryWebhooks):
    """A worker notes an attempt behind each of the next looks of somebody who changes a webhook."""

    notes: int = 0

    async def every(self, tenant: Tenant) -> Sequence[Webhook]:
        """As they are; and then one attempt more."""
        found = await super().every(tenant)
        if self.notes:
            self.notes -= 1
            for one in found:
                await self.put(tenant, replace(one, attempt=one.attempt + 1))
        return found


def is_signed(service: ServiceUnderTest, secret: str, *, index: int = -1) -> bool:
    """Whether a request is signed by a secret, as a receiver of Standard Webhooks finds it out."""
    _, headers, body = service.ports.webhook_sender.sent[index]
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return wanted in headers["webhook-signature"].split(" ")


def test_events_are_sent_in_their_order_and_signed(service: ServiceUnderTest) -> None:
    """Those of its nouns, from when it was made on, each once; the secret is told once."""
    told(service, connected("press-01"))
    webhook, secret = made(service)
    assert sent(service) == []
    told(service, connected("press-02"), state("press-03"))
    requests = sent(service)
    assert [body["device"] for _, body in requests] == ["press-02", "press-03"]
    assert requests[0][1]["type"] == EventType.DEVICE_CONNECTED
    assert requests[0][0]["webhook-id"] == requests[0][1]["id"]
    assert is_signed(service, secret, index=-1)
    assert is_signed(service, secret, index=-2)
    assert not is_signed(service, "whsec_" + base64.b64encode(b"x" * 32).decode())
    assert sent(service) == []
    for path in ("/v1/webhooks", f"/v1/webhooks/{webhook}", f"/v1/webhooks/{webhook}/deliveries"):
        assert secret not in service.call("GET", path).text
    kept = repr(service.ports.webhooks.known)
    assert secret not in kept


def test_another_noun_is_not_sent(service: ServiceUnderTest) -> None:
    """And what was not wanted is behind it, not waiting."""
    made(service, nouns=["delivery"])
    told(service, connected("press-02"))
    assert sent(service) == []
    told(
        service,
        {
            "happened": "delivery.state",
            "thing": "acme--press-01",
            "job": "acme--01JD0000000000000000000000-00",
            "state": "SUCCEEDED",
        },
    )
    [(_, body)] = sent(service)
    assert body["data"]["download"] == "01JD0000000000000000000000"


def test_a_rotated_secret_signs_beside_the_former(service: ServiceUnderTest) -> None:
    """For a day both, then the new one alone; a third ends the first at once."""
    webhook, first = made(service)
    second = service.call("POST", f"/v1/webhooks/{webhook}/rotate").json()["secret"]
    told(service, connected("press-01"))
    assert len(sent(service)) == 1
    assert is_signed(service, first)
    assert is_signed(service, second)
    third = service.call("POST", f"/v1/webhooks/{webhook}/rotate").json()["secret"]
    told(service, connected("press-02"))
    sent(service)
    assert [is_signed(service, one) for one in (first, second, third)] == [False, True, True]
    service.ports.clock.now = datetime.now(UTC) + timedelta(days=1, minutes=1)
    told(service, connected("press-03"))
    sent(service)
    assert [is_signed(service, one) for one in (first, second, third)] == [False, False, True]


def test_a_failure_is_tried_again_and_holds_the_order(service: ServiceUnderTest) -> None:
    """In its time, with the same id, before what came later; the log has each attempt."""
    webhook, _ = made(service)
    service.ports.webhook_sender.answers = lambda _, __: "503"
    told(service, connected("press-01"), connected("press-02"))
    [(first, _)] = sent(service)
    assert sent(service) == [], "too early"
    found = service.call("GET", f"/v1/webhooks/{webhook}").json()
    assert found["attempt"] == 1
    told(service, connected("press-03"))
    assert sent(service) == [], "what comes later waits too"
    service.ports.clock.now = datetime.now(UTC) + timedelta(seconds=RETRIES[0] + 1)
    service.ports.webhook_sender.answers = lambda _, __: "204"
    told(service, state("press-03"))
    again = sent(service)
    assert [body["device"] for _, body in again] == ["press-01", "press-02", *["press-03"] * 2]
    assert again[0][0]["webhook-id"] == first["webhook-id"]
    page = service.call("GET", f"/v1/webhooks/{webhook}/deliveries").json()
    attempts = [(one["attempt"], one["outcome"]) for one in page["deliveries"]]
    assert sorted(attempts) == [(1, "204"), (1, "204"), (1, "204"), (1, "503"), (2, "204")]
    first_page = service.call("GET", f"/v1/webhooks/{webhook}/deliveries?limit=2").json()
    rest = service.call(
        "GET", f"/v1/webhooks/{webhook}/deliveries", params={"cursor": first_page["cursor"]}
    ).json()
    assert first_page["deliveries"] + rest["deliveries"] == page["deliveries"]


def test_one_that_fails_for_a_day_is_disabled(service: ServiceUnderTest) -> None:
    """After its last attempt; enabled, it goes on where it stopped. Long waits are timers."""
    webhook, _ = made(service)
    service.ports.webhook_sender.answers = lambda _, __: "no-connection"
    told(service, connected("press-01"))
    assert len(sent(service)) == 1
    now = datetime.now(UTC)
    for seconds in RETRIES:
        now += timedelta(seconds=seconds + 1)
        service.ports.clock.now = now
        due = service.ports.timers.due(now)
        asyncio.run(service.ports.work_queue.send(due, delay_seconds=1))
        assert len(sent(service)) == 1, seconds
    service.ports.clock.now = None  # a token lives for an hour
    found = service.call("GET", f"/v1/webhooks/{webhook}").json()
    assert found["state"] == "disabled"
    assert found["why"] == "an event failed 8 times, last by `no-connection`"
    assert sum(RETRIES) > 24 * 3600
    service.ports.webhook_sender.answers = lambda _, __: "200"
    told(service, connected("press-02"))
    assert sent(service) == []
    assert service.call("POST", f"/v1/webhooks/{webhook}/enable").status_code == 200
    assert [body["device"] for _, body in sent(service)] == ["press-01", "press-02"]


def test_a_delivery_can_be_sent_again(service: ServiceUnderTest) -> None:
    """The same event under the same id, as a delivery of its own; not of a disabled webhook."""
    webhook, secret = made(service)
    told(service, connected("press-01"), state("press-02"))
    first, second = sent(service)
    page = service.call("GET", f"/v1/webhooks/{webhook}/deliveries").json()["deliveries"]
    wanted = next(one for one in page if one["event"] == first[1]["id"])
    url = f"/v1/webhooks/{webhook}/deliveries/{wanted['id']}/redeliver"
    assert service.call("POST", url).status_code == 202
    assert sent(service)[0][1] == first[1] != second[1]
    assert is_signed(service, secret)
    newest = service.call("GET", f"/v1/webhooks/{webhook}/deliveries").json()["deliveries"]
    assert sum(one["manual"] for one in newest) == 1
    unknown = f"/v1/webhooks/{webhook}/deliveries/01JD0000000000000000000000/redeliver"
    assert service.call("POST", unknown).status_code == 404
    assert service.call("POST", f"/v1/webhooks/{webhook}/disable").json()["state"] == "disabled"
    assert service.call("POST", url).status_code == 409


def test_an_ended_webhook_is_no_more(service: ServiceUnderTest) -> None:
    """Nothing is sent, nothing shown; places are bounded, and free again."""
    webhook, _ = made(service)
    told(service, connected("press-01"))
    assert service.call("DELETE", f"/v1/webhooks/{webhook}").json()["state"] == "ended"
    assert sent(service) == []
    assert service.call("GET", "/v1/webhooks").json()["webhooks"] == []
    assert service.call("GET", f"/v1/webhooks/{webhook}").status_code == 404
    ids = [made(service)[0] for _ in range(MOST_WEBHOOKS)]
    assert service.call("POST", "/v1/webhooks", json=NEW).status_code == 409
    page = service.call("GET", "/v1/webhooks", params={"limit": 4}).json()
    rest = service.call("GET", "/v1/webhooks", params={"cursor": page["cursor"]}).json()
    assert sorted(one["id"] for one in page["webhooks"] + rest["webhooks"]) == sorted(ids)


def test_a_target_must_be_public_and_managers_choose_it(service: ServiceUnderTest) -> None:
    """Others are refused, and audited; a target that is none is told with what would be right."""
    refused = service.call("POST", "/v1/webhooks", as_="operators", json=NEW)
    assert refused.status_code == 403
    assert service.ports.audit.trail[-1].action == "ManageWebhooks"
    for url in ("http://hooks.example.com/", "https://169.254.170.2/", "https://localhost/x"):
        answer = service.call("POST", "/v1/webhooks", json=NEW | {"url": url})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "url")
    answer = service.call("POST", "/v1/webhooks", json=NEW | {"nouns": ["gate"]})
    assert answer.status_code == 400


def test_two_workers_send_an_event_once(service: ServiceUnderTest) -> None:
    """One holds the webhook; the other looks again later."""
    made(service)
    told(service, *(connected("press-01", connection=str(number)) for number in range(5)))
    queue = service.ports.work_queue
    [work] = {one[1].encode() for one in queue.delayed if one[1].kind is WorkKind.SEND_EVENTS}
    workers = [service.app.state.operations.worker(JobSettings()) for _ in range(2)]

    async def at_once() -> None:
        handlers = [one.handlers[WorkKind.SEND_EVENTS] for one in workers]
        asked = Work.decode(work)
        await asyncio.gather(*(handler(service.acme.tenant, asked) for handler in handlers))

    asyncio.run(at_once())
    bodies = [json.loads(body)["data"]["connection"] for _, _, body in _sent_of(service)]
    assert sorted(bodies) == ["0", "1", "2", "3", "4"]


def _sent_of(service: ServiceUnderTest) -> list[Any]:
    return service.ports.webhook_sender.sent


def test_a_change_stands_beside_what_the_worker_notes(service: ServiceUnderTest) -> None:
    """A busy webhook can be disabled and ended; a secret that is rotated is the one that signs."""
    busy = NotedMeanwhile()
    service.app.state.operations = Operations(
        replace(service.ports, webhooks=busy), TokenSettings()
    )
    webhook, _ = made(service)
    path = f"/v1/webhooks/{webhook}"
    for method, route in (("POST", "/rotate"), ("POST", "/disable"), ("DELETE", "")):
        busy.notes = 3
        answer = service.call(method, f"{path}{route}")
        assert answer.is_success, answer.text
        assert busy.notes == 0, "nothing was noted meanwhile"
    assert service.call("GET", path).status_code == 404

    webhook, _ = made(service)
    busy.notes = 1000
    assert service.call("POST", f"/v1/webhooks/{webhook}/disable").status_code == 409
