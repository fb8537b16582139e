"""A command on its way: to its own topic, with what its device needs and for as long as it may."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.broker import IotCommandBroker
from service.adapters.aws.client.calls import AwsCalls
from service.domain.commands import CommandRecord, DirectAnswer
from service.errors import UnavailableError
from service.settings import DirectMessageSettings
from tests.service.adapters.aws.answered_sessions import Refusal
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_sessions import AnsweredSessions, Call

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


def broker_of(aws: AwsCalls, sessions: AnsweredSessions) -> IotCommandBroker:
    """The adapter; one pool does for both ways."""
    return IotCommandBroker(
        calls=aws, direct_calls=aws, sessions=sessions, settings=DirectMessageSettings()
    )


@pytest.mark.parametrize(
    ("now_ms", "seconds"),
    [(AT, 60), (AT + 1, 60), (AT + 59_001, 1), (AT + 60_000, 1), (AT + 90_000, 1)],
)
def test_a_command_is_published_until_its_expiry(
    acme: Tenant, aws: AwsCalls, sessions: AnsweredSessions, now_ms: int, seconds: int
) -> None:
    """The broker drops it no earlier than it expires, and keeps it for a whole second at least."""
    broker = broker_of(aws, sessions)
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


@pytest.mark.parametrize(("now_ms", "seconds"), [(AT, 3), (AT + 58_500, 2), (AT + 90_000, 1)])
def test_a_direct_message_waits_no_longer_than_the_command(
    acme: Tenant, aws: AwsCalls, sessions: AnsweredSessions, now_ms: int, seconds: int
) -> None:
    """To the one client, until it has it, and for no more than the setting or what is left."""
    answer = asyncio.run(broker_of(aws, sessions).send_direct(acme, RECORD, now_ms=now_ms))
    [call] = sessions.calls
    assert answer is DirectAnswer.RECEIVED
    assert (call.operation, call.arguments["clientId"]) == ("SendDirectMessage", "acme--press-07")
    assert (call.arguments["confirmation"], call.arguments["timeout"]) == (True, seconds)
    assert call.arguments["topic"] == f"fleet/acme--press-07/commands/{RECORD.command_id}"
    assert json.loads(call.arguments["payload"])["command_id"] == RECORD.command_id


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (Refusal("ResourceNotFoundException", 404), DirectAnswer.NOT_CONNECTED),
        (Refusal("GatewayTimeoutException", 504), DirectAnswer.NOT_CONFIRMED),
    ],
)
def test_a_device_that_says_nothing_is_asked_once(
    acme: Tenant,
    aws: AwsCalls,
    sessions: AnsweredSessions,
    refusal: Refusal,
    answer: DirectAnswer,
) -> None:
    """AWS's 404 is a device that is away, its 504 one that may have it; neither is asked again."""
    sessions.answer = lambda _: refusal
    assert asyncio.run(broker_of(aws, sessions).send_direct(acme, RECORD, now_ms=AT)) is answer
    assert len(sessions.calls) == 1


def test_a_direct_message_is_not_tried_again(acme: Tenant, sessions: AnsweredSessions) -> None:
    """Its client tries once, and waits longer than the device may take."""
    client = sessions.tenant(acme, "iot-data", patience_seconds=5.0)
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client.meta.config.read_timeout == 5.0
    assert client is not sessions.tenant(acme, "iot-data")
    assert client is sessions.tenant(acme, "iot-data", patience_seconds=5.0)


def test_slow_devices_take_no_thread_from_anybody(
    acme: Tenant, aws: AwsCalls, sessions: AnsweredSessions
) -> None:
    """Where all threads for direct messages wait, one more is refused at once and not queued."""
    waiting, over = threading.Event(), threading.Event()

    def slow(_: Call) -> dict[str, Any]:
        waiting.set()
        over.wait(60)
        return {}

    async def scenario() -> None:
        first = asyncio.create_task(broker.send_direct(acme, RECORD, now_ms=AT))
        await asyncio.to_thread(waiting.wait, 60)
        try:
            with pytest.raises(UnavailableError):
                await broker.send_direct(acme, RECORD, now_ms=AT)
            sessions.answer = lambda _: {}
            await broker.publish(acme, RECORD, now_ms=AT)
        finally:
            over.set()
        assert await first is DirectAnswer.RECEIVED

    direct = AwsCalls(replace(AWS, threads=1, max_waiting=0))
    broker = IotCommandBroker(
        calls=aws, direct_calls=direct, sessions=sessions, settings=DirectMessageSettings()
    )
    sessions.answer = slow
    try:
        asyncio.run(scenario())
    finally:
        direct.close()
