"""Taking a command back over HTTP: surely where it has not left, else its device is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import CommandState

from service.domain.commands import CommandRecordState, DirectAnswer, ReportedState
from service.errors import UnavailableError
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

COMMANDS = "/v1/devices/press-01/commands"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def send(service: ServiceUnderTest, *, as_: str = "managers", **body: Any) -> httpx.Response:
    """A command."""
    headers = {"Idempotency-Key": "k"}
    return service.call("POST", COMMANDS, as_=as_, json={"name": "reboot", **body}, headers=headers)


def cancel(
    service: ServiceUnderTest, command: str, *, as_: str = "managers", **body: Any
) -> httpx.Response:
    """Its cancel."""
    return service.call("POST", f"/v1/commands/{command}/cancel", as_=as_, json=body)


def read(service: ServiceUnderTest, command: str) -> dict[str, Any]:
    """How it stands."""
    return service.call("GET", f"/v1/commands/{command}").json()


def not_sent(service: ServiceUnderTest) -> str:
    """A command of which nothing has left, since AWS was asked too much; its id."""
    broker = service.ports.broker
    broker.available = False
    broker.failure = UnavailableError("the device", is_throttled=True, is_lost=False)
    answer = send(service)
    assert answer.status_code == 502, answer.text
    broker.available, broker.failure = True, None
    return answer.headers["Location"].rpartition("/")[2]


def test_what_has_not_left_is_surely_canceled(service: ServiceUnderTest) -> None:
    """Final at once, nobody is told, and whoever repeats it under its key sends it no more."""
    command = not_sent(service)
    for _ in range(2):
        answer = cancel(service, command)
        assert (answer.status_code, answer.json()["state"]) == (202, "canceled")
    assert send(service).status_code == 202
    seen = read(service, command)
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("canceled", True, "service")
    assert seen["detail"] == {"reason": "it was canceled before it left"}
    broker = service.ports.broker
    assert (broker.sent, broker.published, broker.canceled) == ([], [], [])
    subjects = [one.subject for one in service.ports.audit.trail]
    assert subjects.count("cancel of reboot") == 2


@pytest.mark.parametrize("answer", [DirectAnswer.RECEIVED, DirectAnswer.NOT_CONNECTED])
def test_a_device_is_told_and_has_the_word(service: ServiceUnderTest, answer: DirectAnswer) -> None:
    """As it was until the device says so: it waited and is canceled, or it had begun."""
    service.ports.broker.answer = answer
    sent = send(service).json()
    canceled = cancel(service, sent["id"])
    assert (canceled.status_code, canceled.json()["state"]) == (202, sent["state"])
    [told] = service.ports.broker.canceled
    assert told.cancel_message().expires_at == told.expires_at
    seen = read(service, sent["id"])
    assert (seen["state"], seen["is_final"]) == (sent["state"], False)
    assert seen["cancel_requested_at"] is not None
    reported = ReportedState(sequence=1, state=CommandState.CANCELED)
    service.ports.command_records.states[sent["id"]] = [reported]
    seen = read(service, sent["id"])
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("canceled", True, "device")


def test_what_is_over_cannot_be_canceled(service: ServiceUnderTest) -> None:
    """Ended, failed, or past its time: 409 with its state, and nobody is told."""
    service.ports.clock.now = NOON
    command = send(service).json()["id"]
    reported = ReportedState(sequence=1, state=CommandState.SUCCEEDED)
    service.ports.command_records.states[command] = [reported]
    answer = cancel(service, command)
    assert answer.status_code == 409
    assert "it is `succeeded`" in answer.json()["detail"]
    service.ports.command_records.states[command] = []
    service.ports.clock.now = NOON + timedelta(seconds=60)
    assert cancel(service, command).status_code == 202, "to the last moment its device may begin it"
    service.ports.broker.canceled.clear()
    service.ports.clock.now = NOON + timedelta(seconds=60, milliseconds=1)
    assert "it is `expired`" in cancel(service, command).json()["detail"]
    service.ports.clock.now = NOON
    records = service.ports.command_records.once.records
    records["acme", command] = replace(
        records["acme", command], state=CommandRecordState.FAILED, failure="refused"
    )
    assert "it is `failed`" in cancel(service, command).json()["detail"]
    assert service.ports.broker.canceled == []


def test_who_may_send_it_may_take_it_back(service: ServiceUnderTest) -> None:
    """Operators may not; responders in an emergency with a reason; other tenants find nothing."""
    command = send(service).json()["id"]
    assert cancel(service, command, as_="operators").status_code == 403
    assert cancel(service, command, as_="emergency-responders").status_code == 403
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    other = service.client.post(f"/v1/commands/{command}/cancel", headers=headers, json={})
    assert other.status_code == 404
    assert cancel(service, "01JD0000000000000000000000").status_code == 404
    assert service.ports.broker.canceled == []
    declared = {"reason": "a hand in the press"}
    answer = cancel(service, command, as_="emergency-responders", emergency=declared)
    assert answer.status_code == 202, answer.text
    assert service.ports.audit.trail[-1].emergency_reason == "a hand in the press"


def test_a_command_that_the_tenant_has_no_more_is_not_taken_back(
    service: ServiceUnderTest,
) -> None:
    """Without its action nobody knows who may: 409 in words, no decision, and nobody is told."""
    command = send(service).json()["id"]
    rows, tenant = service.ports.tenants.rows, service.acme.tenant
    left = {name: action for name, action in tenant.commands.items() if name != "reboot"}
    rows[tenant.issuer] = replace(tenant, commands=left)
    service.app.state.operations = Operations(service.ports, TokenSettings())
    decided = len(service.ports.audit.trail)
    answer = cancel(service, command)
    assert answer.status_code == 409, answer.text
    assert answer.json()["detail"] == "the tenant has no command `reboot` any more"
    assert (service.ports.broker.canceled, len(service.ports.audit.trail)) == ([], decided)


def test_a_device_that_may_not_have_been_told_is_told_again(service: ServiceUnderTest) -> None:
    """The broker is away: no success; the command is sent no more, and a repeat tells it."""
    command = send(service).json()["id"]
    service.ports.broker.available = False
    assert cancel(service, command).status_code >= 500
    assert read(service, command)["cancel_requested_at"] is not None
    service.ports.broker.available = True
    assert cancel(service, command).status_code == 202
    assert len(service.ports.broker.canceled) == 1
