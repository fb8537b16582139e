"""Events through real processes: none is lost, whoever is killed, and a token ends its stream."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.service.adapters.on_the_embedded_cloud.waiting import PAUSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

MANY: Final = int(os.environ.get("CEDARFLEET_TEST_EVENTS", "300"))
"""As many as `make test` has time for; the environment asks for 10,000."""
READERS: Final = 3
BATCH: Final = 10  # of SQS
PATIENCE: Final = max(120.0, MANY / 10)


@dataclass
class Reader(threading.Thread):
    """Follows events, and goes on at the next process whenever a stream ends."""

    urls: Iterator[str]
    token: str
    after: str
    wanted: int
    cursors: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    told: dict[str, str] = field(default_factory=dict[str, str])  # id -> connection
    ends: list[str] = field(default_factory=list[str])
    problem: str = ""

    def __post_init__(self) -> None:
        """A thread that does not keep the tests from ending."""
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Follow until everything has come."""
        until = time.monotonic() + PATIENCE
        while len(self.told) < self.wanted and not self.problem:
            if time.monotonic() > until:
                self.problem = "not everything came in time"
                return
            try:
                self._follow(next(self.urls))
            except httpx.HTTPError as error:
                self.ends.append(type(error).__name__)
                time.sleep(0.2)  # a process that was killed refuses at once

    def _follow(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "Last-Event-ID": self.after}
        with (
            httpx.Client(trust_env=False, timeout=30) as client,
            client.stream("GET", f"{url}/v1/events", headers=headers) as answer,
        ):
            if answer.status_code != 200:
                self.ends.append(str(answer.status_code))
                self.problem = "" if answer.status_code >= 500 else answer.read().decode()
                return
            message: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, text = line.partition(": ")
                    message[name] = text
                    continue
                if not self._take(message):
                    return
                message = {}

    def _take(self, message: dict[str, str]) -> bool:
        """Note a message; whether there is more to wait for."""
        self.after = message.get("id", self.after)
        data: dict[str, Any] = json.loads(message.get("data", "{}"))
        if message.get("event") == "end":
            self.ends.append(data["reason"])
            return False
        if message.get("event") == "device.connected" and data["device"] == "press-01":
            page, seen = self.after.split("-")
            self.cursors.append((int(page), int(seen)))
            self.told[data["id"]] = data["data"]["connection"]
        return len(self.told) < self.wanted


def head(deployed: DeployedService) -> str:
    """Where a reader stands that begins now."""
    answer = deployed.call("GET", "/v1/events", params={"seconds": 0})
    assert answer.status_code == 200, answer.text
    return next(line for line in answer.text.splitlines() if line.startswith("id: "))[4:]


def test_no_event_is_lost_whoever_is_killed(deployed: DeployedService) -> None:
    """Three services, two workers; each reader has every event, in the log's order.

    A service and a worker are killed, a service is ended in order, while events come.
    """
    setup = deployed.setup
    second, second_url = setup.start_service("service-2")
    third, third_url = setup.start_service("service-3")
    # What it holds as it dies is given out again so soon.
    other_worker = setup.start_worker("worker-2", CEDARFLEET_WORK_HANDLING_SECONDS="5")
    sqs = setup.cloud.client("sqs")
    queue = setup.stacks["platform"]["work_queue"]
    urls = [str(deployed.http.base_url), second_url, third_url]
    token, after = deployed.token("acme", "managers"), head(deployed)
    readers = [
        Reader(cycle(urls[number:] + urls[:number]), token, after, MANY)
        for number in range(READERS)
    ]
    try:
        for reader in readers:
            reader.start()
        began = time.monotonic()
        for start in range(0, MANY, BATCH):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(connected(number))}
                for number in range(start, min(start + BATCH, MANY))
            ]
            assert not sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed")
            if start == MANY * 3 // 10:
                os.kill(second.pid, signal.SIGKILL)
            if start == MANY * 5 // 10:
                os.kill(other_worker.pid, signal.SIGKILL)
            if start == MANY * 7 // 10:
                assert third.stop(seconds=40) == 0
        for reader in readers:
            reader.join(PATIENCE)
        print(f"{MANY} events, {READERS} readers: {time.monotonic() - began:.1f} s")
    finally:
        for child in (second, third, other_worker):
            child.stop()
    wanted = sorted(str(number) for number in range(MANY))
    for reader in readers:
        assert (reader.problem, reader.is_alive()) == ("", False), reader.ends
        # What a killed worker had told may be told again, under its id (docs/events.md).
        assert sorted(reader.told.values()) == wanted, "each, and none under two ids"
        cursors = reader.cursors
        assert cursors == sorted(set(cursors)), "in the log's order, and no place of it twice"
    ends = [end for reader in readers for end in reader.ends]
    assert "restarting" in ends
    assert any(end.endswith("Error") for end in ends), "a service was killed under a reader"


