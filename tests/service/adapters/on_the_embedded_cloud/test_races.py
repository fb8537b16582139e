"""Two real processes of the service at once, and one that is killed: nothing twice or lost."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from infra.local.people import add_person
from tests.seed import new_seed
from tests.service.adapters.on_the_embedded_cloud.test_policy_copies import await_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

AT_ONCE = 8
ROWS = 120
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def other(deployed: DeployedService) -> Iterator[httpx.Client]:
    """A second process of the service over the same cloud."""
    child, url = deployed.setup.start_service()
    with child, httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        yield http


def at_once(
    deployed: DeployedService, other: httpx.Client, method: str, path: str, **request: Any
) -> list[httpx.Response]:
    """The same request many times at once, at both processes."""
    headers = {
        "Authorization": f"Bearer {deployed.token('acme', 'managers')}",
        **request.pop("headers", {}),
    }

    def ask(number: int) -> httpx.Response:
        http = deployed.http if number % 2 else other
        return http.request(method, path, headers=headers, **request)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(ask, range(AT_ONCE)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/devices/press-01/commands", {"name": "reboot", "timeout_seconds": 60}),
        ("/v1/downloads", {"device": "press-01", "artifact": "recipes/steel.json"}),
        ("/v1/files", {"name": "races/one.bin", "size": 4, "sha256": "ab" * 32}),
        ("/v1/groups", {"id": "raced", "parents": ["line-press"]}),
        (
            "/v1/grants",
            {
                "template": "break-glass",
                "person": "operator@acme.example",
                "device": "press-01",
                "until": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
                "reason": "a race",
            },
        ),
    ],
)
def test_one_key_makes_one_thing_in_two_processes(
    deployed: DeployedService, other: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    """Asked many times at once: one is made, and whoever is answered is told of that one.

    Whoever comes while the first is at it may be told to ask again, and then gets the same.
    """
    request = {"json": body, "headers": {"Idempotency-Key": f"race-{time.time_ns()}"}}
    answers = at_once(deployed, other, "POST", path, **request)
    assert {answer.status_code for answer in answers} <= {201, 202, 409, 503}, [
        answer.text for answer in answers
    ]
    answers += at_once(deployed, other, "POST", path, **request)
    good = [answer for answer in answers if answer.status_code in {201, 202}]
    assert len(good) >= AT_ONCE, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in good}) == 1


def test_one_of_many_changes_of_one_state_is_made(
    deployed: DeployedService, other: httpx.Client
) -> None:
    """All name the state that they read (`If-Match`): one wins, and the others are told of it."""
    path = "/v1/devices/press-02"
    for turn in range(3):
        tag = deployed.call("GET", path).headers["ETag"]
        before = deployed.call("GET", path).json()["attributes"]

        def ask(number: int, *, tag: str = tag, turn: int = turn) -> httpx.Response:
            http = deployed.http if number % 2 else other
            return http.patch(
                f"{path}/tags",
                headers={
                    "Authorization": f"Bearer {deployed.token('acme', 'managers')}",
                    "If-Match": tag,
                },
                json={"tags": {"building": f"{turn}-{number}"}},
            )

        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(ask, range(AT_ONCE)))
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * (AT_ONCE - 1)
        [won] = [answer for answer in answers if answer.status_code == 200]
        now = deployed.call("GET", path)
        assert now.json()["tags"] == won.json()["tags"]
        assert now.json()["attributes"] == before
        assert now.headers["ETag"] == won.headers["ETag"]


def test_a_registration_that_is_killed_is_sent_again(deployed: DeployedService) -> None:
    """The process dies in the midst: the same rows again, elsewhere, and each device is there once.

    None that was told of is registered a second time: its code stays the one that was told.
    """
    rows = [{"id": f"bulk-{number:03}", "groups": ["line-press"]} for number in range(ROWS)]
    body = "".join(f"{json.dumps(row)}\n" for row in rows)
    headers = {"Authorization": f"Bearer {deployed.token('acme', 'managers')}", **LINES}
    child, url = deployed.setup.start_service()
    told: list[dict[str, Any]] = []

    def sent() -> None:
        with httpx.stream(
            "POST", f"{url}/v1/registrations", content=body, headers=headers, timeout=30
        ) as answer:
            for line in answer.iter_lines():
                told.append(json.loads(line))
                if len(told) == ROWS // 4:
                    os.kill(child.pid, signal.SIGKILL)

    with child, pytest.raises(httpx.RemoteProtocolError):
        sent()
    assert ROWS // 4 <= len(told) < ROWS
    again = deployed.http.post("/v1/registrations", content=body, headers=headers)
    results = [json.loads(line) for line in again.text.splitlines()]
    assert [one["device"] for one in results] == [row["id"] for row in rows]
    assert {one["status"] for one in results} == {"exists", "registered"}
    assert all(one["status"] == "exists" for one in results[: len(told)]), "nothing is made twice"
    assert _listed(deployed, "bulk-") == [row["id"] for row in rows]
    assert not {one["device"] for one in told} & {
        one["device"] for one in results if one["status"] == "registered"
    }


def test_a_bulk_change_of_members_that_is_killed_is_sent_again(deployed: DeployedService) -> None:
    """The process dies wherever it is: the same rows again, and each is in, its lines kept."""
    draw = random.Random(new_seed())  # noqa: S311 - of when it dies
    names = [f"mass-{number:02}" for number in range(60)]
    rows = "".join(f'{{"id": "{name}", "groups": ["line-press"]}}\n' for name in names)
    headers = {"Authorization": f"Bearer {deployed.token('acme', 'managers')}"}
    made = deployed.http.post("/v1/registrations", content=rows, headers=headers | LINES)
    assert made.text.count('"registered"') == len(names), made.text
    group = f"mass-{time.time_ns()}"
    made = deployed.call("POST", "/v1/groups", json={"id": group, "parents": ["line-press"]})
    assert made.status_code == 201
    path, body = f"/v1/groups/{group}/members", {"put_in": names}
    child, url = deployed.setup.start_service()
    with child, ThreadPoolExecutor(1) as thread:
        asked = thread.submit(
            httpx.post, f"{url}{path}", json=body, headers=headers, timeout=30, trust_env=False
        )
        time.sleep(draw.uniform(0.05, 0.6))
        os.kill(child.pid, signal.SIGKILL)
        with suppress(httpx.TransportError):
            asked.result()
    there = _listed(deployed, group, by="group")
    print(f"killed with {len(there)} of {len(names)} in")
    again = deployed.call("POST", path, json=body)
    assert again.status_code == 200, again.text
    assert _listed(deployed, group, by="group") == names
    for name in names:
        assert deployed.call("GET", f"/v1/devices/{name}").json()["groups"] == sorted(
            ("line-press", group)
        )


def _listed(deployed: DeployedService, what: str, *, by: str = "text") -> list[str]:
    """All devices with this in their id, or in this group, page by page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        asked = {by: what, "limit": 50, **({} if cursor is None else {"cursor": cursor})}
        page = deployed.call("GET", "/v1/devices", params=asked).json()
        found += [one["id"] for one in page["devices"]]
        if (cursor := page["cursor"]) is None:
            return found


