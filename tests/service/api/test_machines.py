"""Machines over HTTP: made, used, rotated by a second secret, revoked, by whom policies allow."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.machines import BEGUN_MS, USED_MS, MachineState
from service.domain.rates import microseconds
from service.domain.work import Work, WorkKind
from service.operations.machines import CHANGES
from tests.service.plenty import Plenty

if TYPE_CHECKING:
    import httpx

    from service.domain.machines import Machine
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/machines"
BODY = {"id": "mes", "scopes": ["view", "operate"], "description": "the plant's own system"}


@pytest.fixture(autouse=True)
def _hurried(service: ServiceUnderTest, request: pytest.FixtureRequest) -> None:
    """Let a test make more changes than Cognito takes in a second."""
    operations = service.app.state.operations
    if "turn" not in request.node.name:
        plenty = Plenty(service.ports.buckets, service.ports.clock)
        operations.machines = replace(operations.machines, budgets=plenty)


def make(service: ServiceUnderTest, **changes: object) -> dict[str, Any]:
    """A machine, as the one answer with its secret says it."""
    made = service.call("POST", URL, json=BODY | changes)
    assert made.status_code == 201, made.text
    return made.json()


def row(service: ServiceUnderTest, machine_id: str = "mes") -> Machine:
    """What is stored of a machine."""
    return service.ports.machine_records.rows["acme", machine_id]


def as_machine(service: ServiceUnderTest, client: str, path: str, scope: str) -> httpx.Response:
    """One request with a token that the pool gives the client."""
    token = service.acme.access_token("m", scope, sub=client, client_id=client)
    return service.client.get(path, headers={"Authorization": f"Bearer {token}"})


def test_a_machine_is_told_its_secret_once(service: ServiceUnderTest) -> None:
    """Only the answer that makes it has the secret: no list, no row, no trail."""
    made = make(service)
    assert made["machine"]["state"] == "active"
    assert made["token_url"].endswith("/oauth2/token")
    secret = made["secret"]["secret"]
    client = made["machine"]["client_id"]
    assert service.ports.machine_clients.held[client] == {made["secret"]["id"]: secret}
    [listed] = service.call("GET", URL).json()["machines"]
    assert listed == made["machine"] == service.call("GET", f"{URL}/mes").json()
    kept = (service.ports.machine_records, service.ports.audit, service.ports.work_queue)
    assert secret not in json.dumps(listed) + str(kept)
    again = service.call("POST", URL, json=BODY)
    assert (again.status_code, len(service.ports.machine_clients.names)) == (409, 1)


def test_a_machine_does_what_its_scopes_say(service: ServiceUnderTest) -> None:
    """Its token counts at once; what no scope gives is refused, and so is a foreign client."""
    client = make(service)["machine"]["client_id"]
    assert as_machine(service, client, "/v1/devices", "fleet/view").status_code == 200
    assert as_machine(service, client, "/v1/devices/press-01", "fleet/operate").status_code == 403
    assert as_machine(service, client, URL, "fleet/view fleet/operate").status_code == 403
    other = as_machine(service, "another", "/v1/devices", "fleet/view")
    assert (other.status_code, other.json()["code"]) == (401, "token-of-wrong-kind")
    # Of another tenant's pool it is none either.
    foreign = service.globex.access_token("m", "fleet/view", sub=client, client_id=client)
    answer = service.client.get("/v1/devices", headers={"Authorization": f"Bearer {foreign}"})
    assert answer.status_code == 401


def test_only_access_tokens_of_a_machine_count(service: ServiceUnderTest) -> None:
    """A person's token of that app client, ID or access, proves nobody."""
    client = make(service)["machine"]["client_id"]
    tokens = (
        service.acme.id_token("ann", ["managers"], aud=client),
        service.acme.access_token("m", "fleet/view", client_id=client),
        service.acme.access_token("m", "fleet/view", sub=client, client_id=client, username="ann"),
    )
    for token in tokens:
        answer = service.client.get("/v1/devices", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["code"] == "token-of-wrong-kind"


def test_nobody_proves_a_machine_unread(service: ServiceUnderTest) -> None:
    """While the machines cannot be read, an unknown client is nobody's: 503, not 200."""
    client = make(service)["machine"]["client_id"]
    service.ports.machine_records.available = False
    assert as_machine(service, client, "/v1/devices", "fleet/view").status_code == 503


def test_two_secrets_are_valid_at_once(service: ServiceUnderTest) -> None:
    """A second one is made beside the first, a third is refused, the last is not deleted."""
    made = make(service)
    client, held = made["machine"]["client_id"], service.ports.machine_clients.held
    added = service.call("POST", f"{URL}/mes/secrets", json={})
    assert added.status_code == 201, added.text
    assert held[client][added.json()["id"]] == added.json()["secret"]
    assert len(held[client]) == 2
    assert service.call("POST", f"{URL}/mes/secrets", json={}).status_code == 409
    first = f"{URL}/mes/secrets/{made['secret']['id']}"
    left = service.call("DELETE", first)
    assert [one["id"] for one in left.json()["secrets"]] == [added.json()["id"]]
    assert service.call("DELETE", first).status_code == 404
    last = service.call("DELETE", f"{URL}/mes/secrets/{added.json()['id']}")
    assert (last.status_code, "revoke" in last.json()["detail"]) == (409, True)
    assert list(held[client]) == [added.json()["id"]]


@pytest.mark.parametrize("act", ["secret", "machine"])
def test_a_machines_token_of_before_is_refused(service: ServiceUnderTest, act: str) -> None:
    """Though it has not run out: one of its secrets was deleted, or it was revoked."""
    made = make(service)
    client = made["machine"]["client_id"]
    service.call("POST", f"{URL}/mes/secrets", json={})
    assert as_machine(service, client, "/v1/devices", "fleet/view").status_code == 200
    path = f"{URL}/mes/secrets/{made['secret']['id']}" if act == "secret" else f"{URL}/mes"
    answer = service.call("DELETE", path)
    assert answer.status_code == 200, answer.text
    refused = as_machine(service, client, "/v1/devices", "fleet/view")
    assert (refused.status_code, refused.json()["code"]) == (401, "token-revoked")


def test_a_revoked_machines_name_is_free(service: ServiceUnderTest) -> None:
    """It stays in the list, without secrets; a new one of its name is another client."""
    client = make(service)["machine"]["client_id"]
    revoked = service.call("DELETE", f"{URL}/mes").json()
    assert (revoked["state"], revoked["secrets"]) == ("revoked", [])
    assert service.call("DELETE", f"{URL}/mes").json() == revoked
    assert service.call("POST", f"{URL}/mes/secrets", json={}).status_code == 409
    assert not service.ports.machine_clients.names
    again = make(service)["machine"]
    assert (again["client_id"] != client, again["state"]) == (True, "active")
    assert as_machine(service, client, "/v1/devices", "fleet/view").status_code == 401


def test_machines_are_listed_in_pages(service: ServiceUnderTest) -> None:
    """Each once, in the order of their ids; a cursor of another list is told."""
    for number in range(3):
        make(service, id=f"m-{number}")
    first = service.call("GET", f"{URL}?limit=2").json()
    then = service.call("GET", f"{URL}?limit=2&cursor={first['cursor']}").json()
    assert [one["id"] for one in first["machines"] + then["machines"]] == ["m-0", "m-1", "m-2"]
    assert then["cursor"] is None
    assert service.call("GET", f"{URL}?cursor=..").status_code == 400


def test_the_last_use_is_written_now_and_then(service: ServiceUnderTest) -> None:
    """However many requests come, one write in some minutes; the time is that of a request."""
    client = make(service)["machine"]["client_id"]
    assert service.call("GET", f"{URL}/mes").json()["last_used_at"] is None
    for _ in range(5):
        as_machine(service, client, "/v1/devices", "fleet/view")
    known = service.call("GET", f"{URL}/mes").json()
    assert known["last_used_at"] is not None
    assert service.ports.machine_records.uses == 1
    assert USED_MS == 5 * 60 * 1000


def test_whoever_is_told_a_secret_is_a_manager(service: ServiceUnderTest) -> None:
    """Nobody else makes or rotates a machine, and the refusal names the policy."""
    made = make(service)
    for path, body in ((URL, BODY | {"id": "b"}), (f"{URL}/mes/secrets", {})):
        refused = service.call("POST", path, as_="it-staff", json=body)
        assert refused.status_code == 403
        assert refused.json()["policies"] == ["machines-by-managers"]
    for path in (f"{URL}/mes", f"{URL}/mes/secrets/{made['secret']['id']}"):
        assert service.call("DELETE", path, as_="it-staff").status_code == 403
    assert service.call("GET", URL, as_="operators").status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "Mes"}, "id"),
        ({"id": "a--b"}, "id"),
        ({"scopes": ["view", "view"]}, "scopes"),
        ({"scopes": ["fleet/view"]}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_what_is_no_machine_is_told(
    service: ServiceUnderTest, changes: dict[str, object], field: str
) -> None:
    """The member is named, and nothing is made."""
    answer = service.call("POST", URL, json=BODY | changes)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not service.ports.machine_clients.names


def test_an_end_is_handed_to_the_worker(service: ServiceUnderTest) -> None:
    """The secret says when it ends, and the worker is told to look at the machine."""
    at = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    told = make(service, expires_at=at.isoformat())["secret"]
    assert datetime.fromisoformat(told["expires_at"]) == at
    work = [Work.decode(one.text) for one in service.ports.work_queue.waiting]
    assert {(one.kind, one.about["machine"]) for one in work} == {(WorkKind.SETTLE_MACHINE, "mes")}


@pytest.mark.parametrize("lost", ["make", "add_secret"])
def test_a_lost_answer_leaves_no_unknown_secret(service: ServiceUnderTest, lost: str) -> None:
    """What the pool made and nobody was told stands in nobody's way for longer than a minute."""
    clients, now = service.ports.machine_clients, datetime.now(UTC)
    if lost == "add_secret":
        make(service)
    clients.lost.add(lost)
    path, body = (URL, BODY) if lost == "make" else (f"{URL}/mes/secrets", {})
    assert service.call("POST", path, json=body).status_code == 503
    clients.lost.clear()
    assert service.call("POST", path, json=body).status_code == 409
    service.ports.clock.now = now + timedelta(milliseconds=2 * BEGUN_MS)
    told = service.call("POST", path, json=body)
    assert told.status_code == 201, told.text
    assert len(clients.names) == 1
    assert set(clients.held[row(service).client_id or ""]) == {
        one.id for one in row(service).secrets
    }


def test_a_pool_that_did_nothing_frees_the_name(service: ServiceUnderTest) -> None:
    """Surely nothing was made, so the same request may succeed at once."""
    service.ports.machine_clients.fails.add("make")
    assert service.call("POST", URL, json=BODY).status_code == 503
    assert row(service).state is MachineState.REVOKED
    service.ports.machine_clients.fails.clear()
    make(service)


def test_changes_of_machines_wait_for_their_turn(service: ServiceUnderTest) -> None:
    """What all tenants of the account share is used up: 503, and nothing was begun."""
    at = microseconds(time.time() + 5)  # so that no token comes meanwhile
    service.ports.buckets.rows[CHANGES.key] = at + CHANGES.rate.span
    waits = service.call("POST", URL, json=BODY)
    assert (waits.status_code, "Retry-After" in waits.headers) == (503, True)
    assert ("acme", "mes") not in service.ports.machine_records.rows


def test_of_two_changes_one_is_told(service: ServiceUnderTest) -> None:
    """A row that another request changed meanwhile is not written over."""
    make(service)
    rows, known = service.ports.machine_records.rows, row(service)
    rows["acme", "mes"] = replace(known, adding_since=1, changed_at=2**45)
    assert service.call("POST", f"{URL}/mes/secrets", json={}).status_code == 409
