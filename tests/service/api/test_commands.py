"""Commands over HTTP: recorded, published, and read back in one honest state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.wire import CommandMessage, CommandState

from service.domain.commands import MAX_STATES, DirectAnswer, ReportedState
from service.domain.tenants import TenantStatus
from service.errors import UpstreamError

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/devices/press-01/commands"


def test_a_command_is_recorded_published_and_audited(
    service: ServiceUnderTest,
) -> None:
    """202 with the place to look; the broker got the same command; the trail names who did it."""
    answer = service.call(
        "POST", URL, json={"name": "reboot", "arguments": {"delay": 3}, "timeout_seconds": 90}
    )
    assert answer.status_code == 202
    assert (
        answer.headers["Location"] == answer.json()["url"] == f"/v1/commands/{answer.json()['id']}"
    )
    [published] = service.ports.broker.published
    message = CommandMessage.decode(published.message().encode())
    assert (message.thing, message.name, message.arguments) == (
        "acme--press-01",
        "reboot",
        {"delay": 3},
    )
    assert message.expires_at - message.issued_at == 90_000
    [audited] = service.ports.audit.trail
    assert (audited.action, audited.subject, audited.resource) == (
        "OperateDevice",
        "reboot",
        'Fleet::Device::"press-01"',
    )
    seen = service.call("GET", answer.json()["url"]).json()
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("published", False, "service")


def test_a_connected_devices_command_is_received(service: ServiceUnderTest) -> None:
    """It acknowledges what it has durably: the answer says so, and nothing is published beside."""
    service.ports.broker.answer = DirectAnswer.RECEIVED
    command = service.call("POST", URL, json={"name": "reboot"}).json()
    assert command["state"] == "received"
    seen = service.call("GET", command["url"]).json()
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("received", False, "device")
    assert service.ports.broker.published == []


def test_a_command_may_be_refused_where_it_would_wait(service: ServiceUnderTest) -> None:
    """409 with the command's place, which says that nothing was sent; another word is a 400."""
    answer = service.call("POST", URL, json={"name": "reboot", "if_offline": "refuse"})
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:cedarfleet:problem:device-not-connected",
    )
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["id"], seen["state"], seen["is_final"]) == (
        answer.json()["command"],
        "failed",
        True,
    )
    assert seen["detail"] == {"reason": "the device is not connected; nothing was sent"}
    assert service.ports.broker.published == []
    bad = service.call("POST", URL, json={"name": "reboot", "if_offline": "drop"})
    assert bad.status_code == 400


def test_the_devices_word_wins(service: ServiceUnderTest) -> None:
    """The state is the device's last one; nothing changes its first final one; history is kept."""
    command = service.call("POST", URL, json={"name": "reboot"}).json()
    service.ports.command_records.states[command["id"]] = [
        ReportedState(
            sequence=3,
            state=CommandState.SUCCEEDED,
            detail={"uptime": 1},
            device_time=1,
            received_at=2,
        ),
        ReportedState(sequence=1, state=CommandState.RECEIVED),
        ReportedState(sequence=2, state=CommandState.RUNNING),
        ReportedState(sequence=4, state=CommandState.RUNNING),
    ]
    seen = service.call("GET", command["url"]).json()
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("succeeded", True, "device")
    assert seen["detail"] == {"uptime": 1}
    assert [told["sequence"] for told in seen["history"]] == [1, 2, 3, 4]


def test_silence_past_the_expiry_is_expired(service: ServiceUnderTest) -> None:
    """Without a word of the device a command ends as expired, never as an eternal `published`."""
    command = service.call("POST", URL, json={"name": "reboot", "timeout_seconds": 5}).json()
    service.ports.clock.now = datetime.now(UTC) + timedelta(seconds=6)
    seen = service.call("GET", command["url"]).json()
    # Not final: it has left, and the device may yet tell that it started it in time.
    assert (seen["state"], seen["is_final"], seen["reported_by"]) == ("expired", False, "service")


def test_a_command_that_does_not_leave_is_visibly_failed(service: ServiceUnderTest) -> None:
    """A broker that refuses it: 502 with the command's place, where its state is `failed`."""
    service.ports.broker.available = False
    service.ports.broker.failure = UpstreamError("the device broker refused the call")
    answer = service.call("POST", URL, json={"name": "reboot"})
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:cedarfleet:problem:command-not-published"
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("failed", True)
    assert seen["id"] == answer.json()["command"]


