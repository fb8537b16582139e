"""A device that is retired is looked at, and nothing else: no code or command is for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from service.domain.permissions import Permission
from service.domain.rates import microseconds
from service.operations.retirement import RETIREMENTS
from service.settings import JobSettings
from tests.service.requests import signing_request

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

PATH = "/v1/devices/press-01"


def retire(service: ServiceUnderTest, device: str = "press-01", **request: str) -> httpx.Response:
    """Ask for a device's end."""
    return service.call("POST", f"/v1/devices/{device}/retire", **request)


def enrolled(service: ServiceUnderTest, device: str) -> tuple[str, httpx.Response]:
    """A new device, and the answer to its code; the code too."""
    made = service.call("POST", "/v1/devices", json={"id": device, "groups": ["line-press"]})
    code = made.json()["code"]
    return code, come(service, device, code)


def come(service: ServiceUnderTest, device: str, code: str) -> httpx.Response:
    """A device sends its code."""
    body = {"tenant": "acme", "device": device, "code": code, "csr": signing_request()}
    return service.client.post("/v1/enrolments", json=body)


def test_a_retired_device_is_shown_with_its_facts(service: ServiceUnderTest) -> None:
    """Read and listed as before, with the time of its end; audited; its connection is ended."""
    before = service.call("GET", PATH).json()
    assert before["retired_at"] is None
    answer = retire(service)
    assert answer.status_code == 200, answer.text
    now = service.call("GET", PATH).json()
    assert now["retired_at"] == answer.json()["retired_at"] is not None
    assert {**now, "retired_at": None} == before
    assert service.ports.connections.ended == ["acme--press-01"]
    assert [one.action for one in service.ports.audit.trail] == [Permission.RETIRE_DEVICE]
    listed = service.call("GET", "/v1/devices").json()["devices"]
    assert [one["retired_at"] is not None for one in listed] == [True, False, False]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", PATH, {"kind": "press"}),
        ("PUT", f"{PATH}/groups", {"groups": []}),
        ("PATCH", f"{PATH}/tags", {"tags": {"building": "7"}}),
        ("POST", f"{PATH}/commands", {"name": "stop"}),
        ("POST", f"{PATH}/enrolment-code", None),
        ("POST", "/v1/downloads", {"artifact": "recipes/steel.json", "device": "press-01"}),
    ],
)
def test_nothing_is_done_with_a_retired_device(
    service: ServiceUnderTest, method: str, path: str, body: dict[str, object] | None
) -> None:
    """409 for each change and command; nothing is published, nothing queued."""
    retire(service)
    refused = service.call(method, path, json=body)
    assert refused.status_code == 409, refused.text
    assert "was retired" in refused.json()["detail"]
    assert service.ports.broker.published == []


def test_a_groups_files_pass_a_retired_device_by(service: ServiceUnderTest) -> None:
    """It is in its group still, and what is sent to the group is for the others."""
    retire(service)
    body = {"artifact": "recipes/steel.json", "group": "line-press"}
    sent = service.call("POST", "/v1/downloads", json=body)
    shown = service.call("GET", sent.json()["url"]).json()
    assert [one["device"] for one in shown["deliveries"]] == ["press-02", "press-03"]
    row = service.call("POST", "/v1/groups/cell-4/members", json={"put_in": ["press-01"]})
    assert row.status_code == 409, row.text


def test_its_certificates_are_inactive_and_no_code_counts(service: ServiceUnderTest) -> None:
    """The key that was let in gets no answer any more; its name is given to no other device."""
    code, let_in = enrolled(service, "press-50")
    assert let_in.status_code == 200, let_in.text
    assert retire(service, "press-50").status_code == 200
    [certificate] = service.ports.things.certificates.values()
    assert not certificate.active
    assert come(service, "press-50", code).status_code == 401
    again = service.call("POST", "/v1/devices", json={"id": "press-50"})
    assert (again.status_code, "its name is not given again" in again.text) == (409, True)
    assert retire(service, "press-50").status_code == 200, "what was cut off is done again"


def test_who_was_registered_and_never_came_stays_out(service: ServiceUnderTest) -> None:
    """Retired before its first connection."""
    made = service.call("POST", "/v1/devices", json={"id": "press-51"})
    assert retire(service, "press-51").json()["enrolled"] is False
    assert come(service, "press-51", made.json()["code"]).status_code == 401


def test_only_who_may_ends_a_device_as_it_was_read(service: ServiceUnderTest) -> None:
    """An operator is refused; a device that was changed since is another one; one is unknown."""
    assert retire(service, as_="operators").status_code == 403
    tag = service.call("GET", PATH).headers["ETag"]
    assert service.call("PATCH", PATH, json={"kind": "pump"}).status_code == 200
    late = service.call("POST", f"{PATH}/retire", headers={"If-Match": tag})
    assert late.status_code == 412
    assert service.device("press-01").retired_at is None
    assert retire(service, "pump-01").status_code == 404


def test_what_waits_for_a_retired_device_is_ended(service: ServiceUnderTest) -> None:
    """Its file is canceled with the reason, the others' goes on; its command is interrupted."""
    sent = service.call(
        "POST", f"{PATH}/commands", json={"name": "run-diagnostics", "timeout_seconds": 600}
    )
    body = {"artifact": "recipes/steel.json", "group": "line-press"}
    url = service.call("POST", "/v1/downloads", json=body).json()["url"]
    work(service)
    retire(service)
    command = service.call("GET", sent.json()["url"]).json()
    assert (command["state"], command["reported_by"]) == ("interrupted", "service")
    assert "retired" in command["detail"]["reason"]
    [listed] = service.call("GET", f"{PATH}/commands?state=interrupted").json()["commands"]
    assert listed["id"] == command["id"]
    again = service.call("POST", f"/v1/commands/{command['id']}/cancel", json={})
    assert (again.status_code, "was retired" in again.text) == (409, True)
    work(service)
    deliveries = {one["device"]: one for one in service.call("GET", url).json()["deliveries"]}
    assert {name: one["state"] for name, one in deliveries.items()} == {
        "press-01": "canceled",
        "press-02": "queued",
        "press-03": "queued",
    }
    assert deliveries["press-01"]["detail"] == {"reason": "the device was retired"}


def work(service: ServiceUnderTest) -> None:
    """Have the worker do what waits."""
    queue = service.ports.work_queue
    worker = service.app.state.operations.worker(JobSettings())

    async def run() -> None:
        while queue.waiting:
            for received in await queue.receive():
                await worker.handle(received)

    asyncio.run(run())


def test_ends_of_devices_wait_for_their_turn(service: ServiceUnderTest) -> None:
    """What all tenants of the account share is used up: 503, and the device is as it was."""
    at = microseconds(time.time() + 5)  # so that no token comes meanwhile
    service.ports.buckets.rows[RETIREMENTS.key] = at + RETIREMENTS.rate.span
    waits = retire(service)
    assert (waits.status_code, "Retry-After" in waits.headers) == (503, True)
    assert service.call("GET", "/v1/devices/press-01").json()["retired_at"] is None
