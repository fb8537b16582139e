"""A command on its way: to its own topic, with what its device needs and for as long as it may."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING

import pytest

from service.adapters.aws.broker import IotCommandBroker
from service.domain.commands import CommandRecord

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_sessions import AnsweredSessions

AT = 1_790_000_000_000
RECORD = CommandRecord(
    command_id="01JD0000000000000000000000",
    tenant="acme",
    device="press-07",
    name="reboot",
    arguments={"n": 1},
    created_by="somebody",
    created_at=AT,
    expires_at=AT + 60_000,
)


@pytest.mark.parametrize(
    ("now_ms", "seconds"),
    [(AT, 60), (AT + 1, 60), (AT + 59_001, 1), (AT + 60_000, 1), (AT + 90_000, 1)],
)
def test_a_command_is_published_until_its_expiry(
    acme: Tenant, aws: AwsCalls, sessions: AnsweredSessions, now_ms: int, seconds: int
) -> None:
    """The broker drops it no earlier than it expires, and keeps it for a whole second at least."""
    broker = IotCommandBroker(calls=aws, sessions=sessions)
    asyncio.run(broker.publish(acme, RECORD, now_ms=now_ms))
    [call] = sessions.calls
    told = call.arguments
    assert told["messageExpiry"] == seconds
    assert told["topic"] == f"fleet/acme--press-07/commands/{RECORD.command_id}"
    assert told["responseTopic"].endswith(RECORD.command_id + "/status")
    assert told["qos"] == 1
    assert base64.b64decode(told["correlationData"]).decode() == RECORD.command_id
    message = json.loads(told["payload"])
    assert (message["name"], message["arguments"]) == ("reboot", {"n": 1})