def test_a_command_whose_answer_was_lost_is_unconfirmed(service: ServiceUnderTest) -> None:
    """504 with its place: neither failed nor final, until the device speaks or its time is over."""
    service.ports.broker.available = False
    answer = service.call("POST", URL, json={"name": "reboot", "timeout_seconds": 5})
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:cedarfleet:problem:command-unconfirmed"
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("unconfirmed", False)
    service.ports.clock.now = datetime.now(UTC) + timedelta(seconds=66)
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("expired", False)
    assert "not confirmed" in seen["detail"]["reason"]
    told = ReportedState(sequence=1, state=CommandState.SUCCEEDED)
    service.ports.command_records.states[seen["id"]] = [told]
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("succeeded", True)


def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(service: ServiceUnderTest) -> None:
    """Broker and table both away: still told, with the place of a record that claims nothing."""
    service.ports.broker.available = False
    service.ports.command_records.once.can_settle = False
    answer = service.call("POST", URL, json={"name": "reboot", "timeout_seconds": 5})
    assert answer.status_code == 504
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("publishing", False)
    service.ports.clock.now = datetime.now(UTC) + timedelta(seconds=66)
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["is_final"]) == ("expired", False)
    assert "not confirmed" in seen["detail"]["reason"]


def test_more_states_than_anyone_reads_are_cut(service: ServiceUnderTest) -> None:
    """The last states are shown, and that there were more; a usual history is whole."""
    command = service.call("POST", URL, json={"name": "reboot"}).json()
    told = [
        ReportedState(sequence=number, state=CommandState.RUNNING)
        for number in range(1, MAX_STATES + 2)
    ]
    for states, truncated in ((told[:-1], False), (told, True)):
        service.ports.command_records.states[command["id"]] = states
        seen = service.call("GET", command["url"]).json()
        assert len(seen["history"]) == MAX_STATES
        assert seen["history"][-1]["sequence"] == states[-1].sequence
        assert seen["history_truncated"] is truncated


def test_nothing_happens_without_an_audit_trail(service: ServiceUnderTest) -> None:
    """If the trail cannot be written, the command is neither recorded nor published."""
    service.ports.audit.available = False
    answer = service.call("POST", URL, json={"name": "reboot"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert service.ports.command_records.once.records == {}
    assert service.ports.broker.published == []


def test_an_operator_is_refused_with_the_deciding_policy(service: ServiceUnderTest) -> None:
    """403 names action and policy; the denial is audited; nothing is recorded or sent."""
    answer = service.call("POST", URL, as_="operators", json={"name": "reboot"})
    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["action"], problem["reason"], problem["policies"]) == (
        "OperateDevice",
        "forbidden",
        ["operators-view-only"],
    )
    assert [record.decision.policies for record in service.ports.audit.trail] == [
        ("operators-view-only",)
    ]
    assert service.ports.command_records.once.records == {}
    assert service.ports.broker.published == []


def test_a_person_of_no_group_is_told_that_nothing_permits_it(
    service: ServiceUnderTest,
) -> None:
    """A person of no group is denied without a deciding policy, and the document says so."""
    problem = service.call("POST", URL, as_="visitors", json={"name": "reboot"}).json()
    assert (problem["status"], problem["reason"], problem["policies"]) == (403, "not_permitted", [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "stop"}, 403),
        ({"name": "stop", "emergency": {"reason": " fire in hall 2\n"}}, 202),
    ],
)
def test_an_emergency_opens_what_is_closed_otherwise(
    service: ServiceUnderTest, body: dict[str, object], status: int
) -> None:
    """Emergency responders act only in a declared emergency; its reason is audited."""
    answer = service.call("POST", URL, as_="emergency-responders", json=body)
    assert answer.status_code == status
    expected = None if status == 403 else "fire in hall 2"
    assert [record.emergency_reason for record in service.ports.audit.trail] == [expected]


def test_an_emergency_does_not_open_a_device_of_low_criticality(service: ServiceUnderTest) -> None:
    """The same declaration on another device changes nothing."""
    device = service.device("press-02")
    service.ports.devices.add(replace(device, attributes={"criticality": "low"}))
    body = {"name": "stop", "emergency": {"reason": "fire"}}
    answer = service.call(
        "POST", "/v1/devices/press-02/commands", as_="emergency-responders", json=body
    )
    assert answer.status_code == 403


