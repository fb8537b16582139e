"""Logs of a device: asked for by a command of its own action, and read by links."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import wire

from service.domain.commands import DirectAnswer
from service.domain.device_logs import log_key
from service.domain.permissions import Permission
from service.operations.device_logs import CommandsWithForms
from service.operations.redelivery import Redelivery

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord
    from tests.service.conftest import ServiceUnderTest

SEND = "/v1/devices/press-01/commands"
LOGS = "/v1/devices/press-01/logs"
BODY = {"name": "upload-logs"}


def recorded(service: ServiceUnderTest, command: str) -> CommandRecord:
    """The command as it is kept."""
    return service.ports.command_records.once.records["acme", command]


def test_the_form_leaves_and_is_kept_nowhere(service: ServiceUnderTest) -> None:
    """The device gets where its logs go; record, answer and list know nothing of it."""
    service.ports.broker.answer = DirectAnswer.RECEIVED
    answer = service.call("POST", SEND, json=BODY)
    assert answer.status_code == 202, answer.text
    command = answer.json()["id"]
    [told] = service.ports.broker.sent
    form = wire.LogUpload.of(dict(told.arguments))
    assert form.key == log_key("press-01", command, told.created_at)
    assert form.key.startswith(".logs/press-01/")
    assert recorded(service, command).arguments == {}
    read = service.call("GET", f"/v1/commands/{command}").text
    listed = service.call("GET", SEND).text
    assert "secret-for" not in answer.text + read + listed
    assert [one.action for one in service.ports.audit.trail] == [Permission.COLLECT_LOGS]


def test_whoever_waits_gets_a_form_of_its_own(service: ServiceUnderTest) -> None:
    """Published, and published again to a device that lost its session: signed anew."""
    service.ports.clock.now = datetime.now(UTC)
    service.call("POST", SEND, json=BODY | {"timeout_seconds": 600}).raise_for_status()
    [first] = service.ports.broker.published
    assert first.arguments["fields"]["signature"] == "secret-for-840"  # 600 s, and 240 s to send
    [tenant] = [one for one in service.ports.tenants.rows.values() if one.id == "acme"]
    redelivery = Redelivery(
        records=service.ports.command_records,
        broker=CommandsWithForms(broker=service.ports.broker, logs=service.ports.device_logs),
        clock=service.ports.clock,
    )
    assert asyncio.run(redelivery.redeliver(tenant, "press-01")) == 1
    assert (
        service.ports.broker.published[1].arguments["fields"]["key"]
        == (first.arguments["fields"]["key"])
    )


@pytest.mark.parametrize(
    ("more", "field"),
    [({"arguments": {"url": "http://127.0.0.1/"}}, "arguments"), ({"timeout_seconds": 601}, "t")],
)
def test_nobody_says_where_logs_go(
    service: ServiceUnderTest, more: dict[str, object], field: str
) -> None:
    """What the service adds is nobody's to give, and no form lasts as long as an hour."""
    answer = service.call("POST", SEND, json=BODY | more)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert service.ports.broker.published == []


def test_a_bucket_that_is_away_fails_the_command(service: ServiceUnderTest) -> None:
    """Nothing has left, so the caller may ask again under the same key."""
    service.ports.device_logs.available = False
    headers = {"Idempotency-Key": "once"}
    assert service.call("POST", SEND, json=BODY, headers=headers).status_code == 502
    assert service.ports.broker.published == service.ports.broker.sent == []
    service.ports.device_logs.available = True
    assert service.call("POST", SEND, json=BODY, headers=headers).status_code == 202


def test_logs_are_listed_newest_first_with_links(service: ServiceUnderTest) -> None:
    """A page at a time, each by the command that asked for it."""
    commands = [f"{number:026}" for number in (1, 2, 3)]
    for number, command in enumerate(commands, 1):
        key = log_key("press-01", command, number * 1000)
        service.ports.device_logs.objects["acme", key] = (number, float(number))
    service.ports.device_logs.objects["globex", log_key("press-01", "9" * 26, 1)] = (1, 1.0)
    first = service.call("GET", LOGS, params={"limit": 2}).json()
    assert [(one["command"], one["size"]) for one in first["logs"]] == [
        (commands[2], 3),
        (commands[1], 2),
    ]
    assert first["logs"][0]["url"].endswith("?seconds=300")
    rest = service.call("GET", LOGS, params={"cursor": first["cursor"]}).json()
    assert [one["command"] for one in rest["logs"]] == commands[:1]
    assert rest["cursor"] is None


@pytest.mark.parametrize("who", ["operators", "it-staff", "process-engineers", "nobody"])
def test_logs_ask_for_an_action_of_their_own(service: ServiceUnderTest, who: str) -> None:
    """Whoever may view a device, and send it other commands, has not its logs thereby."""
    assert service.call("GET", LOGS, as_=who).status_code == 403
    assert service.call("POST", SEND, as_=who, json=BODY).status_code == 403
    assert service.call("GET", "/v1/devices/pump-01/logs").status_code == 404


@pytest.mark.parametrize("name", [".logs/press-01/a.gz", ".telemetry/a.json", ".files/a"])
def test_what_devices_wrote_is_no_file(service: ServiceUnderTest, name: str) -> None:
    """A person cannot have it delivered to another device."""
    body = {"artifact": name, "device": "press-01"}
    assert service.call("POST", "/v1/downloads", json=body).status_code == 400


def test_the_command_can_be_asked_of_beforehand(service: ServiceUnderTest) -> None:
    """And taken back: both by its own action, whatever the tenant's file lists."""
    checks = {"checks": [{"command": "upload-logs", "device": "press-01"}]}
    answer = service.call("POST", "/v1/permissions/check", json=checks).json()
    assert answer["answers"][0]["allowed"] is True
    command = service.call("POST", SEND, json=BODY).json()["id"]
    refused = service.call("POST", f"/v1/commands/{command}/cancel", as_="operators", json={})
    assert refused.status_code == 403
    assert service.call("POST", f"/v1/commands/{command}/cancel", json={}).status_code == 202