def connected(number: int) -> dict[str, Any]:
    """What the rule sends of a device that has come."""
    return {
        "version": 1,
        "kind": "tell-event",
        "happened": "device.connected",
        "tenant": "acme",
        "thing": "acme--press-01",
        "connection": number,
        "at": int(time.time() * 1000),
    }


def test_a_stream_ends_once_its_token_is_revoked(deployed: DeployedService) -> None:
    """Whoever is signed out is told nothing more, within five seconds; the stream says why."""
    token = deployed.token("acme", "operators")
    person = deployed.people["acme"]["operators"]
    listed = deployed.call("GET", "/v1/people", params={"email": person.email}).json()["people"]
    url = f"{deployed.http.base_url}/v1/events"
    with (
        httpx.Client(trust_env=False, timeout=20) as client,
        client.stream("GET", url, headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "retry: 1000"
        signed_out = deployed.call("POST", f"/v1/people/{listed[0]['id']}/sign-out")
        assert signed_out.is_success, signed_out.text
        began = time.monotonic()
        told = list(lines)
        assert time.monotonic() - began < 6
    assert told[-2:] == ['data: {"reason":"token-over"}', ""]
    deployed.tokens.pop(("acme", "operators"))
    # A token of the second of a revocation counts as one of before: other tests get a later one.
    while deployed.call("GET", "/v1/me", group="operators").status_code != 200:
        assert time.monotonic() - began < 30
        time.sleep(PAUSE_SECONDS)
        deployed.tokens.pop(("acme", "operators"))


def test_what_a_person_does_is_told(deployed: DeployedService) -> None:
    """From the API through the audit trail and the worker to the stream, within some seconds."""
    after = head(deployed)
    sent = deployed.call("POST", "/v1/devices/press-02/commands", json={"name": "reboot"})
    assert sent.status_code == 202, sent.text
    refused = deployed.call(
        "POST", "/v1/devices/press-02/commands", group="operators", json={"name": "reboot"}
    )
    assert refused.status_code == 403
    headers = {
        "Authorization": f"Bearer {deployed.token('acme', 'managers')}",
        "Last-Event-ID": after,
    }
    params = {"nouns": "command,decision"}
    found: dict[str, dict[str, Any]] = {}
    with deployed.http.stream("GET", "/v1/events", headers=headers, params=params) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                found[event["type"]] = event
            if {"command.requested", "decision.denied"} <= found.keys():
                break
    assert found["command.requested"]["data"]["command"] == sent.json()["id"]
    assert found["decision.denied"]["data"]["action"] == "OperateDevice"


def test_a_webhook_is_sealed_by_one_and_opened_by_the_other(deployed: DeployedService) -> None:
    """The service's role seals the secret, the worker's opens it; each attempt is in the log."""
    body = {"url": "https://hooks.cedarfleet.invalid/in", "nouns": ["device"]}
    made = deployed.call("POST", "/v1/webhooks", json=body)
    assert made.status_code == 201, made.text
    webhook = made.json()["webhook"]["id"]
    queue = deployed.setup.stacks["platform"]["work_queue"]
    sqs = deployed.setup.cloud.client("sqs")
    until = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while not found:
        assert time.monotonic() < until, "no attempt was made"
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(connected(10**6)))
        time.sleep(1)  # between two looks, as a tenant's program would
        answer = deployed.call("GET", f"/v1/webhooks/{webhook}/deliveries")
        found = answer.json()["deliveries"]
    # A name that never resolves (RFC 2606): signed, and not sent.
    assert {one["outcome"] for one in found} == {"no-address"}
    assert deployed.call("DELETE", f"/v1/webhooks/{webhook}").status_code == 200