def test_the_name_decides_the_action(service: ServiceUnderTest) -> None:
    """A process engineer may set parameters but not run diagnostics; an unknown name is refused."""
    assert (
        service.call(
            "POST", URL, as_="process-engineers", json={"name": "set-parameters"}
        ).status_code
        == 202
    )
    assert (
        service.call(
            "POST", URL, as_="process-engineers", json={"name": "run-diagnostics"}
        ).status_code
        == 403
    )
    answer = service.call("POST", URL, json={"name": "self-destruct"})
    assert answer.status_code == 400
    assert "reboot, run-diagnostics, set-parameters, stop" in answer.json()["errors"][0]["problem"]


def test_a_machine_acts_by_its_scope(service: ServiceUnderTest) -> None:
    """An access token with the scope to operate may; one without may not."""
    for scope, status in (("fleet/operate", 202), ("fleet/view", 403)):
        headers = {"Authorization": f"Bearer {service.acme.access_token('plc', scope)}"}
        assert (
            service.client.post(URL, headers=headers, json={"name": "reboot"}).status_code == status
        )


def test_a_person_sends_no_access_token(service: ServiceUnderTest) -> None:
    """With the mark of a person it is refused, and told which token a person sends."""
    for mark in ({"username": "kim"}, {"sub": "05c18d91-6267-5000-8000-000000000000"}):
        headers = {
            "Authorization": f"Bearer {service.acme.access_token('kim', 'fleet/operate', **mark)}"
        }
        answer = service.client.post(URL, headers=headers, json={"name": "reboot"})
        assert answer.status_code == 401
        assert answer.json()["code"] == "token-of-wrong-kind"
        assert "a person sends the ID token" in answer.json()["detail"]
    assert service.ports.broker.published == []


def test_a_repeated_request_with_one_key_is_done_once(service: ServiceUnderTest) -> None:
    """Same key and request: the same command; another request is refused; keys are personal."""
    headers = {"Idempotency-Key": "order-4711"}
    first = service.call("POST", URL, json={"name": "reboot"}, headers=headers)
    again = service.call("POST", URL, json={"name": "reboot"}, headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(service.ports.broker.published) == 1
    assert service.call("POST", URL, json={"name": "stop"}, headers=headers).status_code == 422
    other = service.call(
        "POST", URL, as_="process-engineers", json={"name": "set-parameters"}, headers=headers
    )
    assert other.status_code == 202
    assert other.json()["id"] != first.json()["id"]


def test_repeating_an_unconfirmed_request_sends_it_again(service: ServiceUnderTest) -> None:
    """After 504 the same key sends the same command, not a second one."""
    headers = {"Idempotency-Key": "order-4713"}
    service.ports.broker.available = False
    failed = service.call("POST", URL, json={"name": "reboot"}, headers=headers)
    assert failed.status_code == 504
    service.ports.broker.available = True
    healed = service.call("POST", URL, json={"name": "reboot"}, headers=headers)
    assert (healed.status_code, healed.json()["id"]) == (202, failed.json()["command"])
    seen = service.call("GET", healed.json()["url"]).json()
    assert (seen["state"], seen["detail"]) == ("published", {})


def test_a_suspended_tenant_does_nothing(service: ServiceUnderTest) -> None:
    """403 with its own type, for reading and acting alike."""
    service.ports.tenants.rows[service.acme.tenant.issuer] = replace(
        service.acme.tenant, status=TenantStatus.SUSPENDED
    )
    for answer in (
        service.call("GET", "/v1/me"),
        service.call("POST", URL, json={"name": "reboot"}),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:cedarfleet:problem:tenant-suspended"
    assert service.ports.broker.published == []


def test_a_key_does_not_outlive_the_permission(service: ServiceUnderTest) -> None:
    """Repeating under a key asks the policies again."""
    headers = {"Idempotency-Key": "order-4712"}
    assert service.call("POST", URL, json={"name": "reboot"}, headers=headers).status_code == 202
    demoted = service.acme.id_token("managers", ["operators"])
    again = service.client.post(
        URL, json={"name": "reboot"}, headers={**headers, "Authorization": f"Bearer {demoted}"}
    )
    assert again.status_code == 403


def test_a_command_is_found_in_its_tenant_only(service: ServiceUnderTest) -> None:
    """Another tenant's manager gets 404 for the command, as for any unknown or malformed id."""
    command = service.call("POST", URL, json={"name": "reboot"}).json()
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    for path in (
        command["url"],
        "/v1/commands/01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/v1/commands/x",
        "/v1/commands/..%2f..",
    ):
        assert service.client.get(path, headers=headers).status_code == 404, path