def test_a_revoked_grant_is_refused_by_the_other_process(
    deployed: DeployedService, other: httpx.Client
) -> None:
    """Revoked at one process: at the other a change is refused at once, a read within 5 s."""
    deployed.people["acme"]["stand-in"] = add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email="standin@acme.example",
        groups=["technicians"],
        region="eu-central",
    )
    headers = {"Authorization": f"Bearer {deployed.token('acme', 'stand-in')}"}
    path = "/v1/devices/press-01"

    def reads() -> int:
        return other.get(path, headers=headers).status_code

    def changes() -> int:
        body = {"name": "run-diagnostics", "timeout_seconds": 60}
        return other.post(f"{path}/commands", headers=headers, json=body).status_code

    await_copy(deployed, "acme")
    given = deployed.call(
        "POST",
        "/v1/grants",
        json={
            "template": "technician-for-line",
            "person": "standin@acme.example",
            "device": "press-01",
            "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "reason": "a colleague is away",
        },
    )
    assert given.status_code == 201, given.text
    _within(15, lambda: changes() == 202)
    _within(15, lambda: reads() == 200)
    for _ in range(20):  # it is used to saying yes
        assert reads() == 200
    revoked = deployed.call("DELETE", f"/v1/grants/{given.json()['id']}")
    began = time.monotonic()
    assert revoked.status_code == 200, revoked.text
    assert changes() == 403, "a change is asked of the store, and of the revocations"
    took = _within(5, lambda: reads() == 403)
    print(f"refused {time.monotonic() - began:.2f} s after the answer, read for {took:.2f} s")


def _within(seconds: float, holds: Callable[[], bool]) -> float:
    """Ask until it holds; for how long that was asked."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began
